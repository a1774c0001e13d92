"""The framing of the ledger's files: a 32-bit length, a CRC-32, the data. Append-only, read in order."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

_HEAD = struct.Struct(">II")
OVERHEAD = _HEAD.size
MAX_DATA = 4096
_ZEROS = bytes(8)


class LedgerDamaged(Exception):
    """The ledger's files are not what was written; the text names file and offset."""

    def __init__(self, file: Path | str, what: str, offset: int | None = None) -> None:
        super().__init__(f"{file}: {what}" if offset is None else f"{file}: at offset {offset}: {what}")
        self.file, self.offset, self.what = str(file), offset, what


class BadFrame(Exception):
    """No whole frame at this offset.

    `torn` when it looks like a write that never finished; `behind` is where the next frame begins if the
    length can be believed.
    """

    def __init__(self, offset: int, what: str, *, torn: bool, behind: int | None = None) -> None:
        super().__init__(what)
        self.offset, self.what, self.torn, self.behind = offset, what, torn, behind


def encode(data: bytes) -> bytes:
    """A frame."""
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


def read(stream: BinaryIO, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """`(offset, data)` of each frame from `start` to the end of the file.

    Raises:
        BadFrame: there are bytes left that are no whole frame.
    """
    stream.seek(start)
    offset = start
    while head := stream.read(OVERHEAD):
        if len(head) < OVERHEAD:
            raise BadFrame(offset, f"{len(head)} bytes that are no whole frame", torn=True)
        length, check = _HEAD.unpack(head)
        if not 0 < length <= MAX_DATA:
            # a power loss can leave the length of a file on the disk without its bytes
            raise BadFrame(offset, f"a length of {length} bytes", torn=not any(head) and _zeros(stream))
        data = stream.read(length)
        if len(data) < length:
            raise BadFrame(offset, f"{len(data)} of {length} bytes", torn=True)
        if zlib.crc32(data) != check:
            torn = (head + data).endswith(_ZEROS) and _zeros(stream)
            behind = offset + OVERHEAD + length
            raise BadFrame(offset, "the checksum does not hold", torn=torn, behind=behind)
        yield offset, data
        offset += OVERHEAD + length


def of_pieces(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """`(offset, data)` of each frame of what comes in pieces, whole to its end.

    Raises:
        BadFrame: something in it is no whole frame.
    """
    rest, offset = b"", 0
    for piece in pieces:
        rest += piece
        position = 0
        while len(rest) - position >= OVERHEAD:
            length, check = _HEAD.unpack_from(rest, position)
            if not 0 < length <= MAX_DATA:
                raise BadFrame(offset, f"a length of {length} bytes", torn=False)
            data = rest[position + OVERHEAD : position + OVERHEAD + length]
            if len(data) < length:
                break
            if zlib.crc32(data) != check:
                raise BadFrame(offset, "the checksum does not hold", torn=False)
            yield offset, data
            position, offset = position + OVERHEAD + length, offset + OVERHEAD + length
        rest = rest[position:]
    if rest:
        raise BadFrame(offset, f"{len(rest)} bytes that are no whole frame", torn=True)


def last(stream: BinaryIO, longest: int) -> tuple[int, bytes] | None:
    """The last frame of a file, found from its end; None when the file does not end in a whole frame."""
    size = stream.seek(0, 2)
    begin = max(0, size - OVERHEAD - longest)
    stream.seek(begin)
    tail = stream.read(size - begin)
    for offset in range(len(tail) - OVERHEAD - 1, -1, -1):
        length, check = _HEAD.unpack_from(tail, offset)
        data = tail[offset + OVERHEAD :]
        if length == len(data) and zlib.crc32(data) == check:
            return begin + offset, data
    return None


def _zeros(stream: BinaryIO) -> bool:
    """Whether nothing but zeros follows."""
    while chunk := stream.read(1 << 16):
        if any(chunk):
            return False
    return True
