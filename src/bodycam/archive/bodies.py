"""What a journaled body has to be to become part of a block: one whole item of CBOR, and no more.

A block's events are read as one sequence, so a body that ended early or late would take the others with it.
What the item says is not judged here but where a builder counts.
"""

import secrets
from functools import lru_cache
from typing import Any

import cbor2

from bodycam.archive.format.v1 import FormatDamaged
from bodycam.model.event import Kind

_DATA = (int(Kind.TO_CLIENT), int(Kind.TO_TARGET))
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}  # RFC 8949, section 3
_FIRST = (0x00, 0x00, 0x40)  # of the bytes that an unsigned integer, and a byte string, may begin with
_MOST = 1 << 62
_SECRET = secrets.token_bytes(16)
_END = cbor2.dumps(_SECRET)
_KEPT = 128
"""Bytes up to which it is remembered what the body of an exchange's end says: many say the same."""


def opened(body: bytes) -> dict[str, Any]:
    """The body of an OPENED event, as far as recording it needs.

    Raises:
        FormatDamaged: it is not one whole item.
        ValueError: it is no opening.
    """
    plain = _load(body)
    match plain:
        case {"session": str(), "started": int(started)} if 0 <= started < _MOST:
            return dict(plain)
        case _:
            raise ValueError("an opening without session and start")


def checked(kind: int, body: bytes) -> Any:
    """The body decoded, or None where it is data: that is long, and known by its form alone.

    Raises:
        FormatDamaged: it is not one whole item.
    """
    if kind in _DATA and _is_data(body):
        return None
    return _load(body)  # a request too: a walk over its heads in Python costs more


def ending(body: bytes) -> tuple[int, int, int]:
    """What `moved` finds in the body of a FINISH event.

    Raises:
        FormatDamaged: it is not one whole item.
        ValueError: it ends no exchange.
    """
    return _short_ending(body) if len(body) <= _KEPT else moved(_load(body))


@lru_cache(maxsize=4096)
def _short_ending(body: bytes) -> tuple[int, int, int]:
    return moved(_load(body))


def moved(finish: Any) -> tuple[int, int, int]:
    """Rows, bytes to the client and bytes to the target of a FINISH event.

    Raises:
        ValueError: it has none.
    """
    try:
        _, rows, to_client, to_target, *_ = finish
    except (TypeError, ValueError) as error:
        raise ValueError("an exchange's end that is no list, or too short") from error
    if not (type(rows) is type(to_client) is type(to_target) is int):
        raise ValueError("an exchange's end without rows and bytes")
    if not (0 <= rows < _MOST and 0 <= to_client < _MOST and 0 <= to_target < _MOST):
        raise ValueError("an exchange's end with rows or bytes out of range")
    return rows, to_client, to_target


def _load(body: bytes) -> Any:
    try:
        # behind one whole item stands what nobody but this process knows; anything else takes its place
        found, end = cbor2.loads(b"\x82" + body + _END)
    except Exception as error:  # a decoder of hostile bytes: whatever it trips over, they are damaged
        raise FormatDamaged(f"an event's body does not decode: {error}") from error
    if end != _SECRET:
        raise FormatDamaged("an event's body is not one item alone")
    return found


def _is_data(body: bytes) -> bool:
    """Whether a body is `[flavor, count, bytes]`, by the heads of the items alone."""
    size = len(body)
    if size < 4 or body[0] != 0x83:
        return False
    if size > 5 and body[1] < 24 and body[2] < 24:  # the usual: few rows, and less than 64 KiB of them
        value = body[3]
        if value == 0x58:
            return body[4] + 5 == size
        if value == 0x59:
            return (body[4] << 8 | body[5]) + 6 == size
    at = value = 1
    for first in _FIRST:
        value = body[at] - first if at < size else -1
        at += 1
        if value >= 24:
            width = _WIDTHS.get(value, size)
            value = int.from_bytes(body[at : at + width])
            at += width
        elif value < 0:
            return False
    return at + value == size
