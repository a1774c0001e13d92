"""One segment file by its form, without a key: its header, where records stand, and what is blank.

Files are read and not mapped: a file that is cut meanwhile gives a short read and no SIGBUS.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bodycam.journal import layout
from bodycam.journal.failure import JournalDamaged

CHUNK = 256 * 1024
MAX_TRIES = 4096
"""Places that are tried at most when a sound record is looked for behind a bad one."""
MIN_CIPHER = 1 + layout.TAG_BYTES
MAX_CIPHER = layout.MAX_RECORD + MIN_CIPHER


class Sealed(NamedTuple):
    """A record by its form: whether its content is sound takes the key.

    `padding` is what the file has behind it up to the next multiple of 8; a writer leaves zeros there.
    """

    offset: int
    sequence: int
    cipher: bytes
    padding: bytes

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.offset + layout.record_bytes(len(self.cipher))

    @property
    def is_mark(self) -> bool:
        """Whether it is too short for an entry: then it is a mark of the segment's or the journal's end."""
        return len(self.cipher) == MIN_CIPHER


@dataclass(frozen=True, slots=True)
class Unready:
    """No whole record is here: not yet, or torn, or damaged; `empty` when none was ever published."""

    offset: int
    reason: str
    empty: bool = False


class SegmentForm:
    """Reads one segment from its start; `offset` is where the next record is expected."""

    def __init__(self, path: Path, generation: int, incarnation: bytes) -> None:
        """Open the segment.

        Raises:
            JournalDamaged: there is no such segment here, or its header is bad.
            OSError: it can't be read.
        """
        self.path, self.generation = path, generation
        try:
            # a pipe that somebody left under a segment's name is not waited for
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise JournalDamaged(path, 0, "the segment is missing") from None
        try:
            self.header = layout.decode_header(os.pread(self._fd, layout.HEADER_BYTES, 0))
            self._check_place(incarnation)
        except OSError:
            self.close()
            raise
        except ValueError as error:
            self.close()
            raise JournalDamaged(path, 0, str(error)) from error
        self.offset = layout.HEADER_BYTES
        self._base, self._chunk = 0, b""

    def _check_place(self, incarnation: bytes) -> None:
        header = self.header
        if (header.incarnation, header.generation) != (incarnation, self.generation):
            raise ValueError(
                f"the segment says it is generation {header.generation} of {header.incarnation.hex()}; "
                "it was moved or renamed"
            )

    @property
    def size(self) -> int:
        """The bytes that the file has now."""
        return os.fstat(self._fd).st_size

    def record(self, expected: int | None) -> Sealed | Unready:
        """The record at `offset`, which must have the number `expected` unless that is None."""
        offset = self.offset
        head = self._bytes(offset, layout.RECORD_HEAD.size)
        if len(head) < layout.RECORD_HEAD.size:
            return Unready(offset, "the file ends before a mark of its end")
        length, sequence = layout.RECORD_HEAD.unpack(head)
        if length == 0:
            return Unready(offset, "bytes stand where no record was published", empty=True)
        if not MIN_CIPHER <= length <= MAX_CIPHER:
            return Unready(offset, f"a record claims {length} bytes")
        if expected is not None and sequence != expected:
            return Unready(offset, f"record {sequence} stands where record {expected} belongs")
        whole = layout.record_bytes(length) - layout.RECORD_HEAD.size
        body = self._bytes(offset + layout.RECORD_HEAD.size, whole)
        if len(body) < length:
            return Unready(offset, f"record {sequence} is cut off by the end of the file")
        return Sealed(offset, sequence, body[:length], body[length:])

    def forget(self) -> None:
        """Drop what was read ahead, because the writer may have filled it meanwhile."""
        self._chunk = b""

    def first_byte(self, begin: int, end: int | None = None) -> int | None:
        """Where the first byte that is not zero stands; None when all is blank up to `end`, or the file's."""
        until = self.size if end is None else end
        while begin < until:
            chunk = os.pread(self._fd, min(CHUNK, until - begin), begin)
            if not chunk:
                return None
            if left := len(chunk.lstrip(b"\0")):
                return begin + len(chunk) - left
            begin += len(chunk)
        return None

    def later(self, expected: int | None) -> tuple[int, int] | None:
        """Offset and number of the first sound record behind the bad one at `offset`; None without one.

        Reads the rest of the segment, so it may take a second; only for when something is bad.
        """
        begin, size, tries = self.offset + 8, self.size, 0
        lowest = 1 if expected is None else expected
        highest = 1 << 63 if expected is None else lowest + (size - begin) // layout.MARK_BYTES + 1
        unpack, overlap = layout.RECORD_HEAD.unpack_from, layout.RECORD_HEAD.size
        while begin + overlap <= size:
            chunk = os.pread(self._fd, CHUNK + overlap, begin)
            filled = len(chunk.rstrip(b"\0"))
            for start in range(0, min(filled, len(chunk) - overlap + 1, CHUNK), 8):
                length, sequence = unpack(chunk, start)
                if not (MIN_CIPHER <= length <= MAX_CIPHER and lowest <= sequence <= highest):
                    continue
                if (tries := tries + 1) > MAX_TRIES:
                    return None
                offset = begin + start
                cipher = os.pread(self._fd, length, offset + layout.RECORD_HEAD.size)
                if len(cipher) == length and self._sound(Sealed(offset, sequence, cipher, b""), expected):
                    return offset, sequence
            begin += CHUNK
        return None

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _sound(self, found: Sealed, expected: int | None) -> bool:
        """Whether what looks like a record is one."""
        if expected is not None:
            return True  # that eight bytes by chance are a number that can come next is out of the question
        head = os.pread(self._fd, layout.RECORD_HEAD.size, found.end)
        if len(head) < layout.RECORD_HEAD.size:
            return False
        length, sequence = layout.RECORD_HEAD.unpack(head)
        return bool(MIN_CIPHER <= length <= MAX_CIPHER and sequence == found.sequence + 1)

    def _bytes(self, offset: int, count: int) -> bytes:
        start = offset - self._base
        if start < 0 or start + count > len(self._chunk):
            # the head alone is read first: at the end of a live segment there is mostly nothing
            wanted = count if count == layout.RECORD_HEAD.size else max(count, CHUNK)
            self._base, self._chunk, start = offset, os.pread(self._fd, wanted, offset), 0
        return self._chunk[start : start + count]
