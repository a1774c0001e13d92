"""What an archivist takes up at its start: the ledger's sessions, a sealing cut off, and staged sessions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bodycam.archive import builder as building
from bodycam.archive.blocks import BlockPlan
from bodycam.archive.builder import SessionBuilder, SessionKey
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.archive.sealing import Sealed
from bodycam.archive.staging import StagingFile, staged

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Known:
    """The sessions in the ledger.

    `opened` and `done` are those of journals that are still there, by their key: opened, and sealed. `sealed`
    has the raw ids of all that are sealed. `deleted` has, while an archivist starts, the tombstones by
    session: index of the leaf, its time, its hash; `redacted` has those of redactions, with both
    roots before the hash. `newest` is the time of the last leaf that was read, 0 when there was none;
    both in Unix milliseconds.
    """

    opened: set[SessionKey] = field(default_factory=set)
    done: set[SessionKey] = field(default_factory=set)
    sealed: set[bytes] = field(default_factory=set)
    deleted: dict[bytes, tuple[int, int, bytes]] = field(default_factory=dict)
    redacted: dict[bytes, list[tuple[int, int, bytes, bytes, bytes]]] = field(default_factory=dict)
    newest: int = 0
    _keys: dict[bytes, SessionKey] = field(default_factory=dict)

    def read(self, ledger: Ledger, journals: set[bytes]) -> None:
        """Read the ledger's leaves; `journals` are the incarnations of which anything is left."""
        for index, leaf in enumerate(ledger.leaves()):
            self.newest = leaf[1]
            if leaf[0] == Leaf.OPENED and leaf[3] in journals:
                self._keys[leaf[2]] = key = (leaf[3], leaf[4])
                self.opened.add(key)
            elif leaf[0] == Leaf.SEALED:
                self._seal(leaf[2])
            elif leaf[0] == Leaf.DELETED:
                self.deleted[leaf[2]] = (index, leaf[1], leaf[3])
            elif leaf[0] == Leaf.REDACTED:
                self.redacted.setdefault(leaf[2], []).append((index, leaf[1], *leaf[3:6]))

    def finish(self, ledger: Ledger, sealed: Sealed) -> None:
        """Enter a container that an earlier process put into the store and may not have entered."""
        for place in sealed.places:
            if place.session not in self.sealed:
                ledger.append([Leaf.SEALED, place.session, place.root])
                self._seal(place.session)
        ledger.commit()

    def settle(self) -> None:
        """Forget what only starting needs."""
        self._keys.clear()

    def forget(self, incarnation: bytes) -> None:
        """A journal is gone: its keys come up no more."""
        self.opened = {key for key in self.opened if key[0] != incarnation}
        self.done = {key for key in self.done if key[0] != incarnation}

    def _seal(self, session: bytes) -> None:
        self.sealed.add(session)
        if (key := self._keys.pop(session, None)) is not None:
            self.done.add(key)


def staged_sessions(
    folder: Path, keystore: KeyStore, sealed: set[bytes], plan: BlockPlan
) -> Iterator[SessionBuilder]:
    """The sessions that were being staged, as far as their files go; files without use are put away."""
    for path in staged(folder):
        found = StagingFile.found(path)
        if found is None:
            _unusable(path, "its header is cut off or damaged")
            continue
        staging, incarnation, opening = found
        if staging.session in sealed:
            staging.remove()
            continue
        try:
            data_key = keystore.get(staging.session)
            builder = building.resume(staging, (incarnation, opening), data_key, plan)
        except (FormatDamaged, KeyGone) as error:
            _unusable(path, str(error))
            continue
        if builder is None:
            staging.remove()
        else:
            yield builder


def staged_incarnations(folder: Path) -> set[bytes]:
    """The incarnations of the sessions that were being staged."""
    found = (StagingFile.found(path) for path in staged(folder))
    return {one[1] for one in found if one is not None}


def _unusable(path: Path, reason: str) -> None:
    log.error("a staging file is unusable; what the journal still has is kept", file=str(path), reason=reason)
    path.rename(path.with_suffix(".unusable"))
