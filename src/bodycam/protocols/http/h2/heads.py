"""Heads and trailers of HTTP/2 (RFC 9113, section 8), taken as strictly as those of HTTP/1.1.

What can't be written in HTTP/1.1 is refused, and so is what a target might read in another way than we do.
From here on a request is what its HTTP/1.1 form says, which is what rules, dialects and the record know.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.framing import NEVER_TRAILING
from bodycam.protocols.http.head import (
    FIELDS_MOST,
    HEAD_MOST,
    LOOKALIKES,
    Field,
    Fields,
    RequestHead,
    ResponseHead,
    written,
)

VERSION: Final = "2"

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE: Final = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
# no lower-case letters, as over HTTP/1.1: rules know POST, and some servers take `post` for it
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Z-]{1,40}")
_PATH: Final = re.compile(rb"/[\x21\x22\x24-\x7e\x80-\xff]{0,32767}")
_STATUS: Final = re.compile(rb"[1-9][0-9]{2}")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_FIELD: Final = 32  # what each field counts beside its bytes (section 6.5.2)
_OF_THE_CONNECTION: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"http2-settings")
)
_ASKED: Final = frozenset((b":method", b":scheme", b":authority", b":path"))
_ANSWERED: Final = frozenset((b":status",))


def request(listed: Iterable[tuple[bytes, bytes]], scheme: str) -> RequestHead:
    """A request's head.

    Raises:
        BadMessage: it is not, to the letter, what RFC 9113 says; or asks for a tunnel.
    """
    pseudo, ordinary = _divided(listed, _ASKED)
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if method == b"CONNECT":
        raise BadMessage("a CONNECT within a CONNECT")
    if _METHOD.fullmatch(method) is None:
        raise BadMessage("there is no :method, or it is none")
    if pseudo.get(b":scheme", b"").lower() != scheme.encode():
        raise BadMessage(f"the :scheme is another than {scheme}")
    if _PATH.fullmatch(path) is None and not (path == b"*" and method == b"OPTIONS"):
        raise BadMessage("the :path is no path")
    named = [value for name, value in ordinary if name == b"host"]
    where = pseudo.get(b":authority")
    if len(named) > 1 or (named and where is not None and named[0] != where):
        raise BadMessage("the Host field and :authority are not the same")
    if where is None and not named:
        raise BadMessage("there is no :authority")
    found = Fields([(b"host", where if where is not None else named[0]), *_joined(ordinary)])
    if found.every(b"te") not in ([], [b"trailers"]):
        raise BadMessage("a TE field says something else than trailers")
    length_of(found)
    return RequestHead(method.decode(), path, 1, found, VERSION)


def response(listed: Iterable[tuple[bytes, bytes]]) -> ResponseHead:
    """A response's head, final or not.

    Raises:
        BadMessage: it is not, to the letter, what RFC 9113 says.
    """
    try:
        pseudo, ordinary = _divided(listed, _ANSWERED)
        status = pseudo.get(b":status", b"")
        if _STATUS.fullmatch(status) is None or status == b"101":
            raise BadMessage("there is no :status, or none that can be")
        found = Fields(ordinary)
        length_of(found)
    except BadMessage as error:
        raise BadMessage(error.reason, 502) from error
    return ResponseHead(int(status), b"", 1, found, b"")


def trailers(listed: Iterable[tuple[bytes, bytes]]) -> list[Field]:
    """What stands behind a body.

    Raises:
        BadMessage: it says what only a head may say.
    """
    _, ordinary = _divided(listed, frozenset())
    if not Fields(ordinary).isdisjoint(NEVER_TRAILING):
        raise BadMessage("a trailer says what only a head may say")
    return ordinary


def length_of(found: Fields) -> int | None:
    """How long the body says it is.

    Raises:
        BadMessage: that is no number, or there are several.
    """
    if b"content-length" not in found:
        return None
    length = found.get(b"content-length")
    if _LENGTH.fullmatch(length) is None:
        raise BadMessage("its Content-Length is no number of bytes")
    return int(length)


def asked(line: bytes, scheme: str, host: str, listed: Sequence[Field], *, trailers: bool) -> list[Field]:
    """A request that is forwarded, of its line and fields in HTTP/1.1; `trailers` are awaited or not."""
    method, path, _ = line.split(b" ", 2)
    return [
        (b":method", method),
        (b":scheme", scheme.encode()),
        (b":authority", host.encode()),
        (b":path", path),
        *((folded, value) for name, value in listed if (folded := name.lower()) not in _NOT_ASKED),
        *([(b"te", b"trailers")] if trailers else []),
    ]


def carried(found: Fields) -> list[Field]:
    """What HTTP/2 has of fields of HTTP/1.1: all but those of the connection (section 8.2.2)."""
    gone = _OF_THE_CONNECTION.union(found.tokens(b"connection"))
    return [(folded, value) for name, value in found.listed if (folded := name.lower()) not in gone]


def answered(status: int, listed: Iterable[Field]) -> list[Field]:
    """A response that is passed on."""
    return [(b":status", b"%d" % status), *((name.lower(), value) for name, value in listed)]


def recorded(start: bytes, listed: Iterable[Field]) -> bytes:
    """A head as it is recorded: in the form of HTTP/1.1, with its own version."""
    return start + b"\r\n" + written(listed) + b"\r\n"


_NOT_ASKED: Final = _OF_THE_CONNECTION | {b"host", b"te"}


def _divided(
    listed: Iterable[tuple[bytes, bytes]], allowed: frozenset[bytes]
) -> tuple[dict[bytes, bytes], list[Field]]:
    """Pseudo-fields, and the others behind them."""
    pseudo: dict[bytes, bytes] = {}
    ordinary: list[Field] = []
    size = 0
    for name, value in listed:
        size += len(name) + len(value) + _FIELD
        if _VALUE.fullmatch(value) is None:
            raise BadMessage("a field's value holds a control character, or begins or ends with a blank")
        if name[:1] == b":":
            if ordinary or name in pseudo or name not in allowed:
                raise BadMessage("a pseudo-field is unknown, comes twice, or behind other fields")
            pseudo[name] = bytes(value)
            continue
        if _NAME.fullmatch(name) is None:
            raise BadMessage("a field's name holds a character that no name may have in HTTP/2")
        if name in _OF_THE_CONNECTION:
            raise BadMessage(f"HTTP/2 knows no {name.decode()} field")
        if name in LOOKALIKES:
            raise BadMessage("a field is named as one that says a body's length, but for an underscore")
        ordinary.append((bytes(name), bytes(value)))
    if size > HEAD_MOST:
        raise BadMessage(f"the head is longer than {HEAD_MOST // 1024} KiB", 431)
    if len(ordinary) > FIELDS_MOST:
        raise BadMessage(f"there are more than {FIELDS_MOST} fields", 431)
    return pseudo, ordinary


def _joined(ordinary: Iterable[Field]) -> list[Field]:
    """All fields but Host; cookies, which may come in crumbs (section 8.2.3), as one."""
    kept: list[Field] = []
    crumbs: list[bytes] = []
    for name, value in ordinary:
        if name == b"cookie":
            crumbs.append(value)
        elif name != b"host":
            kept.append((name, value))
    return [*kept, (b"cookie", b"; ".join(crumbs))] if crumbs else kept
