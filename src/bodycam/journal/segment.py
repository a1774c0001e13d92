"""One segment file as its writer holds it: preallocated, mapped, filled record by record."""

import mmap
import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bodycam.journal import layout, wrapping
from bodycam.journal.failure import JournalUnwritable
from bodycam.journal.layout import TAG_BYTES
from bodycam.journal.preallocation import preallocate, write_all

_LONG: Final = 4096
"""From so many bytes on a record is encrypted in its place; a shorter one costs less as a copy."""


class Segment:
    """A mapped segment file; the next record goes to `offset`, records of entries end before `end`."""

    __slots__ = (
        "_encrypt",
        "_encrypt_into",
        "_fd",
        "_header",
        "_map",
        "_view",
        "end",
        "generation",
        "offset",
        "path",
    )

    def __init__(self, path: Path, generation: int, fd: int, size: int, key: bytes, header: bytes) -> None:
        self.path, self.generation = path, generation
        cipher = AESGCM(key)
        self._fd, self._header = fd, header
        self._encrypt, self._encrypt_into = cipher.encrypt, cipher.encrypt_into
        self._map = mmap.mmap(fd, size)
        self._view = memoryview(self._map)
        self.offset = layout.HEADER_BYTES
        self.end = size - layout.MARK_BYTES

    @property
    def room(self) -> int:
        """Bytes of records that still go in."""
        return self.end - self.offset

    def write(self, plain: bytes, sequence: int) -> None:
        """Encrypt `plain`, its record type in front, as the next record; the caller saw to the room.

        The length is stored last, in one aligned store: a reader that sees it sees a record, and one that the
        processor shows it too early fails its tag and is read again.
        """
        # as `layout.NONCE` and `layout.SEQUENCE` have it; a Struct's method takes twice as long
        nonce = sequence.to_bytes(12, "big")
        number = nonce[4:]
        mapped, offset, length = self._map, self.offset, len(plain) + TAG_BYTES
        start = offset + 12
        if length < _LONG:
            mapped[offset + 4 : start + length] = number + self._encrypt(nonce, plain, self._header + number)
        else:
            self._encrypt_into(nonce, plain, self._header + number, self._view[start : start + length])
            mapped[offset + 4 : start] = number
        mapped[offset : offset + 4] = length.to_bytes(4, "big")
        self.offset = (start + length + 7) & ~7

    def sync(self) -> None:
        """Bring all that was written to the disk; for a thread, it may take long.

        Raises:
            OSError: the disk failed; what was not synced before may be lost.
        """
        os.fdatasync(self._fd)

    def leave(self) -> None:
        """Unmap it: nothing more is written here, and it need not be mapped to be synced.

        The writer goes on in the next segment at once, however long the disk takes for this one.
        """
        self._view.release()
        self._map.close()

    def close(self) -> None:
        """Unmap and close, leaving the file as it is."""
        self.leave()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def trim(self) -> None:
        """Cut the file behind its last record, bring that to the disk, and close."""
        self.leave()
        os.ftruncate(self._fd, self.offset)
        os.fsync(self._fd)
        self.close()

    def discard(self) -> None:
        """Close and remove a segment that was never used."""
        self.close()
        self.path.unlink(missing_ok=True)


def prepare(
    folder: Path, generation: int, *, incarnation: bytes, recipient: X25519PublicKey, size: int
) -> Segment:
    """Make the next segment, durable and ready to be written; for a thread, it writes `size` bytes.

    Raises:
        JournalUnwritable: no space, no real preallocation, or an I/O error; no file is left behind.
    """
    path = folder / layout.segment_name(generation)
    key = os.urandom(wrapping.KEY_BYTES)
    name = wrapping.fingerprint(recipient)
    context = layout.header_context(incarnation, generation, name)
    sealed = wrapping.wrap(key, recipient, context)
    header = layout.encode_header(layout.Header(incarnation, generation, name, sealed))
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalUnwritable(f"the journal segment {path} can't be made: {error.strerror}") from error
    try:
        preallocate(fd, size, path)
        write_all(fd, header, 0)
        os.fsync(fd)
        sync_folder(folder)
        return Segment(path, generation, fd, size, key, layout.additional_data(incarnation, generation))
    except (OSError, ValueError) as error:
        os.close(fd)
        path.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error)
        raise JournalUnwritable(f"the journal segment {path} can't be made: {reason}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: the disk failed.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
