"""What a bundle will hold, settled before its first byte: which head, which sessions, which leaves.

Everything is as of one signed head. The index and the trail follow the ledger by a moment, so what the ledger
has and they don't yet is waited for, for a bounded time.
"""

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from bodycam.archive import frames
from bodycam.archive.evidence import gathering
from bodycam.archive.evidence.gathering import Gathered
from bodycam.archive.evidence.section import Section, look_through, openings
from bodycam.archive.evidence.sheet import line
from bodycam.archive.format.container import Place
from bodycam.archive.head import Head
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Ledger
from bodycam.archive.store import Store
from bodycam.model import ids
from bodycam.model.transcript import Transcript

PATIENCE = 5.0
"""Seconds to wait for the index and the trail to have what the ledger has."""

MOST_UNATTRIBUTED = 1000
MOST_HEADS = 200
_PAUSE = 0.2


class EvidenceRefused(Exception):
    """There will be no bundle; `code` is a short word, the text is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Recorder(Protocol):
    """What is asked of the archivist that runs."""

    @property
    def lock(self) -> threading.RLock: ...

    @property
    def ledger(self) -> Ledger: ...

    def recent(self, session: bytes) -> tuple[str, Place] | None: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a bundle's parts come from. `data` is the data folder; what is collected lies in it, nameless."""

    archivist: Recorder
    store: Store
    keystore: KeyStore
    engine: Engine
    transcripts: Mapping[str, Transcript]
    data: Path
    version: str

    @property
    def ledger_folder(self) -> Path:
        """The folder of the ledger."""
        return self.data / "ledger"

    @property
    def entries(self) -> Path:
        """The ledger's leaves."""
        return self.ledger_folder / "entries"

    def spool(self) -> IO[bytes]:
        """A file without a name for what is counted before it is written; closing it removes it."""
        return tempfile.TemporaryFile(dir=self.data)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is settled.

    Attributes:
        head: the signed head that everything is proved under.
        signing: the key that signed it.
        approvals, trail: the lines of these members.
        unattributed: sessions of the run's time of which nobody knows the run.
        kept: sizes from which a proof of consistency is wanted.
    """

    found: Gathered
    head: Head
    signing: Ed25519PrivateKey
    section: Section
    approvals: IO[bytes]
    trail: IO[bytes]
    unattributed: tuple[str, ...]
    kept: tuple[int, ...]

    @property
    def order(self) -> list[bytes]:
        """The run's sessions that were opened under the head, by when they opened; deleted ones first."""
        sessions = self.found.sessions

        def opened(one: bytes) -> tuple[int, bytes]:
            return (sessions[one].opened if one in sessions else 0, one)

        return sorted(self.section.opened, key=opened)

    def close(self) -> None:
        """Let go of the files."""
        self.approvals.close()
        self.trail.close()


def prepare(sources: Sources, run: str, kept: Sequence[int]) -> Prepared:
    """Settle what the bundle of a run holds.

    Raises:
        EvidenceRefused: there is no such run, or the ledger can't be read.
        OSError: what is collected finds no room.
    """
    with sources.archivist.lock:
        head, signing = sources.archivist.ledger.head(), sources.archivist.ledger.signing
    sizes = tuple(sorted({size for size in kept if 0 < size <= head.size})[-MOST_HEADS:])
    deadline = time.monotonic() + PATIENCE
    approvals, trail = sources.spool(), sources.spool()
    try:
        while True:
            found = gathering.gather(sources.engine, sources.ledger_folder, run)
            if found is None:
                raise EvidenceRefused("not-found", f"there is no run {run}")
            acts = _collect(sources, found, approvals, trail)
            section = _section(sources, found, head, acts)
            strangers = tuple(_unattributed(sources, found, section))
            if not strangers and not section.viewed - acts:
                break
            if time.monotonic() > deadline:
                break
            time.sleep(_PAUSE)
    except BaseException:
        approvals.close()
        trail.close()
        raise
    return Prepared(found, head, signing, section, approvals, trail, strangers, sizes)


def _collect(sources: Sources, found: Gathered, approvals: IO[bytes], trail: IO[bytes]) -> set[int]:
    """Write approvals and trail down, and give the leaves that the trail's entries have."""
    names = {ids.session_id(one) for one in found.known}
    for file in (approvals, trail):
        file.seek(0)
        file.truncate()
    for one in gathering.approvals_of(sources.engine, found.run.id):
        names.add(one["id"])
        approvals.write(line(one))
    leaves = set[int]()
    for act in gathering.acts_about(sources.engine, found.run.id, found.since, names):
        trail.write(line(gathering.act_text(act)))
        if act.leaf is not None:
            leaves.add(act.leaf)
    return leaves


def _section(sources: Sources, found: Gathered, head: Head, acts: set[int]) -> Section:
    try:
        return look_through(
            sources.entries,
            head.size,
            sessions=found.known,
            acts=acts,
            since=found.since,
            until=found.until,
        )
    except (frames.BadFrame, ValueError) as error:
        raise EvidenceRefused("damaged", f"the ledger can't be read: {error}") from error


def _unattributed(sources: Sources, found: Gathered, section: Section) -> Iterator[str]:
    known = found.known
    opened = (one for one in openings(sources.entries, section) if one not in known)
    for count, session in enumerate(gathering.unattributed(sources.engine, opened)):
        if count >= MOST_UNATTRIBUTED:
            return
        yield session


def spooled(file: IO[bytes]) -> tuple[int, Iterator[bytes]]:
    """The size of a spooled member and its content in pieces."""
    size = file.seek(0, 2)
    file.seek(0)
    return size, iter(lambda: file.read(1 << 18), b"")


def spooled_lines(file: IO[bytes]) -> Iterator[dict[str, object]]:
    """The lines of a spooled member as they will be read."""
    file.seek(0)
    for one in file:
        yield json.loads(one)
