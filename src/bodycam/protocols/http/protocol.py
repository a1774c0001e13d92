"""HTTP as the registry plugs it in."""

from bodycam.model.operation import RequestFacts
from bodycam.model.target import TargetWants, TlsMode
from bodycam.protocols import Protocol
from bodycam.protocols.http.answers import refusal
from bodycam.protocols.http.door import NAME
from bodycam.protocols.http.h2.machine import Http2Machine
from bodycam.protocols.http.machine import HttpMachine
from bodycam.protocols.http.opening import ALPN, H2, Opening, TargetOpening
from bodycam.protocols.http.recalled import recalled
from bodycam.protocols.http.telemetry import wording
from bodycam.protocols.http.transcript import TRANSCRIPT
from bodycam.protocols.http.trip import CONNECT

PROTOCOL = Protocol(
    name=NAME,
    opening=Opening,
    target_opening=TargetOpening,
    machine=HttpMachine,
    transcript=TRANSCRIPT,
    refuse=refusal,
    settings=TargetWants(
        takes=frozenset(
            (
                "address",
                "hosts",
                "private",
                "user",
                "password",
                "headers",
                "query",
                "oauth",
                "intercept",
                "allow",
            )
        ),
        sslmode=TlsMode.VERIFY_FULL,
        sslmodes=frozenset((TlsMode.DISABLE, TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL)),
    ),
    alpn=(H2, ALPN),
    machines={H2: Http2Machine},
    requests=RequestFacts("http.method", "http.path", frozenset((CONNECT,)), recalled),
    intercepts=True,
    wording=wording,
)
