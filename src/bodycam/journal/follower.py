"""The journal's reader: follows one incarnation while it is written, and to its end when its writer died.

A bad record means "not yet" while the writer holds its lock, and "torn" after; when sound records follow it,
it is damage either way.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal import layout
from bodycam.journal.assembly import Assembly
from bodycam.journal.entry import Entry, Position
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.folder import incarnation_of, is_live, segments_of
from bodycam.journal.layout import RecordType
from bodycam.journal.reader import Record, SegmentReader, Unready

PATIENCE = 2.0
"""Seconds for which a bad record of a live writer is "not yet" before what follows it is looked at."""


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
        torn: what stands behind the last whole record, once the state is DEAD.
        position: the last batch that `poll` gave; what `after` of a later follower takes.
    """

    def __init__(self, folder: Path, private: X25519PrivateKey, after: Position | None = None) -> None:
        """Follow from the oldest segment on, or behind `after`, of which nothing is given again.

        Raises:
            ValueError: the folder's name is no incarnation.
        """
        incarnation = incarnation_of(folder)
        if incarnation is None:
            raise ValueError(f"{folder} is not named by an incarnation")
        self.folder, self.incarnation, self._private = folder, incarnation, private
        self.state = FollowState.LIVE
        self.torn: TornTail | None = None
        self.position = after or Position(0, 0)
        self._expected: int | None = None
        self._next: int | None = None
        self._reader: SegmentReader | None = None
        self._assembly = Assembly()
        self._writer_gone = False
        self._bad: tuple[int, int, float] | None = None
        self._behind_damage: Place | None = None
        self._check_first = after is not None
        self._past_damage = False

    def poll(self, max_bytes: int = 4 * 1024 * 1024) -> list[tuple[Position, list[Entry]]]:
        """Whole batches in order, about `max_bytes` of them at most; nothing when nothing is new.

        Raises:
            JournalDamaged: what comes next is bad although more follows it. It is raised until `pass_over`.
        """
        found: list[tuple[Position, list[Entry]]] = []
        taken = 0
        while self.state is FollowState.LIVE and taken < max_bytes:
            try:
                if not self._open():
                    break
                reader = self._reader
                assert reader is not None
                record = reader.read(self._expected)
                if isinstance(record, Unready):
                    reader.forget()
                    if found or not self._judge(reader, record):
                        break
                    continue
                taken += len(record.plain)
                self._take(reader, record, found)
            except JournalDamaged:
                if found:
                    break
                raise
        return found

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
            kept = [generation for generation, _ in segments if generation >= self.position.generation]
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
            if isinstance(record, Record):
                return Place(later)
        return None

    # -- records -------------------------------------------------------------------------------------

    def _take(self, reader: SegmentReader, record: Record, found: list[tuple[Position, list[Entry]]]) -> None:
        after = self.position.sequence
        if self._check_first and record.sequence > after + 1:
            reason = f"record {record.sequence} is the first that is left; {after + 1} was expected"
            self._behind_damage = Place(reader.generation, layout.HEADER_BYTES, record.sequence)
            reader.offset = layout.HEADER_BYTES
            raise JournalDamaged(reader.path, layout.HEADER_BYTES, reason)
        self._check_first = False
        self._expected = record.sequence + 1
        match record.plain[0]:
            case RecordType.SEGMENT_END:
                self._next = reader.generation + 1
                self._leave()
            case RecordType.CLOSED:
                self.state = FollowState.ENDED
                self._leave()
            case RecordType.ENTRIES:
                if record.sequence <= after:
                    return
                self._add(reader, record, found)
            case other:
                self._spoilt(reader, record, f"record {record.sequence} is of the unknown type {other}")

    def _add(self, reader: SegmentReader, record: Record, found: list[tuple[Position, list[Entry]]]) -> None:
        try:
            whole = self._assembly.add(reader.generation, record.plain)
        except ValueError as error:
            self._spoilt(reader, record, str(error))
            return
        if whole is not None:
            self.position = Position(whole.generation, record.sequence)
            found.append((self.position, whole.entries))

    def _spoilt(self, reader: SegmentReader, record: Record, reason: str) -> None:
        """A record that verifies and makes no sense: its writer was not ours."""
        self._behind_damage = Place(reader.generation, reader.offset, record.sequence + 1)
        length = layout.record_bytes(len(record.plain) + layout.TAG_BYTES)
        reader.offset -= length
        self._expected = record.sequence
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
            if isinstance(reader.read(self._expected), Record):
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
