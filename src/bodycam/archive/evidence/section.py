"""The part of the ledger that a run fell into, and the leaves about it that came later.

All leaves of the run's time are in a bundle, whosever they are: random ids and salted hashes. With the roots
of what is before them they lead to the signed head, so that none can be missing, and every session that was
opened in that time is told, by the gapless numbers of the workers too.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bodycam.archive import frames
from bodycam.archive.leaf import Leaf, decode_leaf

BEFORE, AFTER = 2_000, 15_000
"""Milliseconds before a run's beginning and after its end whose leaves are taken too: clocks differ a little,
and its sessions are sealed when it has ended."""

_OWN = (Leaf.OPENED, Leaf.HEAD, Leaf.SEALED)


@dataclass(slots=True)
class Section:
    """What one look through the ledger found.

    Attributes:
        begin, end: the leaves of the run's time, end excluded.
        first, last: where the frames of these begin and end in the file, in bytes.
        later: leaves about the run outside of them, and all that say which key signs, by index.
        opened, sealed, deleted: the run's sessions of which there are such leaves, with what these say.
        viewed: indices of the leaves that say that one of the sessions was viewed.
    """

    begin: int = 0
    end: int = 0
    first: int = 0
    last: int = 0
    later: dict[int, bytes] = field(default_factory=dict)
    opened: set[bytes] = field(default_factory=set)
    sealed: dict[bytes, bytes] = field(default_factory=dict)
    deleted: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    viewed: set[int] = field(default_factory=set)


def look_through(
    file: Path,
    size: int,
    *,
    sessions: Collection[bytes],
    acts: Collection[int],
    since: int,
    until: int,
) -> Section:
    """Read the first `size` leaves once, for the run's sessions, the acts (by index) and its time.

    `since` and `until` are Unix milliseconds. Takes as long as reading the ledger takes.

    Raises:
        OSError, BadFrame, ValueError: it can't be read.
    """
    found, begun = Section(), False
    index = position = 0
    for index, offset, data, leaf in _leaves(file, size):
        position = offset + frames.OVERHEAD + len(data)
        own = leaf[0] != Leaf.ADMIN and leaf[2] in sessions
        if own:
            _take(found, index, leaf)
        in_time = since - BEFORE <= leaf[1] <= until + AFTER
        if in_time or (own and leaf[0] in _OWN):
            if not begun:
                found.begin, found.first, begun = index, offset, True
            found.end, found.last = index + 1, position
        if (own and leaf[0] not in _OWN) or index in acts or leaf[0] == Leaf.SIGNING:
            found.later[index] = data
    if not begun:
        found.begin = found.end = size
        found.first = found.last = position
    # those of sessions' openings, chains and sealings widen the section, and so are in it
    found.later = {at: data for at, data in found.later.items() if not found.begin <= at < found.end}
    return found


def openings(file: Path, section: Section) -> Iterator[bytes]:
    """The sessions that were opened within a section."""
    for _, _, _, leaf in _leaves(file, section.end, section.begin, section.first):
        if leaf[0] == Leaf.OPENED:
            yield leaf[2]


def _leaves(
    file: Path, until: int, index: int = 0, start: int = 0
) -> Iterator[tuple[int, int, bytes, list[Any]]]:
    with file.open("rb") as stream:
        leaves = frames.read(stream, start)
        # what is behind the last of them may be half written just now
        while index < until:
            found = next(leaves, None)
            if found is None:
                raise ValueError(f"it ends after {index} leaves, and a head was signed over more")
            yield index, *found, decode_leaf(found[1])
            index += 1


def _take(found: Section, index: int, leaf: list[Any]) -> None:
    match leaf:
        case [Leaf.OPENED, _, session, _, _]:
            found.opened.add(session)
        case [Leaf.SEALED, _, session, root]:
            found.sealed[session] = root
        case [Leaf.REDACTED, _, session, _, new, _]:
            found.sealed[session] = new
        case [Leaf.DELETED, ms, session, digest]:
            found.deleted[session] = ms, digest
        case [Leaf.VIEWED, *_]:
            found.viewed.add(index)
