"""Reading one segment file, record by record, while its writer may still be filling it.

Files are read and not mapped: a file that is cut meanwhile gives a short read and no SIGBUS.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bodycam.journal import layout, wrapping
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.settings import MAX_SEGMENT

CHUNK = 256 * 1024
MAX_TRIES = 4096
"""Places that are tried at most when a sound record is looked for behind a bad one."""
_MIN_CIPHER = 1 + layout.TAG_BYTES


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record: its number, and its plaintext with the record type in front."""

    sequence: int
    plain: bytes


@dataclass(frozen=True, slots=True)
class Unready:
    """No whole record is here: not yet, or torn, or damaged; `empty` when none was ever published."""

    offset: int
    reason: str
    empty: bool = False


class SegmentReader:
    """Reads one segment from its start."""

    def __init__(self, path: Path, generation: int, incarnation: bytes, private: X25519PrivateKey) -> None:
        """Open the segment and its data key.

        Raises:
            JournalDamaged: there is no such segment here, or its header is bad or not for this key.
        """
        self.path, self.generation = path, generation
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise JournalDamaged(path, 0, "the segment is missing") from None
        try:
            self._decrypt = AESGCM(self._open_key(incarnation, private)).decrypt
        except ValueError as error:
            self.close()
            raise JournalDamaged(path, 0, str(error)) from error
        self._header = layout.additional_data(incarnation, generation)
        self.offset = layout.HEADER_BYTES
        self._base, self._chunk = 0, b""

    def _open_key(self, incarnation: bytes, private: X25519PrivateKey) -> bytes:
        header = layout.decode_header(os.pread(self._fd, layout.HEADER_BYTES, 0))
        if (header.incarnation, header.generation) != (incarnation, self.generation):
            raise ValueError(
                f"the segment says it is generation {header.generation} of {header.incarnation.hex()}; "
                "it was moved or renamed"
            )
        if header.recipient != wrapping.fingerprint(private.public_key()):
            raise ValueError("the segment was written for another archivist key")
        context = layout.header_context(incarnation, self.generation, header.recipient)
        return wrapping.unwrap(header.sealed_key, private, context)

    def read(self, expected: int | None) -> Record | Unready:
        """The record at `offset`, which must have the number `expected` unless that is None."""
        offset = self.offset
        head = self._bytes(offset, layout.RECORD_HEAD.size)
        if len(head) < layout.RECORD_HEAD.size:
            return Unready(offset, "the file ends before a mark of its end")
        length, sequence = layout.RECORD_HEAD.unpack(head)
        if length == 0:
            return Unready(offset, "bytes stand where no record was published", empty=True)
        if not _MIN_CIPHER <= length <= layout.MAX_RECORD + _MIN_CIPHER:
            return Unready(offset, f"a record claims {length} bytes")
        if expected is not None and sequence != expected:
            return Unready(offset, f"record {sequence} stands where record {expected} belongs")
        cipher = self._bytes(offset + layout.RECORD_HEAD.size, length)
        if len(cipher) < length:
            return Unready(offset, f"record {sequence} is cut off by the end of the file")
        try:
            plain = self._open(cipher, sequence)
        except InvalidTag:
            return Unready(offset, f"record {sequence} does not verify")
        self.offset = offset + layout.record_bytes(length)
        return Record(sequence, plain)

    def forget(self) -> None:
        """Drop what was read ahead, because the writer may have filled it meanwhile."""
        self._chunk = b""

    def rest(self) -> bytes:
        """What follows `offset` in the file, without the zeros at its end."""
        left = max(0, os.fstat(self._fd).st_size - self.offset)
        return os.pread(self._fd, min(left, MAX_SEGMENT), self.offset).rstrip(b"\0")

    def later(self, expected: int | None) -> tuple[int, int] | None:
        """Offset and number of the first sound record behind the bad one at `offset`; None without one.

        Reads the rest of the segment, so it may take a second; only for when something is bad.
        """
        rest, tries = self.rest(), 0
        lowest = 1 if expected is None else expected
        highest = lowest + len(rest) // layout.MARK_BYTES if expected is not None else 1 << 63
        # a record may lose its zeros at its end to `rest`, so it is read again from the file
        for start in range(8, len(rest) - layout.RECORD_HEAD.size, 8):
            length, sequence = layout.RECORD_HEAD.unpack_from(rest, start)
            if not _MIN_CIPHER <= length <= layout.MAX_RECORD + _MIN_CIPHER:
                continue
            if not lowest <= sequence <= highest:
                continue
            if (tries := tries + 1) > MAX_TRIES:
                return None
            offset = self.offset + start
            cipher = os.pread(self._fd, length, offset + layout.RECORD_HEAD.size)
            try:
                self._open(cipher, sequence)
            except (InvalidTag, ValueError):
                continue
            return offset, sequence
        return None

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self, cipher: bytes, sequence: int) -> bytes:
        number = layout.SEQUENCE.pack(sequence)
        return self._decrypt(layout.NONCE.pack(sequence), cipher, self._header + number)

    def _bytes(self, offset: int, count: int) -> bytes:
        start = offset - self._base
        if start < 0 or start + count > len(self._chunk):
            # the head alone is read first: at the end of a live segment there is mostly nothing
            wanted = count if count == layout.RECORD_HEAD.size else max(count, CHUNK)
            self._base, self._chunk, start = offset, os.pread(self._fd, wanted, offset), 0
        return self._chunk[start : start + count]
