"""The child's environment: the caller's own, without ours, without detours, with the bindings."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from bodycam.run.gateway import Reachable
from bodycam.run.http_proxy import BINDING as HTTP_PROXY
from bodycam.run.libpq import BINDING as LIBPQ
from bodycam.run.openssh import BINDING as OPENSSH

BINDINGS = (LIBPQ, HTTP_PROXY, OPENSSH)
OURS = "BODYCAM_"
AWAY_FROM_HOME = (
    "XDG_CONFIG_HOME",
    "PIP_CONFIG_FILE",
    "npm_config_userconfig",
    "NPM_CONFIG_USERCONFIG",
    "GIT_CONFIG_GLOBAL",
)
"""What names settings elsewhere, so that a private HOME would not count."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "ssh": 22,
    "mysql": 3306,
    "mariadb": 3306,
    "postgres": 5432,
    "postgresql": 5432,
}
_SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|_PWD$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Bypass:
    """A variable whose URL names the real host of a target, so that a client would go round the gateway."""

    variable: str
    target: str


def bypasses(
    environ: Mapping[str, str], targets: Sequence[Reachable], carried: Collection[str] = ()
) -> list[Bypass]:
    """Each variable and target of which a URL in the variable names the real host.

    URLs with one of the schemes in `carried` are none: a proxy takes them to the gateway, whatever host they
    name. On loopback, where everything shares one host, the port must be the target's too.
    """
    addresses = [(target.name, *_split(host)) for target in targets for host in target.hosts]
    found = {
        Bypass(variable, name)
        for variable, value in environ.items()
        if "://" in value and not variable.startswith(OURS)
        for host, port in _named(value, carried)
        for name, real, real_port in addresses
        if host == real and (port in (None, real_port) or not _shared(real))
    }
    return sorted(found, key=lambda one: (one.variable, one.target))


def detours(environ: Mapping[str, str], protocols: Sequence[str]) -> list[str]:
    """The set variables that lead clients of these protocols elsewhere, or make them refuse the gateway."""
    return [
        name
        for binding in BINDINGS
        if binding.protocol in protocols
        for name in binding.detours
        if name in environ
    ]


def secret_names(environ: Mapping[str, str]) -> list[str]:
    """The names of variables that look as if they held a secret and would reach the child."""
    return sorted(
        name
        for name, value in environ.items()
        if value and _SECRET.search(name) and not name.startswith(OURS)
    )


def child_environment(
    environ: Mapping[str, str], bindings: Mapping[str, str], unset: Sequence[str]
) -> dict[str, str]:
    """What the child gets."""
    kept = {name: value for name, value in environ.items() if not name.startswith(OURS) and name not in unset}
    return {**kept, **bindings}


def _named(value: str, carried: Collection[str]) -> Iterator[tuple[str, int | None]]:
    """Each host that a URL in the text names, and its port: None where neither URL nor scheme says one."""
    for match in _URL.finditer(value):
        text = match.group()
        scheme, _, rest = text.partition("://")
        schemes = scheme.lower().split("+")
        if schemes[-1] in carried:  # as in git+https
            continue
        default = _DEFAULT_PORTS.get(schemes[0])
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        # libpq, mongodb and others take several hosts, separated by commas
        for one in authority.split(","):
            host, port = _split(one)
            yield host, port if port is not None else default
        try:
            options = parse_qsl(urlsplit(text).query)
        except ValueError:
            continue
        for name, option in options:
            if name in ("host", "hostaddr"):
                yield _split(option)[0], None


def _split(address: str) -> tuple[str, int | None]:
    host, port = address, ""
    if address.startswith("["):
        host, _, tail = address[1:].partition("]")
        port = tail.lstrip(":")
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
    host = host.lower().rstrip(".")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None
    return ("127.0.0.1" if _shared(host) else host), number


def _shared(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
