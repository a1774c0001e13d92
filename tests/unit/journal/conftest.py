"""A journal in a temporary folder, small enough that a few kilobytes fill a segment."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal.entry import Entry
from bodycam.journal.follower import Follower
from bodycam.journal.settings import JournalSettings
from bodycam.journal.writer import JournalWriter

SEGMENT = 64 * 1024

Make = Callable[..., JournalWriter]
Follow = Callable[..., Follower]


@pytest.fixture(scope="session")
def private() -> X25519PrivateKey:
    return X25519PrivateKey.generate()


@pytest.fixture
def make(tmp_path: Path, private: X25519PrivateKey) -> Iterator[Make]:
    """Makes writers; those that a test leaves open are abandoned, as kill -9 would."""
    made: list[JournalWriter] = []

    def build(root: Path | None = None, **settings: Any) -> JournalWriter:
        incarnation = os.urandom(16)
        chosen = {"segment_bytes": SEGMENT, "max_bytes": 64 * SEGMENT, "disk_reserve": 0, **settings}
        writer = JournalWriter.create(
            (root or tmp_path / "journal") / incarnation.hex(),
            incarnation=incarnation,
            recipient=private.public_key(),
            settings=JournalSettings(**chosen),
        )
        made.append(writer)
        return writer

    yield build
    for writer in made:
        abandon(writer)


@pytest.fixture
def follow(private: X25519PrivateKey) -> Iterator[Follow]:
    made: list[Follower] = []

    def build(folder: Path, *more: Any) -> Follower:
        made.append(Follower(folder, private, *more))
        return made[-1]

    yield build
    for follower in made:
        follower.close()


def abandon(writer: JournalWriter) -> None:
    """Let go of everything as the kernel does for a process that was killed: no mark, no trim."""
    if not writer._closed:
        writer._closed = True
        writer._supply._pool.shutdown(wait=True)
        coming = writer._supply._coming
        if coming is not None and coming.exception() is None:
            coming.result().close()
        writer._syncer.close()
        writer._active.close()
        os.close(writer._lock)


def put(writer: JournalWriter, *bodies: bytes) -> int:
    """Append the bodies as events of session 1 and commit them."""
    position = writer.pending
    for number, body in enumerate(bodies):
        position = writer.append(1, number, 4, body)
    writer.commit()
    return position


def bodies(follower: Follower, **options: Any) -> list[bytes]:
    """The bodies of all that the follower has now."""
    return [entry.body for entry in drain(follower, **options)]


def drain(follower: Follower, **options: Any) -> list[Entry]:
    """All entries that the follower has now."""
    entries: list[Entry] = []
    while found := follower.poll(**options):
        entries += [entry for _, batch in found for entry in batch]
    return entries
