"""Following one worker's journal: its entries into builders, its end into the ends of its sessions."""

from collections.abc import Iterable
from typing import Protocol

import structlog

from bodycam.archive.builder import SessionBuilder, SessionKey, Taken
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.journal.entry import Entry, Plain
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.folder import IncarnationFolder
from bodycam.journal.follower import Follower, FollowState
from bodycam.model.event import Kind

log = structlog.get_logger(__name__)

MALFORMED = (FormatDamaged, ValueError, TypeError, LookupError, AttributeError)
_OPENED, _CLOSED = int(Kind.OPENED), int(Kind.CLOSED)


class Sessions(Protocol):
    """What the archivist does with the sessions of a journal."""

    def begin(self, key: SessionKey, entry: Entry) -> SessionBuilder | None:
        """A session opened; None when it is sealed already."""

    def taken(self, events: Taken) -> None:
        """Builders have taken events, in this order."""

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
        self._openings = self._reached = 0

    @property
    def done(self) -> bool:
        """Whether the journal is read to its end and every session of it has ended."""
        return self._ended

    @property
    def behind(self) -> bool:
        """Whether the last poll left something, because it had taken enough."""
        return not self._ended and self._follower.more

    def poll(self, max_bytes: int) -> bool:
        """Take what is new; returns whether there was anything."""
        if self._ended:
            return False
        taken = Taken()
        found = 0
        try:
            for generation, sequence, entries in self._follower.batches(max_bytes):
                found += 1
                self._reached = sequence
                self._take(entries, generation, sequence, taken)
        except JournalDamaged as error:
            self._damaged(error, taken)
            self._give(taken)
            return True
        if self._follower.state is not FollowState.LIVE:
            self._finish(taken)
        self._give(taken)
        return found > 0 or self._ended

    def cover(self) -> None:
        """Tell the builders how far the journal was read; what staging then covers is all before that."""
        for builder in self.builders.values():
            builder.covered = max(builder.covered, self._reached)

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

    def _take(self, entries: list[Plain], generation: int, sequence: int, taken: Taken) -> None:
        builders = self.builders
        for entry in entries:
            opening, exchange, kind, _, body = entry
            builder = builders.get(opening)
            if builder is None:
                # of a session that is sealed, or whose opening was lost to damage, unless it opens here
                builder = self._begin(Entry(*entry)) if kind == _OPENED else None
                if builder is None:
                    continue
            elif sequence <= builder.covered or builder.closed:
                self._openings = max(self._openings, opening)
                continue  # staged before a restart
            if builder.full and kind != _CLOSED:
                self._no_room(builder, generation, taken)
                continue
            try:
                at = builder.add(entry, generation)
            except MALFORMED as error:
                self._malformed(Entry(*entry), error)
                builder.mark_lost(generation, f"a journaled event of kind {kind} makes no sense")
                continue
            taken.add(builder, kind, at, exchange, body)
            if builder.closed:
                self._sessions.ended(builder)

    def _give(self, taken: Taken) -> None:
        if taken.kinds:
            self._sessions.taken(taken)

    def _begin(self, entry: Entry) -> SessionBuilder | None:
        if entry.session > self._openings + 1 and self._openings:
            self.gaps += 1
            log.error("openings are missing in a journal", journal=str(self.path), before=entry.session)
        builder = None
        try:
            builder = self._sessions.begin((self.incarnation, entry.session), entry)
        except MALFORMED as error:
            self._malformed(entry, error)
        self._openings = max(self._openings, entry.session)
        if builder is not None:
            self.builders[entry.session] = builder
        return builder

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

    def _damaged(self, error: JournalDamaged, taken: Taken) -> None:
        self.damages += 1
        log.error("a journal is damaged; reading goes on behind it", error=str(error))
        self._follower.pass_over()
        generation = self._follower.position.generation or 1
        for builder in self._open():
            if builder.full:
                self._no_room(builder, generation, taken)
            else:
                builder.mark_lost(generation, str(error))

    def _no_room(self, builder: SessionBuilder, generation: int, taken: Taken) -> None:
        """The last resort for a session without end: its recording ends, and says so."""
        log.error(
            "a recording is full and ends; what follows of its session is not recorded",
            session=builder.opened["session"],
            blocks=len(builder.writer.entries),
        )
        builder.end_without_room(generation, taken)
        self._sessions.ended(builder)

    def _finish(self, taken: Taken) -> None:
        torn = self._follower.torn
        lost = None if torn is None else f"{torn.reason} (segment {torn.generation}, offset {torn.offset})"
        for builder in self._open():
            builder.end_for_the_dead(self._follower.position.generation or 1, taken, lost_tail=lost)
            self._sessions.ended(builder)
        self._ended = True

    def _open(self) -> list[SessionBuilder]:
        return [builder for builder in self.builders.values() if not builder.closed]
