"""Closed sessions into containers: keys first, then the object, so that a crash can always be finished.

An intent file names the container and its sessions before anything is written. After a crash, an object that
is whole is kept and its sessions count as sealed; one that is not there was never made.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cbor2
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive.builder import SessionBuilder
from bodycam.archive.format.container import MAGIC, Place, footer, read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store import ObjectExists, ObjectMissing, Store
from bodycam.model import ids

log = structlog.get_logger(__name__)

SUFFIX = ".bcr"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A container that is in the store, and where each session is in it."""

    name: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Sessions that become one container. Their builders are not touched any more until it is sealed."""

    name: str
    builders: tuple[SessionBuilder, ...]


def container_name(now: float) -> str:
    """A fresh name, under its day in UTC."""
    return f"{time.strftime('%Y/%m/%d', time.gmtime(now))}/{ids.new_id(ids.CONTAINER)}{SUFFIX}"


class Sealer:
    """Writes containers. Blocking; used by one thread at a time."""

    def __init__(self, intent: Path, store: Store, keystore: KeyStore, signing: Ed25519PrivateKey) -> None:
        self._intent, self._store, self._keystore, self.signing = intent, store, keystore, signing

    def seal(self, batch: Batch) -> Sealed:
        """Put a batch into the store. May be called again after a failure.

        Raises:
            StoreUnavailable: the store did not take it.
            OSError: intent or key store can't be written.
        """
        now = time.time_ns() // 1_000_000
        places: list[Place] = []
        tails: list[bytes] = []
        offset = len(MAGIC)
        for builder in batch.builders:
            tail, root = builder.writer.finish(
                self.signing,
                totals=builder.progress.totals,
                outcome=builder.progress.outcome or "",
                markers=builder.progress.markers,
                worker=builder.key[0],
                opening=builder.key[1],
                sealed=now,
            )
            length = builder.writer.size + len(tail)
            places.append(Place(builder.session, offset, length, root))
            tails.append(tail)
            offset += length
        _write_intent(self._intent, batch.name)
        self._keystore.put([(one.session, one.data_key, one.kek) for one in batch.builders])
        try:
            self._store.put(batch.name, _parts(batch.builders, tails, places))
        except ObjectExists:
            # an earlier try went through after all: what is there is what counts
            places = list(self._places(batch.name))
        return Sealed(batch.name, tuple(places))

    def recover(self) -> Sealed | None:
        """What the last process was sealing when it died, if its container is in the store."""
        try:
            name = str(cbor2.loads(self._intent.read_bytes()))
        except (FileNotFoundError, cbor2.CBORDecodeError):
            return None
        try:
            return Sealed(name, self._places(name))
        except ObjectMissing:
            self.forget()
            return None
        except FormatDamaged as error:
            log.error("a container that was being sealed is damaged", container=name, error=str(error))
            return None

    def forget(self) -> None:
        """The batch is in the ledger: the intent is not needed any more."""
        self._intent.unlink(missing_ok=True)

    def _places(self, name: str) -> tuple[Place, ...]:
        found, _ = read_footer(
            lambda offset, length: self._store.get_range(name, offset, length), self._store.size(name)
        )
        return tuple(found)


def _parts(
    builders: Sequence[SessionBuilder], tails: Sequence[bytes], places: list[Place]
) -> Iterator[bytes]:
    yield MAGIC
    for builder, tail in zip(builders, tails, strict=True):
        yield builder.writer.header
        if builder.staging is not None:
            yield from builder.staging.blocks()
        yield from builder.blocks
        yield tail
    yield footer(places)


def _write_intent(path: Path, name: str) -> None:
    partial = path.with_suffix(".new")
    with partial.open("wb") as stream:
        stream.write(cbor2.dumps(name))
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
