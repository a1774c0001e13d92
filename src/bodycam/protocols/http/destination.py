"""Where one request goes: which host and path, asked for how, and what the client proves itself by."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final
from urllib.parse import quote

from bodycam.protocols.http.authority import Absolute, Authority, Origin, Tunnel, form, host_of
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import RequestHead
from bodycam.protocols.http.proof import Credential, proxy_credential, same, target_credential

NAMED: Final = b"/t/"
"""Behind it, at the gateway itself, stand a target's name and the path there."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a session is opened for: a host that a proxy's client names, or a target by its name."""

    host: Authority | None = None
    target: str = ""
    scheme: str = ""


@lru_cache(maxsize=1024)
def _place(host: Authority | None, target: str, scheme: str) -> Place:
    """The same one for the same words: most requests of a connection go where the last one went."""
    return Place(host, target, scheme)


@final
class Destination:
    """One request's way. `path` has the query and is b"" for a CONNECT.

    `drops` are the fields that the gateway's own credential stands in.
    """

    __slots__ = ("connect", "credential", "drops", "path", "place")

    def __init__(
        self,
        place: Place,
        path: bytes,
        credential: Credential | None,
        drops: frozenset[bytes] = frozenset(),
        connect: bool = False,
    ) -> None:
        self.place, self.path, self.credential = place, path, credential
        self.drops, self.connect = drops, connect

    @property
    def proxied(self) -> bool:
        """Whether the client takes the gateway for a proxy."""
        return self.place.host is not None

    def as_before(self, place: Place | None, credential: Credential | None) -> bool:
        """Whether it is the way to that place, by that credential."""
        return (self.place is place or self.place == place) and same(self.credential, credential)


class Misdirected(BadMessage):
    """The request is for another host than the tunnel that it came through."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, 421)


class Nowhere(BadMessage):
    """The request is for the gateway itself, where there is nothing."""

    def __init__(self) -> None:
        super().__init__(
            "the gateway itself has no pages: use it as a proxy, or ask for /t/TARGET/PATH or TARGET.HOST",
            404,
        )


@final
class Wayfinder:
    """Finds where the requests of one connection go.

    One with the very fields of the last, and another path at the same host, goes where that went: neither the
    host nor the credential has to be read again.
    """

    __slots__ = ("_before", "_found", "_head", "_tunnel")

    def __init__(self) -> None:
        self._head: RequestHead | None = None
        self._found: Destination | None = None
        self._tunnel: Place | None = None
        # what stands before the path in the last target
        self._before = b""

    def find(self, head: RequestHead, tunnel: Place | None) -> Destination:
        """The destination of a request that came to the gateway itself, or through the `tunnel` to a place.

        Raises:
            BadMessage: that can't be told, or is nowhere, or is another host's than the tunnel's.
        """
        last, found = self._head, self._found
        if (
            last is not None
            and found is not None
            and head.fields is last.fields
            and head.minor == last.minor
            and tunnel is self._tunnel
            and head.method != "CONNECT"
            and head.target.startswith(self._before)
        ):
            path = head.target[len(self._before) :]
            if path.startswith(b"/") and b"#" not in path:
                return Destination(found.place, path, found.credential)
        found = destination(head) if tunnel is None else tunnelled(head, tunnel)
        # a target by its name has the name in its path, or its host may be another target's
        self._head = self._found = None
        if head.fields.kept and found.proxied and not found.connect and head.target.endswith(found.path):
            self._head, self._found, self._tunnel = head, found, tunnel
            self._before = head.target[: len(head.target) - len(found.path)]
        return found


def destination(head: RequestHead) -> Destination:
    """Where a request that came to the gateway itself goes.

    Raises:
        BadMessage: that can't be told, or is nowhere.
    """
    where = form(head)
    if isinstance(where, Tunnel):
        if b"content-length" in head.fields or b"transfer-encoding" in head.fields:
            raise BadMessage("a CONNECT has no body")
        plain = "http" if where.authority.port == 80 else "https"
        return Destination(
            Place(where.authority, scheme=plain), b"", proxy_credential(head.fields), connect=True
        )
    host = host_of(head, "http")
    if isinstance(where, Absolute):
        place = _place(where.authority, "", where.scheme)
        if where.scheme == "https":
            raise BadMessage("a proxy is asked for https by CONNECT")
        return Destination(place, where.path, proxy_credential(head.fields))
    name, path = _named(where, host)
    credential, drops = target_credential(head.fields)
    return Destination(_place(None, name, ""), path, credential, drops)


def tunnelled(head: RequestHead, place: Place) -> Destination:
    """Where a request goes that came through the tunnel to a place.

    Raises:
        BadMessage: that can't be told, or is another host's.
    """
    where, host = form(head), host_of(head, place.scheme)
    if isinstance(where, Tunnel):
        raise BadMessage("a CONNECT within a CONNECT")
    if isinstance(where, Absolute):
        if where.scheme != place.scheme or where.authority != place.host:
            raise Misdirected("the URL is of another host than the one that the connection is for")
        return Destination(place, where.path, None)
    if host is not None and host != place.host:
        raise Misdirected("the Host field names another host than the one that the connection is for")
    return Destination(place, where.path, None)


def url(scheme: str, authority: Authority, path: bytes) -> str:
    """A request's URL as people read it; bytes beyond ASCII are written with per cent signs."""
    shown = path.decode() if path.isascii() else quote(path, safe=_READABLE)
    return f"{scheme}://{authority.shown(scheme)}{shown}"


_READABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


def _named(where: Origin, host: Authority | None) -> tuple[str, bytes]:
    """The target's name and the path there: behind `/t/`, or by the first label of the host that is asked."""
    if not where.path.startswith(NAMED):
        label, dot, parent = ("", "", "") if host is None else host.host.partition(".")
        if not dot or parent.replace(".", "").isdigit():
            raise Nowhere
        return _decoded(label.encode()), where.path
    name, slash, rest = where.path[len(NAMED) :].partition(b"/")
    bare, mark, query = name.partition(b"?")
    if mark:
        return _decoded(bare), b"/?" + query
    return _decoded(name), (slash + rest) or b"/"


def _decoded(name: bytes) -> str:
    text = name.decode("ascii", "replace")
    if not text or len(text) > 63 or not all(one.isalnum() or one in "._-" for one in text):
        raise BadMessage("what stands behind /t/ is no target's name", 404)
    return text
