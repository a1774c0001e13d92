"""The journal's reader: follows one incarnation while it is written, and to its end when its writer died.

A bad record means "not yet" while the writer holds its lock, and "torn" after; when sound records follow it,
it is damage either way.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, NoReturn

from bodycam.journal import layout
from bodycam.journal.assembly import Assembly
from bodycam.journal.entry import Entry, Plain, Position
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.folder import incarnation_of, is_live, segments_of
from bodycam.journal.layout import RecordType
from bodycam.journal.reader import SegmentReader, Unready
from bodycam.journal.wrapping import Opener

PATIENCE = 2.0
"""Seconds for which a bad record of a live writer is "not yet" before what follows it is looked at."""


_ENTRIES = int(RecordType.ENTRIES)


class FollowState(StrEnum):
    """Whether more can come."""

    LIVE = "live"
    ENDED = "ended"  # the writer closed in order
    DEAD = "dead"  # the writer is gone and all that it wrote was read


class Place(NamedTuple):
    """Where reading can go on: at a record in the open segment, or at the start of a generation."""

    generation: int
    offset: int | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class TornTail:
    """Bytes behind the last whole record of a writer that died: a record it never finished, or lost power."""

    generation: int
    offset: int
    reason: str


class Follower:
    """Reads one incarnation's folder in order. Blocking file access; not for two threads at once.

    Attributes:
        state: whether more can come.
        more: whether reading ended the last time because it had enough.
        torn: what stands behind the last whole record, once the state is DEAD.
        position: the last batch that was given; what `after` of a later follower takes.
    """

    def __init__(self, folder: Path, private: Opener, after: Position | None = None) -> None:
        """Follow from the oldest segment on, or behind `after`, of which nothing is given again.

        Raises:
            ValueError: the folder's name is no incarnation.
        """
        incarnation = incarnation_of(folder)
        if incarnation is None:
            raise ValueError(f"{folder} is not named by an incarnation")
        self.folder, self.incarnation, self._private = folder, incarnation, private
        self.state = FollowState.LIVE
        self.more = False
        self.torn: TornTail | None = None
        self._generation, self._sequence = after or (0, 0)
        self._expected: int | None = None
        self._next: int | None = None
        self._reader: SegmentReader | None = None
        self._assembly = Assembly()
        self._writer_gone = False
        self._bad: tuple[int, int, float] | None = None
        self._behind_damage: Place | None = None
        self._check_first = after is not None
        self._past_damage = False

    @property
    def position(self) -> Position:
        """The last batch that was given."""
        return Position(self._generation, self._sequence)

    def poll(self, max_bytes: int = 4 * 1024 * 1024) -> list[tuple[Position, list[Entry]]]:
        """Whole batches in order, about `max_bytes` of them at most; nothing when nothing is new.

        Raises:
            JournalDamaged: what comes next is bad although more follows it. It is raised until `pass_over`.
        """
        return [
            (Position(generation, sequence), [Entry(*entry) for entry in entries])
            for generation, sequence, entries in self.batches(max_bytes)
        ]

    def batches(self, max_bytes: int) -> Iterator[tuple[int, int, list[Plain]]]:
        """What `poll` gives, in plain tuples that are read as they are taken.

        Raises:
            JournalDamaged: as `poll` does, and only instead of the first batch.
        """
        found, taken = 0, 0
        self.more = False
        while self.state is FollowState.LIVE and taken < max_bytes:
            try:
                if not self._open():
                    return
                reader = self._reader
                assert reader is not None
                plain = reader.read(self._expected)
                if isinstance(plain, Unready):
                    reader.forget()
                    if found or not self._judge(reader, plain):
                        return
                    continue
                entries = self._take(reader, plain)
            except JournalDamaged:
                if found:
                    return
                raise
            taken += len(plain)
            if entries is not None:
                found += 1
                yield self._generation, self._sequence, entries
        self.more = self.state is FollowState.LIVE

    def pass_over(self) -> Position | None:
        """Go on behind the damage that `poll` just raised; what it hid is lost, and the caller records that.

        Returns the place from which reading goes on, or None when there was no damage.
        """
        if self._behind_damage is None:
            return None
        generation, offset, sequence = self._behind_damage
        self._behind_damage = self._bad = None
        self._check_first, self._past_damage = False, True
        self._assembly.drop()
        self._expected = sequence
        if offset is not None and self._reader is not None:
            self._reader.forget()
            self._reader.offset = offset
        else:
            self._leave()
            self._next = generation
        return Position(generation, sequence or 0)

    def retire(self, before: int) -> None:
        """Remove the segments of generations below `before`, of which all must be sealed.

        Raises:
            ValueError: that would remove what was not read yet.
            OSError: a segment can't be removed.
        """
        reading = self._reader.generation if self._reader is not None else self._next
        if self.state is FollowState.LIVE and before > self._assembly.begun_in(reading or 1):
            raise ValueError(f"generation {before - 1} of the journal {self.folder} was not read to its end")
        for generation, path in segments_of(self.folder):
            if generation < before:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the open segment; the follower is not used any more."""
        self._leave()

    # -- segments ----------------------------------------------------------------------------------

    def _open(self) -> bool:
        """Have a reader; False when there is nothing to read."""
        if self._reader is not None:
            return True
        if self._next is None:
            segments = segments_of(self.folder) if self.folder.is_dir() else []
            kept = [generation for generation, _ in segments if generation >= self._generation]
            if not kept:
                # a folder gets its name with its first segment in it, so this one was emptied
                self.state = FollowState.DEAD
                return False
            self._next = kept[0]
            if kept[0] == 1 and self._expected is None:
                self._expected = 1
        path = self.folder / layout.segment_name(self._next)
        try:
            self._reader = SegmentReader(path, self._next, self.incarnation, self._private)
        except JournalDamaged:
            self._behind_damage = self._later_segment(self._next)
            if self._behind_damage is None:
                if self._past_damage and not path.exists():
                    # the damage was named; behind it there is nothing, or nothing yet
                    if not is_live(self.folder):
                        self.state = FollowState.DEAD
                    return False
                self._behind_damage = Place(self._next + 1)
            raise
        self._bad = None
        return True

    def _leave(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _later_segment(self, generation: int) -> Place | None:
        """The next segment that holds a sound record, as a place to go on from."""
        for later, path in segments_of(self.folder):
            if later <= generation:
                continue
            try:
                reader = SegmentReader(path, later, self.incarnation, self._private)
            except JournalDamaged:
                continue
            record = reader.read(None)
            reader.close()
            if isinstance(record, bytes):
                return Place(later)
        return None

    # -- records -------------------------------------------------------------------------------------

    def _take(self, reader: SegmentReader, plain: bytes) -> list[Plain] | None:
        """The entries that a record brings, if it ends with a whole one; `position` is then its place."""
        sequence, after = reader.sequence, self._sequence
        if self._check_first and sequence > after + 1:
            reason = f"record {sequence} is the first that is left; {after + 1} was expected"
            self._behind_damage = Place(reader.generation, layout.HEADER_BYTES, sequence)
            reader.offset = layout.HEADER_BYTES
            raise JournalDamaged(reader.path, layout.HEADER_BYTES, reason)
        self._check_first = False
        self._expected = sequence + 1
        kind = plain[0]
        if kind == _ENTRIES:
            return self._add(reader, plain) if sequence > after else None
        if kind == RecordType.SEGMENT_END:
            self._next = reader.generation + 1
            self._leave()
        elif kind == RecordType.CLOSED:
            self.state = FollowState.ENDED
            self._leave()
        else:
            self._spoilt(reader, plain, f"record {sequence} is of the unknown type {kind}")
        return None

    def _add(self, reader: SegmentReader, plain: bytes) -> list[Plain] | None:
        try:
            entries = self._assembly.add(reader.generation, plain)
        except ValueError as error:
            self._spoilt(reader, plain, str(error))
        if entries is not None:
            self._generation, self._sequence = self._assembly.generation, reader.sequence
        return entries

    def _spoilt(self, reader: SegmentReader, plain: bytes, reason: str) -> NoReturn:
        """A record that verifies and makes no sense: its writer was not ours."""
        sequence = reader.sequence
        self._behind_damage = Place(reader.generation, reader.offset, sequence + 1)
        reader.offset -= layout.record_bytes(len(plain) + layout.TAG_BYTES)
        self._expected = sequence
        raise JournalDamaged(reader.path, reader.offset, reason)

    def _judge(self, reader: SegmentReader, unready: Unready) -> bool:
        """What a place without a whole record means. True: read it again. False: nothing more for now.

        Raises:
            JournalDamaged: sound records follow.
        """
        if not self._writer_gone:
            if not is_live(self.folder):
                # what it wrote between our read and its death is still to be read
                self._writer_gone = True
                return True
            if not self._impatient(reader, unready):
                return False
        behind = self._sound_behind(reader, unready)
        if behind is not None:
            if isinstance(reader.read(self._expected), bytes):
                # the writer went on between our read and the look behind
                reader.offset = unready.offset
                return True
            self._behind_damage = behind
            raise JournalDamaged(reader.path, unready.offset, unready.reason)
        if not self._writer_gone:
            return False
        if not unready.empty or reader.first_byte(unready.offset) is not None:
            self.torn = TornTail(reader.generation, unready.offset, unready.reason)
        elif self._assembly.open:
            self.torn = TornTail(reader.generation, unready.offset, "the end of an event is missing")
        self.state = FollowState.DEAD
        self._leave()
        return False

    def _impatient(self, reader: SegmentReader, unready: Unready) -> bool:
        now = time.monotonic()
        place = (reader.generation, unready.offset)
        if self._bad is None or self._bad[:2] != place:
            self._bad = (*place, now)
            return False
        if now - self._bad[2] < PATIENCE:
            return False
        self._bad = (*place, now)
        return True

    def _sound_behind(self, reader: SegmentReader, unready: Unready) -> Place | None:
        # where a live writer has published nothing, only its going on in another segment can tell
        later = None if unready.empty and not self._writer_gone else reader.later(self._expected)
        if later is not None:
            return Place(reader.generation, *later)
        return self._later_segment(reader.generation)
