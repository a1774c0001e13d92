"""Small archives for the tests: sealed sessions in containers, with a ledger that tells of them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.archive.findings import Report
from bodycam.archive.format import v1
from bodycam.archive.format.container import MAGIC, Place, footer
from bodycam.archive.kept import KeptHead
from bodycam.archive.ledger import Head, Leaf, Ledger
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from bodycam.model.event import Kind

WORKER = b"w" * 16


def event(kind: int, at: int, exchange: int, body: object) -> bytes:
    return cbor2.dumps([kind, at, exchange, body])


def blocks_of(rows: int, *, blocks: int = 3) -> list[list[bytes]]:
    """Blocks of events at 0, 1, 2... microseconds: an opening, rows, an end."""
    events = [event(Kind.OPENED, 0, 0, {"session": "x", "started": 0})]
    events += [event(Kind.TO_CLIENT, at, 1, [1, 1, b"row %d" % at]) for at in range(1, rows + 1)]
    events.append(event(Kind.CLOSED, rows + 1, 0, {"outcome": "ended", "reason": ""}))
    size = -(-len(events) // blocks)
    return [events[begin : begin + size] for begin in range(0, len(events), size)]


@dataclass
class Recorded:
    """One session's sealed bytes, and what it takes to read them."""

    session: bytes
    key: bytes
    data: bytes
    root: bytes
    entries: list[v1.BlockEntry]


def record(
    signing: Ed25519PrivateKey,
    opening: int,
    blocks: list[list[bytes]],
    *,
    worker: bytes = WORKER,
    markers: Sequence[str] = (),
) -> Recorded:
    session, key = secrets.token_bytes(16), secrets.token_bytes(32)
    writer = v1.SessionWriter(session, key, created=1_700_000_000)
    data, at = writer.header, 0
    for block in blocks:
        data += writer.block(b"".join(block), len(block), at, at + len(block) - 1)
        at += len(block)
    totals = {"exchanges": 1, "rows": at, "bytes_to_client": 0, "bytes_to_target": 0}
    tail, root = writer.finish(
        signing,
        totals=totals,
        outcome="ended",
        markers=list(markers),
        worker=worker,
        opening=opening,
        sealed=1,
    )
    return Recorded(session, key, data + tail, root, writer.entries)


def container(recorded: list[Recorded]) -> bytes:
    data, places = MAGIC, []
    for one in recorded:
        places.append(Place(one.session, len(data), len(one.data), one.root))
        data += one.data
    return data + footer(places)


@dataclass
class Archive:
    """An archive folder as an archivist leaves it."""

    folder: Path
    signing: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    openings: int = 0

    def __post_init__(self) -> None:
        self.store = LocalStore(self.folder / "recordings")
        self.ledger = Ledger(self.folder / "ledger", self.signing)

    def seal(self, name: str, rows: list[int], *, markers: Sequence[str] = ()) -> list[Recorded]:
        """Record sessions with these numbers of rows, open them in the ledger, and seal them."""
        recorded = []
        for count in rows:
            self.openings += 1
            one = record(self.signing, self.openings, blocks_of(count), markers=markers)
            recorded.append(one)
            self.ledger.append([Leaf.OPENED, one.session, WORKER, self.openings])
            self.ledger.append([Leaf.HEAD, one.session, 1, one.entries[0].chain])
        self.ledger.commit()
        self.store.put(name, [container(recorded)])
        for one in recorded:
            self.ledger.append([Leaf.SEALED, one.session, one.root])
        self.ledger.commit()
        return recorded

    def verify(
        self, *, kept: Head | None = None, pinned: bool = True, journal_key: X25519PrivateKey | None = None
    ) -> Report:
        return Verifier(
            self.folder / "ledger",
            self.store,
            self.signing.public_key(),
            pinned=pinned,
            kept=() if kept is None else (KeptHead("kept.json", kept),),
            journal_key=journal_key,
        ).run()
