"""The head of a request as it goes to the target, and as it is recorded.

What concerns one connection alone stays behind (RFC 9110, section 7.6.1), and so does the gateway's own
credential; what the settings have the gateway add is added here, and nobody else gets to see it.
"""

import base64
import re
from collections.abc import Sequence
from typing import Final, final
from urllib.parse import quote, unquote_plus

from bodycam.model.target import Dial
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import Field, RequestHead, ResponseHead, written

REDACTED: Final = b"[redacted]"

_OF_THE_CONNECTION: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te",
     b"upgrade", b"http2-settings")
)  # fmt: skip
# what a Connection field must not take away on the way
_ESSENTIAL: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"authorization", b"cookie", b"content-type",
     b"content-encoding", b"expect", b"trailer", b"x-api-key", b"api-key", b"range")
)  # fmt: skip
_OF_PIECES: Final = frozenset((b"range", b"if-range", b"accept-encoding"))
_READ: Final = frozenset((b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"identity"))
_EXPECT: Final = frozenset((b"expect",))
_ORDINARY: Final = frozenset((b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings"))

_SECRETIVE: Final = re.compile(
    rb"auth(?!or(?!i[sz])|ority\Z)|token|secret|passw|passphrase|api-?key|cookie|credential|signature|session"
    rb"|access-?key|jwt|saml|bearer|[-_]keys?\Z|[-_]sign?\Z|\Akey\Z|[-_]pwd\Z",
    re.IGNORECASE,
)
# names that have one of these in them and are no secrets
_OPEN: Final = re.compile(
    rb"(?:www|proxy)-authenticate|access-control-.*|.*ratelimit.*|sec-websocket-key|sec-token-binding"
    rb"|(?:x-)?idempotency-key|(?:x-)?(?:surrogate|cache|routing|partition|correlation|sort)-keys?",
    re.IGNORECASE,
)
_VERSIONS: Final = (b"HTTP/1.0", b"HTTP/1.1")
_COOKIES: Final = frozenset((b"cookie", b"set-cookie"))
_SCHEMES: Final = frozenset((b"basic", b"bearer", b"digest", b"token", b"apikey", b"negotiate"))
_COOKIE_NAME: Final = re.compile(rb"([\w.-]{1,64})=[^=]")
_KNOWN: dict[bytes, bool] = {}
_KNOWN_MOST: Final = 2048


def secretive(name: bytes) -> bool:
    """Whether a field's value is never recorded: by its name it is a credential."""
    known = _KNOWN.get(name)
    if known is None:
        if len(_KNOWN) >= _KNOWN_MOST:
            _KNOWN.clear()
        known = _KNOWN[name] = _SECRETIVE.search(name) is not None and _OPEN.fullmatch(name) is None
    return known


def secretive_among(listed: Sequence[Field]) -> bool:
    """Whether there is any credential among these fields."""
    for name, _ in listed:  # noqa: SIM110 - a generator costs as much as the question
        if secretive(name):
            return True
    return False


def hidden(listed: Sequence[Field]) -> list[Field]:
    """Fields as they are recorded: of credentials the scheme alone, of cookies the name."""
    return [(name, _mark(name, value) if secretive(name) else value) for name, value in listed]


def _mark(name: bytes, value: bytes) -> bytes:
    if name.lower() in _COOKIES:
        # a name that ends in signs of equality may be a secret in base64
        named = _COOKIE_NAME.match(value)
        return REDACTED if named is None else named[1] + b"=" + REDACTED
    scheme, blank, _ = value.partition(b" ")
    return scheme + b" " + REDACTED if blank and scheme.lower() in _SCHEMES else REDACTED


def upgrade_wanted(head: RequestHead) -> bool:
    """Whether the client asks for a WebSocket (RFC 6455); every other upgrade is passed over."""
    found = head.fields
    return (
        b"upgrade" in found
        # what would follow the request's body is the other protocol's, and who tells where it begins?
        and b"content-length" not in found
        and b"transfer-encoding" not in found
        and head.method == "GET"
        and head.minor == 1
        and found.tokens(b"upgrade") == [b"websocket"]
        and b"upgrade" in found.tokens(b"connection")
    )


def check_upgrade(head: ResponseHead, asked: bool) -> None:
    """A target changes to another protocol.

    Raises:
        BadMessage: to one that it was not asked for, or in another way.
    """
    if not asked or head.fields.tokens(b"upgrade") != [b"websocket"]:
        raise BadMessage("the target changed to a protocol that it was not asked for", 502)
    if b"sec-websocket-extensions" in head.fields:
        raise BadMessage("the target uses an extension of WebSocket that it was not offered", 502)


@final
class Onward:
    """The fields of a request for the target; `wire` has them with the empty line behind, as they go there.

    `secretive` is whether there is any credential among them.
    """

    __slots__ = ("listed", "secretive", "wire")

    def __init__(self, listed: Sequence[Field]) -> None:
        self.listed, self.wire = listed, written(listed) + b"\r\n"
        self.secretive = secretive_among(listed)


@final
class Forwarding:
    """Makes the fields for the target of one request after the other.

    Of the very fields that the last request had, and no other terms, the same becomes.
    """

    __slots__ = ("_dial", "_drops", "_head", "_host", "_onward", "_whole")

    def __init__(self) -> None:
        self._head: RequestHead | None = None
        self._dial: Dial | None = None
        self._host, self._whole = "", False
        self._drops: frozenset[bytes] = frozenset()
        self._onward: Onward | None = None

    def onward(
        self,
        head: RequestHead,
        host: str,
        dial: Dial,
        drops: frozenset[bytes],
        *,
        whole: bool,
        continued: bool,
    ) -> Onward:
        """The fields that `forwarded` gives.

        Raises:
            BadMessage: a Connection field would take away what must stay.
        """
        last, onward = self._head, self._onward
        if (
            last is not None
            and onward is not None
            and head.fields is last.fields
            and head.method == last.method
            and head.minor == last.minor
            and host == self._host
            and dial is self._dial
            and drops == self._drops
            and whole == self._whole
            and not continued
        ):
            return onward
        self._head = self._onward = None
        onward = Onward(_going_on(head, host, dial, drops, whole=whole, continued=continued))
        if head.fields.kept and not continued:
            self._head, self._host, self._dial, self._drops, self._whole = head, host, dial, drops, whole
            self._onward = onward
        return onward


def forwarded(
    head: RequestHead,
    path: bytes,
    host: str,
    dial: Dial,
    drops: frozenset[bytes],
    *,
    whole: bool,
    continued: bool = False,
) -> tuple[bytes, list[Field]]:
    """The request line and the fields for the target.

    `continued` says that the client was told to go on, as it had asked; the target need not say it again.
    With `whole` the answer has to be one that can be looked into: in pieces that the client cuts as it likes,
    or in a coding that nobody here knows, what is masked could not be found.

    Raises:
        BadMessage: a Connection field would take away what must stay.
    """
    listed = _going_on(head, host, dial, drops, whole=whole, continued=continued)
    return request_line(head, path, dial), listed


def _going_on(
    head: RequestHead, host: str, dial: Dial, drops: frozenset[bytes], *, whole: bool, continued: bool
) -> list[Field]:
    found, ours = head.fields, _ours(dial)
    gone = _OF_THE_CONNECTION if not drops else _OF_THE_CONNECTION | drops
    if continued:
        gone |= _EXPECT
    if whole:
        gone |= _OF_PIECES
    if b"connection" in found:
        named = frozenset(found.tokens(b"connection")) - _ORDINARY
        if not named.isdisjoint(_ESSENTIAL):
            raise BadMessage("the Connection field names one that has to go on to the target")
        gone |= named
    # servers that name them by way of CGI take one for the other
    replaced = {name.lower().replace(b"_", b"-") for name, _ in ours}
    listed: list[Field] = [(b"Host", host.encode())]
    listed += [
        (name, value)
        for name, value in found.listed
        if (folded := name.lower()) not in gone
        and folded != b"host"
        and (not replaced or folded.replace(b"_", b"-") not in replaced)
    ]
    listed += ours
    if whole and b"accept-encoding" in found:
        listed.append((b"Accept-Encoding", _readable(found.tokens(b"accept-encoding"))))
    if upgrade_wanted(head):
        # without extensions frames are plain, so that they can be looked into
        listed = [one for one in listed if one[0].lower() != b"sec-websocket-extensions"]
        listed += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    elif not head.persistent:
        listed.append((b"Connection", b"close"))
    return listed


def request_line(head: RequestHead, path: bytes, dial: Dial) -> bytes:
    """The request line for the target."""
    return _line(head, _with_query(path, dial))


def recorded(
    head: RequestHead, path: bytes, listed: Sequence[Field], dial: Dial, version: bytes = b""
) -> bytes:
    """A head as it is recorded, before detectors look into it: with nothing of what the gateway adds."""
    kept = hidden(listed)
    if dial.headers:
        added = {name.lower().encode() for name in dial.headers}
        kept = [(name, REDACTED if name.lower() in added else value) for name, value in kept]
    return _line(head, path, version) + written(kept) + b"\r\n"


def _line(head: RequestHead, path: bytes, version: bytes = b"") -> bytes:
    return b"%b %b %b\r\n" % (head.method.encode(), path, version or _VERSIONS[head.minor])


def _ours(dial: Dial) -> list[Field]:
    ours = [(name.encode(), value.encode("utf-8")) for name, value in dial.headers.items()]
    if dial.password is not None:
        pair = base64.b64encode(f"{dial.user}:{dial.password}".encode())
        ours.append((b"Authorization", b"Basic " + pair))
    return ours


def _readable(wanted: Sequence[bytes]) -> bytes:
    known = [one for one in wanted if one.partition(b";")[0].strip() in _READ]
    return b", ".join(known) or b"identity"


def _with_query(path: bytes, dial: Dial) -> bytes:
    if not dial.query:
        return path
    bare, _, query = path.partition(b"?")
    kept = [one for one in query.split(b"&") if one and _named(one) not in dial.query]
    kept += [f"{quote(name)}={quote(value, safe='')}".encode() for name, value in dial.query.items()]
    return bare + b"?" + b"&".join(kept)


def _named(parameter: bytes) -> str:
    """The name of a query's parameter as servers read it: without its escapes."""
    return unquote_plus(parameter.partition(b"=")[0].decode("latin-1"))
