"""Checkpoints: open sessions are staged, so that their journal can go, and their chains enter the ledger."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog

from bodycam.archive.builder import SessionBuilder
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.archive.staging import StagingFile, sync_folder

log = structlog.get_logger(__name__)

TURN = 0.2
"""Seconds for which one call stages sessions."""

AT_ONCE = 64


class Checkpointer:
    """Brings sessions that are not sealed into staging files in `folder`."""

    def __init__(self, folder: Path, keystore: KeyStore, clock: Callable[[], float]) -> None:
        self._folder, self._keystore, self._clock = folder, keystore, clock

    def stage(self, builders: Sequence[SessionBuilder], *, all_at_once: bool) -> bool:
        """Stage these sessions, oldest need first; returns whether there was time for all.

        Many sessions take several calls, so that openings go on reaching the ledger in time. What can't be
        staged stays in the journal; the workers' own account of space does the rest.
        """
        done, until = 0, self._clock() + TURN
        try:
            while done < len(builders) and (all_at_once or self._clock() < until):
                self._stage(builders[done : done + AT_ONCE])
                done += AT_ONCE
        except (OSError, sqlite3.Error) as error:
            log.error("staging failed", error=str(error))
            return True
        return done >= len(builders)

    def _stage(self, builders: Sequence[SessionBuilder]) -> None:
        away = set(self._keystore.keyring.without({builder.kek for builder in builders}))
        # what has no key to be wrapped with stays in the journal; the others don't wait for it
        builders = [one for one in builders if one.staging is not None or one.kek not in away]
        fresh = [builder for builder in builders if builder.staging is None]
        self._keystore.put([(builder.session, builder.data_key, builder.kek) for builder in fresh])
        for builder in fresh:
            builder.staging = StagingFile.create(self._folder, *builder.key, builder.writer.header)
        if fresh:
            sync_folder(self._folder)
        for builder in builders:
            builder.stage(self._clock())


def with_largest(
    due: list[SessionBuilder], others: Iterable[SessionBuilder], size: int
) -> list[SessionBuilder]:
    """Those that are due, and of the others those that take most memory, until `size` bytes are together.

    The rest is spared a block that is nearly empty: a recording may not have any number of them.
    """
    found = {builder.key: builder for builder in due}
    size -= sum(builder.unstaged for builder in due)
    for builder in sorted(others, key=lambda one: one.unstaged, reverse=True):
        if size <= 0:
            break
        if builder.key not in found:
            found[builder.key] = builder
            size -= builder.unstaged
    return list(found.values())


def chain_heads(builders: Iterable[SessionBuilder], ledger: Ledger) -> None:
    """Put heads of chains into the ledger, of staged blocks alone: a crash can take back others."""
    for builder in builders:
        blocks, chain = builder.durable
        if not builder.closed and blocks > builder.headed:
            builder.headed = blocks
            ledger.append([Leaf.HEAD, builder.session, blocks, chain])
