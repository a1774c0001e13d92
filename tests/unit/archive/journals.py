"""Small journals for the tests, segment by segment as a worker's writer makes them."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.archive.findings import Finding, Findings
from bodycam.archive.journalcheck import JournalCheck
from bodycam.archive.story import Story
from bodycam.journal import layout
from bodycam.journal.folder import LOCK
from bodycam.journal.layout import ENTRY_HEAD, RecordType
from bodycam.journal.segment import Segment, prepare
from bodycam.model import ids
from bodycam.model.event import Kind

SIZE = 4096


@dataclass
class Journal:
    """One worker's journal under `root`; its writer is dead unless a test holds the lock."""

    root: Path
    private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    incarnation: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    generation: int = 0
    sequence: int = 0
    spare: Segment | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / LOCK).touch()
        self.active = self.prepared()

    @property
    def folder(self) -> Path:
        return self.root / self.incarnation.hex()

    def path(self, generation: int) -> Path:
        return self.folder / layout.segment_name(generation)

    def prepared(self) -> Segment:
        self.generation += 1
        return prepare(
            self.folder,
            self.generation,
            incarnation=self.incarnation,
            recipient=self.private.public_key(),
            size=SIZE,
        )

    def put(self, session: int, kind: int, body: Any, *, raw: bool = False) -> None:
        """One event in a record of its own."""
        data = body if raw else cbor2.dumps(body)
        self.write(bytes((RecordType.ENTRIES,)) + ENTRY_HEAD.pack(session, 0, kind, 0, len(data)) + data)

    def open(self, opening: int, session: bytes | None = None) -> bytes:
        """A session's opening."""
        session = session or secrets.token_bytes(16)
        self.put(opening, Kind.OPENED, {"session": ids.session_id(session)})
        return session

    def write(self, plain: bytes) -> None:
        self.sequence += 1
        self.active.write(plain, self.sequence)

    def prepare_spare(self) -> None:
        """Make the next segment ahead, as a writer does."""
        self.spare = self.prepared()

    def roll(self) -> None:
        """Go on in the next segment."""
        following = self.spare or self.prepared()
        self.spare = None
        self.write(bytes((RecordType.SEGMENT_END,)))
        self.active.close()
        self.active = following

    def close(self) -> None:
        """Close in order."""
        self.write(bytes((RecordType.CLOSED,)))
        self.active.trim()

    def die(self) -> None:
        """Let go of the files as they are."""
        self.active.close()
        if self.spare is not None:
            self.spare.close()


@dataclass
class Checked:
    """What a check of journals found."""

    check: JournalCheck
    story: Story
    findings: list[Finding]
    torn: list[Finding]

    @property
    def faults(self) -> list[str]:
        return [f"{one.where}: {one.what}" for one in self.findings]

    @property
    def plain(self) -> dict[str, Any]:
        return self.check.to_plain()


def checked(root: Path, key: X25519PrivateKey | None) -> Checked:
    """Check every journal under `root` once."""
    story, findings, torn = Story(), Findings(), Findings()
    check = JournalCheck(root, key, story, findings, torn)
    check.advance()
    check.advance()  # what was found is found once
    return Checked(check, story, findings.kept, torn.kept)


def edges(path: Path) -> list[int]:
    """Where the records of a segment begin, and where the last one ends."""
    data, offset, found = path.read_bytes(), layout.HEADER_BYTES, []
    while True:
        found.append(offset)
        length = layout.LENGTH.unpack_from(data, offset)[0] if offset + 4 <= len(data) else 0
        if not length:
            return found
        offset += layout.record_bytes(length)


def flip(path: Path, offset: int) -> None:
    """Alter one byte."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 0x10,)))
