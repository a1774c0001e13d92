"""Verification of staging files: records whole, blocks in the chain that the ledger was told of.

Hashes cover ciphertext, so no key is needed; memory holds one block.
"""

import errno
import hashlib
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO, NoReturn

from bodycam.archive.findings import Findings
from bodycam.archive.format import v1
from bodycam.archive.format.container import header_session
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.staging import CHECK_BYTES, LENGTH, RECORD, SUFFIX, staged
from bodycam.archive.story import Story
from bodycam.journal.folder import incarnation_of

MAX_HEADER = 256
"""Bytes that a header's frame never has: it holds a version, an id and a time."""

PATIENCE, PAUSE = 2.0, 0.05
"""Seconds that a record may take to be written, and between two looks at it."""


class _Torn(Exception):
    """The file ends inside a record, which a crash leaves and the journal makes good."""


class StagingCheck:
    """Checks each staging file once; the story hears which sessions they hold.

    `torn` hears of a last record that was never finished: no fault, for the journal still has what was in it.
    """

    def __init__(self, folder: Path, story: Story, findings: Findings, torn: Findings) -> None:
        self._folder, self._story, self._findings, self._torn = folder, story, findings, torn
        self._seen: set[str] = set()
        self._patience = PATIENCE

    def advance(self) -> None:
        """Check the files that are new."""
        for path in staged(self._folder):
            if path.name not in self._seen:
                self._seen.add(path.name)
                self._check(path)

    def _check(self, path: Path) -> None:
        name, _, number = path.name.removesuffix(SUFFIX).partition("-")
        worker = incarnation_of(Path(name))
        if worker is None or not (number.isascii() and number.isdigit() and len(number) <= 10):
            self._findings.add(str(path), "is no staging file of a session")
            return
        expected = self._story.opened_as(worker, int(number))
        try:
            reading = self._read(path, expected)
        except FileNotFoundError:
            return  # sealed meanwhile
        except OSError as error:
            self._findings.add(str(path), f"can't be read: {error.strerror}")
            return
        if reading.records:
            self._story.hold(worker, int(number), reading.session)

    def _read(self, path: Path, expected: bytes | None) -> "_Reading":
        while True:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "it is not a file")
                reading = _Reading(stream, self._story)
                try:
                    reading.run(expected)
                except FormatDamaged as error:
                    self._findings.add(str(path), str(error))
                except _Torn as error:
                    if self._grows(path, reading.size):
                        continue
                    self._torn.add(f"{path}: at offset {reading.record_at}", str(error))
            return reading

    def _grows(self, path: Path, size: int) -> bool:
        """Whether a file whose end is missing is being written; once it was waited for, others are not.

        Raises:
            FileNotFoundError: it is gone.
        """
        while True:
            if path.stat().st_size != size:
                return True
            if self._patience <= 0:
                return False
            time.sleep(PAUSE)
            self._patience -= PAUSE


class _Reading:
    """One file on its way from the start to the end."""

    def __init__(self, stream: BinaryIO, story: Story) -> None:
        self._stream = stream
        self._story = story
        self.size = os.fstat(stream.fileno()).st_size
        self._chain = b""
        self._blocks = 0
        self._heads: dict[int, bytes] = {}
        self._sure = 0  # up to here it is what the ledger was told of
        self.session = b""
        self.records = self.record_at = 0

    def run(self, expected: bytes | None) -> None:
        """Read all of it; `expected` is the session that it has to be of, where that is known.

        Raises:
            FormatDamaged: naming the offset of what is not as it was staged.
            _Torn: the last record is not whole, and the ledger was told of none of its blocks.
        """
        self._header(expected)
        while self.record_at < self.size:
            self._record()
        self._told()

    def _header(self, expected: bytes | None) -> None:
        begin = self._take(LENGTH.size)
        (length,) = LENGTH.unpack(begin)
        if length > MAX_HEADER:
            raise FormatDamaged(f"at offset 0: a header of {length} bytes")
        framed = self._take(length)
        payload = framed[v1.FRAME.size :]
        try:
            if framed[: v1.FRAME.size] != v1.FRAME.pack(v1.HEADER, len(payload)):
                raise FormatDamaged("the header is not a frame")
            self.session = header_session(payload)
            if self.session != (expected or self.session):
                raise FormatDamaged("the header names another session than the ledger does")
        except FormatDamaged as error:
            raise FormatDamaged(f"at offset 0: {error}") from error
        self._chain = v1.chain_start(payload)
        self._heads = self._story.chain(self.session)
        self.record_at = LENGTH.size + length

    def _record(self) -> None:
        begin = self.record_at
        digest, chain, blocks = hashlib.sha256(), self._chain, self._blocks
        sure, astray = self._sure, False
        head = self._take(RECORD.size)
        meta, body = RECORD.unpack(head)
        end = begin + RECORD.size + meta + body + CHECK_BYTES
        if end > self.size or meta > v1.MAX_META:
            self._bad("a record that the file has no room for", end)
        digest.update(head + self._take(meta))
        while body:
            framed = self._take(min(body, v1.FRAME.size))
            kind, length = v1.FRAME.unpack(framed) if len(framed) == v1.FRAME.size else (b"", 0)
            body -= len(framed) + length
            if kind != v1.BLOCK or length > v1.MAX_BLOCK or body < 0:
                self._bad("a record of something that is no block", end)
            payload = self._take(length)
            digest.update(framed + payload)
            chain, blocks = v1.chain_next(chain, blocks, payload), blocks + 1
            if (told := self._heads.get(blocks)) is not None:
                astray |= told != chain
                sure = sure if astray else self._stream.tell()
        if self._take(CHECK_BYTES) != digest.digest()[:CHECK_BYTES]:
            self._bad("a record whose checksum does not hold", end)
        if astray:
            what = f"what stands from here to offset {end} is not what the ledger was told of"
            raise FormatDamaged(f"at offset {sure}: {what}")
        self._sure, self._chain, self._blocks, self.record_at = sure, chain, blocks, end
        self.records += 1

    def _told(self) -> None:
        told = max(self._heads, default=0)
        if told > self._blocks:
            raise FormatDamaged(
                f"at offset {self.record_at}: {self._blocks} blocks are whole; the ledger was told of {told}"
            )

    def _bad(self, what: str, end: int) -> NoReturn:
        """A record that a crash may have left, unless others follow it, or the ledger knows better."""
        if end < self.size:
            raise FormatDamaged(f"at offset {self.record_at}: {what}, and others follow it")
        try:
            self._told()
        except FormatDamaged as error:
            raise FormatDamaged(f"{error}: {what}") from error
        raise _Torn(what)

    def _take(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            self._bad("a record that the end of the file cuts off", self.size)
        return data
