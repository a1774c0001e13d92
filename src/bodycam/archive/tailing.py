"""Following one worker's journal: its entries into builders, its end into the ends of its sessions."""

from collections.abc import Iterable
from typing import Protocol

import structlog

from bodycam.archive.builder import SessionBuilder, SessionKey, entry_of
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.journal.entry import Entry
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.folder import IncarnationFolder
from bodycam.journal.follower import Follower, FollowState
from bodycam.model.event import Event, Kind

log = structlog.get_logger(__name__)

MALFORMED = (FormatDamaged, ValueError, TypeError, LookupError, AttributeError)


class Sessions(Protocol):
    """What the archivist does with the sessions of a journal."""

    def begin(self, key: SessionKey, entry: Entry) -> SessionBuilder | None:
        """A session opened; None when it is sealed already."""

    def event(self, builder: SessionBuilder, entry: Entry, at: int) -> None:
        """A builder has taken an event."""

    def ended(self, builder: SessionBuilder) -> None:
        """A session's last event is in."""


class Tail:
    """One incarnation's journal and the sessions in it that are not sealed yet."""

    def __init__(
        self,
        folder: IncarnationFolder,
        follower: Follower,
        sessions: Sessions,
        builders: Iterable[SessionBuilder],
    ) -> None:
        self.incarnation, self.path = folder.incarnation, folder.path
        self._follower, self._sessions = follower, sessions
        self.builders: dict[int, SessionBuilder] = {builder.key[1]: builder for builder in builders}
        self._ended = False
        self.damages = 0
        self.gaps = 0
        self._openings = 0

    @property
    def done(self) -> bool:
        """Whether the journal is read to its end and every session of it has ended."""
        return self._ended

    def poll(self, max_bytes: int) -> bool:
        """Take what is new; returns whether there was anything."""
        if self._ended:
            return False
        try:
            batches = self._follower.poll(max_bytes)
        except JournalDamaged as error:
            self._damaged(error)
            return True
        for position, entries in batches:
            for entry in entries:
                self._take(entry, position.generation, position.sequence)
            for builder in {entry.session: self.builders.get(entry.session) for entry in entries}.values():
                if builder is not None:
                    builder.covered = max(builder.covered, position.sequence)
        if self._follower.state is not FollowState.LIVE:
            self._finish()
            return True
        return bool(batches)

    def sealed(self, opening: int) -> None:
        """A session is sealed: its builder is done."""
        self.builders.pop(opening, None)

    def due(self, now: float, interval: float) -> list[SessionBuilder]:
        """The sessions that it is time to stage."""
        generation = self._follower.position.generation
        return [one for one in self.builders.values() if one.due(now, interval, generation)]

    def retire(self) -> None:
        """Remove the segments in which nothing is left that is neither sealed nor staged."""
        needed = [builder.oldest for builder in self.builders.values() if builder.oldest is not None]
        current = self._follower.position.generation
        self._follower.retire(min([*needed, current]))

    def close(self) -> None:
        """Let go of the files."""
        self._follower.close()

    def _take(self, entry: Entry, generation: int, sequence: int) -> None:
        builder = self.builders.get(entry.session)
        if builder is None:
            if entry.kind != Kind.OPENED:
                return  # of a session that is sealed, or whose opening was lost to damage
            if entry.session > self._openings + 1 and self._openings:
                self.gaps += 1
                log.error("openings are missing in a journal", journal=str(self.path), before=entry.session)
            try:
                builder = self._sessions.begin((self.incarnation, entry.session), entry)
            except MALFORMED as error:
                self._malformed(entry, error)
            self._openings = max(self._openings, entry.session)
            if builder is None:
                return
            self.builders[entry.session] = builder
        elif sequence <= builder.covered or builder.closed:
            self._openings = max(self._openings, entry.session)
            return  # staged before a restart
        if builder.full and entry.kind != Kind.CLOSED:
            self._no_room(builder, generation)
            return
        try:
            at = builder.add(entry, generation)
        except MALFORMED as error:
            self._malformed(entry, error)
            builder.mark_lost(generation, f"a journaled event of kind {entry.kind} makes no sense")
            return
        self._sessions.event(builder, entry, at)
        if builder.closed:
            self._sessions.ended(builder)

    def _malformed(self, entry: Entry, error: Exception) -> None:
        """Only a worker that is not ours any more writes what does not decode; its other sessions go on."""
        self.damages += 1
        log.error(
            "a journaled event makes no sense",
            journal=str(self.path),
            session=entry.session,
            kind=entry.kind,
            error=type(error).__name__,
        )

    def _damaged(self, error: JournalDamaged) -> None:
        self.damages += 1
        log.error("a journal is damaged; reading goes on behind it", error=str(error))
        self._follower.pass_over()
        generation = self._follower.position.generation or 1
        for builder in self._open():
            if builder.full:
                self._no_room(builder, generation)
            else:
                builder.mark_lost(generation, str(error))

    def _no_room(self, builder: SessionBuilder, generation: int) -> None:
        """The last resort for a session without end: its recording ends, and says so."""
        log.error(
            "a recording is full and ends; what follows of its session is not recorded",
            session=builder.opened["session"],
            blocks=len(builder.writer.entries),
        )
        self._ended_by_us(builder, builder.end_without_room(generation))

    def _finish(self) -> None:
        torn = self._follower.torn
        lost = None if torn is None else f"{torn.reason} (segment {torn.generation}, offset {torn.offset})"
        for builder in self._open():
            generation = self._follower.position.generation or 1
            self._ended_by_us(builder, builder.end_for_the_dead(generation, lost_tail=lost))
        self._ended = True

    def _ended_by_us(self, builder: SessionBuilder, events: list[Event]) -> None:
        for event in events:
            taken = entry_of(builder.key[1], event.kind, event.exchange, event.body)
            self._sessions.event(builder, taken, event.at)
        self._sessions.ended(builder)

    def _open(self) -> list[SessionBuilder]:
        return [builder for builder in self.builders.values() if not builder.closed]
