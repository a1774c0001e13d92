"""Protocols that there aren't, for what concerns only those whose targets can be sets of hosts, or have accounts."""

from bodycam.model.operation import RequestFacts
from bodycam.model.target import TargetWants, TlsMode
from bodycam.registry import WANTS

WEB = TargetWants(
    takes=frozenset(
        {"address", "hosts", "private", "user", "password", "headers", "query", "oauth", "intercept", "allow"}
    ),
    sslmode=TlsMode.VERIFY_FULL,
    sslmodes=frozenset({TlsMode.DISABLE, TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL}),
)
SHELL = TargetWants(
    needs=frozenset({"address", "user"}),
    takes=frozenset(
        {"users", "password", "private_key", "issued_certificate", "known_hosts", "host_keys", "allow"}
    ),
    sslmode=TlsMode.DISABLE,
    sslmodes=frozenset({TlsMode.DISABLE}),
    host_keys=True,
)
WITH_WEB = {**WANTS, "web": WEB}
WITH_SHELL = {**WANTS, "shell": SHELL}
REQUESTS = RequestFacts("web.method", "web.path", frozenset({"connect"}))
