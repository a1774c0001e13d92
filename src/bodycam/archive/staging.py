"""Staging: what is recorded of a session that is still open, so that its journal segments can go.

A file is the session's header frame behind a length, then records: lengths of meta and blocks, the meta
(CBOR: journal sequence covered, progress), the block frames, and eight bytes of SHA-256 over the record. A
record that a crash cut off is dropped; the journal still has what was in it.
"""

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import cbor2

from bodycam.archive.format import v1
from bodycam.archive.format.container import header_session

LENGTH = struct.Struct(">I")
RECORD = struct.Struct(">II")
CHECK_BYTES = 8
SUFFIX = ".part"


class StagingFile:
    """The staged part of one session."""

    def __init__(self, path: Path, header: bytes) -> None:
        self.path, self.header = path, header
        self._size = 0

    @classmethod
    def create(cls, folder: Path, incarnation: bytes, opening: int, header: bytes) -> "StagingFile":
        """Begin the file of a session. It is there for good once something is appended and the folder synced.

        Raises:
            OSError: it can't be written.
        """
        staging = cls(folder / f"{incarnation.hex()}-{opening}{SUFFIX}", header)
        descriptor = os.open(staging.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(LENGTH.pack(len(header)) + header)
        staging._size = LENGTH.size + len(header)
        return staging

    @classmethod
    def found(cls, path: Path) -> "tuple[StagingFile, bytes, int] | None":
        """A file that an earlier process left, with its incarnation and opening number, if it is usable."""
        incarnation, _, opening = path.name.removesuffix(SUFFIX).partition("-")
        try:
            with path.open("rb") as stream:
                (length,) = LENGTH.unpack(stream.read(LENGTH.size))
                header = stream.read(min(length, v1.MAX_META))
            header_session(header[v1.FRAME.size :])
            return cls(path, header), bytes.fromhex(incarnation), int(opening)
        except (struct.error, ValueError, v1.FormatDamaged):
            return None

    @property
    def session(self) -> bytes:
        """The session's raw id."""
        return header_session(self.header[v1.FRAME.size :])

    def append(self, covered: int, progress: dict[str, Any], blocks: Sequence[bytes]) -> None:
        """Stage blocks, and the journal sequence that they reach, durably.

        Raises:
            OSError: it can't be written; the file is as it was before.
        """
        meta = cbor2.dumps({"covered": covered, "progress": progress})
        body = b"".join(blocks)
        record = RECORD.pack(len(meta), len(body)) + meta + body
        try:
            with self.path.open("r+b") as stream:
                stream.seek(self._size)
                stream.write(record + hashlib.sha256(record).digest()[:CHECK_BYTES])
                stream.truncate()
                stream.flush()
                os.fdatasync(stream.fileno())
        except OSError:
            os.truncate(self.path, self._size)
            raise
        self._size += len(record) + CHECK_BYTES

    def recover(self) -> tuple[int, dict[str, Any]] | None:
        """Find the last whole record; returns the sequence it covers and its progress, None without one.

        Raises:
            FormatDamaged: a record is whole and is not what `append` writes.
        """
        last: Any = None
        begin = self._size = LENGTH.size + len(self.header)
        for meta, _, end in self._records(self.path.open("rb"), None):
            last, self._size = meta, end
        match last:
            case None if self._size == begin:
                return None
            case {"covered": int(covered), "progress": dict(progress)}:
                return covered, progress
            case _:
                raise v1.FormatDamaged("its last record says nothing of how far it goes")

    def blocks(self) -> Iterator[bytes]:
        """The staged block frames as they are now, in order; the file may grow or go meanwhile."""
        stream, until = self.path.open("rb"), self._size
        return self._frames(stream, until)

    def _frames(self, stream: BinaryIO, until: int) -> Iterator[bytes]:
        for _, body, _ in self._records(stream, until):
            offset = 0
            while offset < len(body):
                _, length = v1.FRAME.unpack_from(body, offset)
                end = offset + v1.FRAME.size + length
                yield body[offset:end]
                offset = end

    def remove(self) -> None:
        """The session is sealed: the file is not needed any more."""
        self.path.unlink(missing_ok=True)

    def _records(self, stream: BinaryIO, until: int | None) -> Iterator[tuple[dict[str, Any], bytes, int]]:
        with stream:
            position = LENGTH.size + len(self.header)
            stream.seek(position)
            while until is None or position < until:
                head = stream.read(RECORD.size)
                if len(head) < RECORD.size:
                    return
                meta_length, body_length = RECORD.unpack(head)
                rest = stream.read(meta_length + body_length + CHECK_BYTES)
                if len(rest) < meta_length + body_length + CHECK_BYTES:
                    return
                record, check = head + rest[:-CHECK_BYTES], rest[-CHECK_BYTES:]
                if hashlib.sha256(record).digest()[:CHECK_BYTES] != check:
                    return
                position += len(record) + CHECK_BYTES
                yield v1.load(rest[:meta_length], "record"), rest[meta_length:-CHECK_BYTES], position


def staged(folder: Path) -> list[Path]:
    """The staging files in a folder."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
