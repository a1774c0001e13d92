"""Where a request is to go: hosts and ports, and the four forms of a request's target.

https://www.rfc-editor.org/rfc/rfc9112#section-3.2
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final, final

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import RequestHead

PORTS: Final = {"http": 80, "https": 443}

_NAMED: Final = re.compile(rb"([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?)(?::([0-9]{1,5}))?")
_BRACKETED: Final = re.compile(rb"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{1,5}))?")
_ABSOLUTE: Final = re.compile(rb"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


@final
class Authority:
    """A host, in lower case and without a last dot (an IPv6 address without its brackets), and a port.

    `bracketed` is the host as it stands in a URL.
    """

    __slots__ = ("_text", "bracketed", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.bracketed = f"[{host}]" if ":" in host else host
        self._text = f"{self.bracketed}:{port}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Authority) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Authority({self._text!r})"

    def shown(self, scheme: str) -> str:
        """As it stands in a URL of this scheme: without the port that goes without saying."""
        return self.bracketed if PORTS.get(scheme) == self.port else self._text


@final
class Absolute:
    """A proxy's request: all of the URL. `path` has the query too."""

    __slots__ = ("authority", "path", "scheme")

    def __init__(self, scheme: str, authority: Authority, path: bytes) -> None:
        self.scheme, self.authority, self.path = scheme, authority, path


@final
class Tunnel:
    """A CONNECT."""

    __slots__ = ("authority",)

    def __init__(self, authority: Authority) -> None:
        self.authority = authority


@final
class Origin:
    """A request for whoever is at the other end: a path, or `*`."""

    __slots__ = ("path",)

    def __init__(self, path: bytes) -> None:
        self.path = path


Form = Absolute | Tunnel | Origin


@lru_cache(maxsize=1024)
def authority(text: bytes, default: int) -> Authority:
    """A host and, unless it is the default, a port.

    Raises:
        BadMessage: it is none, or has a user name in it.
    """
    match = _NAMED.fullmatch(text) or _BRACKETED.fullmatch(text)
    if match is None:
        raise BadMessage("the request's host is no host name or address, with a port or without")
    host, port = match.group(1).decode().lower(), int(match.group(2) or default)
    if text[:1] == b"[":
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise BadMessage("what stands in brackets is no IPv6 address") from error
    elif host.endswith("."):
        host = host[:-1]
    if not host or ".." in host or not 0 < port < 65536:
        raise BadMessage("the request's host is no host name or address, with a port or without")
    return Authority(host, port)


def form(head: RequestHead) -> Form:
    """Which of the forms the request's target has.

    Raises:
        BadMessage: it has none of them.
    """
    target = head.target
    if head.method == "CONNECT":
        if not re.search(rb":[0-9]{1,5}\Z", target):
            raise BadMessage("a CONNECT names a host and a port")
        return Tunnel(authority(target, 0))
    if target[:1] == b"/" or (target == b"*" and head.method == "OPTIONS"):
        if b"#" in target:
            raise BadMessage("the request's target has a fragment")
        return Origin(target)
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadMessage("the request's target is neither a path nor a URL of http or https")
    scheme, where, path = match.groups()
    if b"#" in path:
        raise BadMessage("the request's target has a fragment")
    if not path.startswith(b"/"):
        path = b"/" + path
    named = scheme.decode().lower()
    return Absolute(named, authority(where, PORTS[named]), path)


def host_of(head: RequestHead, scheme: str) -> Authority | None:
    """What the Host field says; None where a request of HTTP/1.0 has none.

    Raises:
        BadMessage: there is none, or there are several, or it is no host.
    """
    if b"host" not in head.fields:
        if head.minor == 0:
            return None
        raise BadMessage("there is no Host field")
    return authority(head.fields.get(b"host"), PORTS[scheme])
