"""Containers: objects that hold one or more sealed sessions, and how to find them in one. No I/O of its own.

A container is a magic, the sessions' bytes one after another, the footer (CBOR list of
`[session, offset, length, root]`), its length in 32 bits, and an end magic.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cbor2

from bodycam.archive.format import v1
from bodycam.archive.format.v1 import FormatDamaged

MAGIC = b"bodycam recording v1\n"
END = b"bodycam end v1\n"
_LENGTH = struct.Struct(">I")
TAIL = _LENGTH.size + len(END)
MAX_FOOTER = 64 * 1024 * 1024

Read = Callable[[int, int], bytes]
"""`(offset, length)` -> at most that many bytes of an object."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is in its container."""

    session: bytes
    offset: int
    length: int
    root: bytes


def footer(places: list[Place]) -> bytes:
    """What comes behind the last session."""
    data = cbor2.dumps([[p.session, p.offset, p.length, p.root] for p in places])
    return data + _LENGTH.pack(len(data)) + END


def read_footer(read: Read, size: int) -> tuple[list[Place], int]:
    """The sessions of a container of `size` bytes, and the offset at which the footer begins.

    Raises:
        FormatDamaged: it is not a whole container.
    """
    if size < len(MAGIC) + TAIL or read(0, len(MAGIC)) != MAGIC:
        raise FormatDamaged("at offset 0: not a container of this format")
    tail = read(size - TAIL, TAIL)
    if tail[_LENGTH.size :] != END:
        raise FormatDamaged(
            f"at offset {size - len(END)}: the end mark is missing; the object is cut or altered"
        )
    (length,) = _LENGTH.unpack_from(tail)
    begin = size - TAIL - length
    if length > MAX_FOOTER or begin < len(MAGIC):
        raise FormatDamaged(f"at offset {size - TAIL}: a footer of {length} bytes")
    plain = v1.load(read(begin, length), "footer")
    try:
        places = [Place(bytes(s), int(o), int(n), bytes(r)) for s, o, n, r in plain]
    except (TypeError, ValueError) as error:
        raise FormatDamaged(f"at offset {begin}: the footer is not a list of places") from error
    return places, begin


@dataclass(frozen=True, slots=True)
class Parts:
    """A session's frames other than its blocks."""

    header: bytes
    index: bytes
    manifest: bytes
    signature: bytes


class SessionReader:
    """One session inside a container, read by ranges, a block at a time."""

    def __init__(self, read: Read, offset: int, length: int) -> None:
        self._read, self._begin, self._end = read, offset, offset + length

    def frames(self) -> Iterator[tuple[int, bytes, bytes]]:
        """`(offset in the container, type, payload)` of each frame in order.

        Raises:
            FormatDamaged: naming the offset at which the frames make no sense.
        """
        position = self._begin
        while position < self._end:
            head = self._read(position, v1.FRAME.size)
            if len(head) < v1.FRAME.size:
                raise FormatDamaged(f"at offset {position}: the session ends inside a frame")
            kind, length = v1.FRAME.unpack(head)
            limit = v1.MAX_BLOCK if kind == v1.BLOCK else v1.MAX_META
            if length > limit or position + v1.FRAME.size + length > self._end:
                raise FormatDamaged(f"at offset {position}: a frame of {length} bytes does not fit")
            payload = self._read(position + v1.FRAME.size, length)
            if len(payload) < length:
                raise FormatDamaged(f"at offset {position}: the session ends inside a frame")
            yield position, kind, payload
            position += v1.FRAME.size + length

    def events(self, key: bytes) -> Iterator[list[Any]]:
        """All events, decrypted, in order.

        Raises:
            FormatDamaged: a block is not what was sealed.
        """
        chain = session = b""
        number = 0
        for offset, kind, payload in self.frames():
            if kind == v1.HEADER:
                session = header_session(payload)
                chain = v1.chain_start(payload)
            elif kind == v1.BLOCK:
                try:
                    yield from v1.open_block(session, key, number, chain, payload)
                except FormatDamaged as error:
                    raise FormatDamaged(f"at offset {offset}: {error}") from error
                chain = v1.chain_next(chain, number, payload)
                number += 1


def header_session(payload: bytes) -> bytes:
    """The session that a header names.

    Raises:
        FormatDamaged: it is no header of this version.
    """
    plain = v1.load(payload, "header")
    if (
        not isinstance(plain, dict)
        or plain.get("v") != v1.VERSION
        or not isinstance(plain.get("session"), bytes)
    ):
        raise FormatDamaged("the header is not one of version 1")
    return bytes(plain["session"])
