"""Containers: objects that hold one or more sealed sessions, and how to find them in one. No I/O of its own.

A container is a magic, the sessions' bytes one after another, the footer (CBOR list of
`[session, offset, length, root]`), its length in 32 bits, and an end magic.
"""

import struct
from bisect import bisect_left
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
SESSION_BYTES = 16
_NEXT = {
    v1.HEADER: v1.BLOCK + v1.INDEX,
    v1.BLOCK: v1.BLOCK + v1.INDEX,
    v1.INDEX: v1.MANIFEST,
    v1.MANIFEST: v1.SIGNATURE,
    v1.SIGNATURE: b"",
}
_ENDING = v1.FRAME.size + v1.ENDING.size

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
    raw = read(begin, length)
    try:
        plain = v1.load(raw, "footer")
    except FormatDamaged as error:
        raise FormatDamaged(f"at offset {begin}: {error}") from error
    places = []
    for entry in plain if isinstance(plain, list) else [None]:
        match entry:
            case [bytes(session), int(offset), int(extent), bytes(root)] if (
                len(session) == SESSION_BYTES and len(root) == v1.HASH_BYTES and offset >= 0 and extent > 0
            ):
                places.append(Place(session, offset, extent, root))
            case _:
                raise FormatDamaged(f"at offset {begin}: the footer is not a list of places")
    if footer(places) != raw + tail:
        raise FormatDamaged(f"at offset {begin}: the footer is not in the form that was written")
    return places, begin


class SessionReader:
    """One session inside a container, read by ranges, a block at a time."""

    def __init__(self, read: Read, offset: int, length: int) -> None:
        self._read, self._begin, self._end = read, offset, offset + length

    def frames(self) -> Iterator[tuple[int, bytes, bytes]]:
        """`(offset in the container, type, payload)` of each frame in order: H, any number of B, I, M, S.

        Raises:
            FormatDamaged: naming the offset at which the frames make no sense.
        """
        position, may_come = self._begin, v1.HEADER
        while may_come:
            head = self._read(position, v1.FRAME.size)
            if len(head) < v1.FRAME.size:
                raise FormatDamaged(f"at offset {position}: the session ends inside a frame")
            kind, length = v1.FRAME.unpack(head)
            if kind not in may_come:
                raise FormatDamaged(f"at offset {position}: a frame of type {kind!r} out of place")
            may_come = _NEXT[kind]
            limit = v1.MAX_BLOCK if kind == v1.BLOCK else v1.MAX_META
            if length > limit or position + v1.FRAME.size + length > self._end:
                raise FormatDamaged(f"at offset {position}: a frame of {length} bytes does not fit")
            payload = self._read(position + v1.FRAME.size, length)
            if len(payload) < length:
                raise FormatDamaged(f"at offset {position}: the session ends inside a frame")
            yield position, kind, payload
            position += v1.FRAME.size + length

    def manifest(self) -> v1.Manifest:
        """What was sealed.

        Raises:
            FormatDamaged: it can't be read.
        """
        begin, _, length = self._ending()
        return v1.decode_manifest(self._payload(begin - v1.FRAME.size - length, v1.MANIFEST, length))

    def index(self) -> list[v1.BlockEntry]:
        """The block index, found from the session's end.

        Raises:
            FormatDamaged: it can't be read.
        """
        begin, length, manifest = self._ending()
        begin -= 2 * v1.FRAME.size + length + manifest
        return v1.decode_index(self._payload(begin, v1.INDEX, length))

    def events(self, key: bytes, since: int = 0) -> Iterator[list[Any]]:
        """The events, decrypted, in order: all, or those of the blocks that reach `since` (microseconds).

        Raises:
            FormatDamaged: a block is not what was sealed.
        """
        if since > 0:
            yield from self._events_since(key, since)
            return
        chain = session = b""
        number = 0
        for offset, kind, payload in self.frames():
            if kind == v1.HEADER:
                session = header_session(payload)
                chain = v1.chain_start(payload)
            elif kind == v1.BLOCK:
                yield from _located(offset, session, key, number, chain, payload)
                chain = v1.chain_next(chain, number, payload)
                number += 1

    def _events_since(self, key: bytes, since: int) -> Iterator[list[Any]]:
        """Only the blocks that are wanted are read; the index has the chain that each hangs on."""
        header = next((payload for _, kind, payload in self.frames() if kind == v1.HEADER), None)
        if header is None:
            raise FormatDamaged(f"at offset {self._begin}: not the header of a session")
        entries = self.index()
        first = bisect_left(entries, since, key=lambda entry: entry.last_at)
        for number in range(first, len(entries)):
            entry = entries[number]
            chain = entries[number - 1].chain if number else v1.chain_start(header)
            offset = self._begin + entry.offset
            payload = self._payload(offset, v1.BLOCK, entry.length - v1.FRAME.size)
            yield from _located(offset, header_session(header), key, number, chain, payload)

    def _ending(self) -> tuple[int, int, int]:
        """Where the frame S begins, and the payload lengths of I and M before it."""
        begin = self._end - _ENDING
        payload = self._payload(begin, v1.SIGNATURE, v1.ENDING.size)
        index, manifest, _ = v1.decode_ending(payload)
        return begin, index, manifest

    def _payload(self, offset: int, kind: bytes, length: int) -> bytes:
        """The payload of a frame whose place is known from elsewhere."""
        fits = self._begin <= offset and 0 <= length <= max(v1.MAX_META, v1.MAX_BLOCK)
        framed = self._read(offset, v1.FRAME.size + length) if fits else b""
        if framed[: v1.FRAME.size] != v1.FRAME.pack(kind, length & 0xFFFFFFFF) or len(framed) != (
            v1.FRAME.size + length
        ):
            raise FormatDamaged(f"at offset {offset}: no frame of type {kind!r} and {length} bytes")
        return framed[v1.FRAME.size :]


def _located(
    offset: int, session: bytes, key: bytes, number: int, chain: bytes, payload: bytes
) -> Iterator[list[Any]]:
    try:
        yield from v1.open_block(session, key, number, chain, payload)
    except FormatDamaged as error:
        raise FormatDamaged(f"at offset {offset}: {error}") from error


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
        or len(plain["session"]) != SESSION_BYTES
    ):
        raise FormatDamaged("the header is not one of version 1")
    return bytes(plain["session"])
