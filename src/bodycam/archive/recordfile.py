"""A file of records beside the ledger: the details of what its leaves have only salted hashes of.

A record is written before its leaf and counts only once a leaf with its hash is there, so half a record at
the end is nothing: its writer died, or is writing it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from bodycam.archive import frames
from bodycam.archive.frames import BadFrame

T = TypeVar("T")


class RecordFile(Generic[T]):
    """The file, for its one writer; what a crash left half written is cut off when it is opened.

    `encode` makes the bytes of a record.
    """

    def __init__(self, file: Path, encode: Callable[[T], bytes]) -> None:
        """Open it, or begin one.

        Raises:
            OSError: it can't be.
        """
        self._encode = encode
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        whole, fault = 0, None
        with file.open("rb") as stream:
            try:
                for offset, data in frames.read(stream):
                    whole = offset + frames.OVERHEAD + len(data)
            except BadFrame as error:
                fault = error
        if fault is not None and fault.torn:
            os.ftruncate(self._descriptor, whole)

    def add(self, records: Sequence[T]) -> None:
        """Append records, durably.

        Raises:
            OSError: they can't be written; what was is cut off.
        """
        begin = os.fstat(self._descriptor).st_size
        view = memoryview(b"".join([frames.encode(self._encode(one)) for one in records]))
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, begin)
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read(file: Path, decode: Callable[[bytes], T]) -> Iterator[tuple[int, T | str]]:
    """The records of a file, with their offsets; a text where one can't be read.

    `decode` raises ValueError for what is none.
    """
    try:
        stream = file.open("rb")
    except FileNotFoundError:
        return
    with stream:
        start: int | None = 0
        while start is not None:
            try:
                for offset, data in frames.read(stream, start):
                    try:
                        yield offset, decode(data)
                    except ValueError as error:
                        yield offset, str(error)
                start = None
            except BadFrame as error:
                if not error.torn:
                    yield error.offset, error.what
                start = error.behind
