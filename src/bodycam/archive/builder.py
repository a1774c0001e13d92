"""One session on its way from the journal into a recording: events to blocks, blocks to staging.

Bodies are copied as the journal holds them, once their form is known to be sound; data is not decoded.
"""

import hashlib
import itertools
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cbor2

from bodycam.archive import bodies
from bodycam.archive.blocks import BEHIND, BlockPlan
from bodycam.archive.format import v1
from bodycam.archive.format.container import SESSION_BYTES
from bodycam.archive.kek import DEFAULT
from bodycam.archive.staging import StagingFile
from bodycam.journal.entry import Entry, Plain
from bodycam.model import ids
from bodycam.model.event import Kind, Marker, Outcome, SessionOutcome

SessionKey = tuple[bytes, int]
"""A journal's incarnation and the session's opening number in it."""

_UINT64 = struct.Struct(">BQ")
_AT_MOST_23 = [bytes((number,)) for number in range(24)]
_EVENT = struct.Struct(">BBBIBQ")
"""The beginning of an event in the first 71 minutes of a session: an array of four, kind, time, exchange.

Numbers of the same width at the same place compress better than each in its shortest form.
"""
_UINT32_END = 1 << 32
_REQUEST, _FINISH, _NOTE, _CLOSED = (
    int(kind) for kind in (Kind.REQUEST, Kind.FINISH, Kind.NOTE, Kind.CLOSED)
)


@dataclass(slots=True)
class Progress:
    """What has to survive a crash beside the blocks themselves."""

    opened_at: int  # the writer's monotonic clock, nanoseconds
    last_at: int = 0  # microseconds since the opening
    exchanges: int = 0
    rows: int = 0
    bytes_to_client: int = 0
    bytes_to_target: int = 0
    markers: list[str] = field(default_factory=list)
    outcome: str | None = None
    open_exchanges: set[int] = field(default_factory=set)

    @property
    def totals(self) -> dict[str, int]:
        """What the manifest says of the whole session."""
        return {name: getattr(self, name) for name in _TOTALS}


_TOTALS = ("exchanges", "rows", "bytes_to_client", "bytes_to_target")


@dataclass(slots=True)
class Taken:
    """Events that builders have taken, in order, column by column.

    A tuple for each event would be one more object that the garbage collector looks through again and again.
    """

    builders: list["SessionBuilder"] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    ats: list[int] = field(default_factory=list)
    exchanges: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def add(self, builder: "SessionBuilder", kind: int, at: int, exchange: int, body: bytes) -> None:
        """Add an event."""
        self.builders.append(builder)
        self.kinds.append(kind)
        self.ats.append(at)
        self.exchanges.append(exchange)
        self.bodies.append(body)


def duplicate_id(key: SessionKey) -> bytes:
    """The raw id under which a session is recorded whose own id is taken, which no honest worker gives."""
    worker, opening = key
    return hashlib.sha256(b"bodycam duplicate v1" + worker + opening.to_bytes(4, "big")).digest()[:16]


class SessionBuilder:
    """Builds one session's recording."""

    def __init__(
        self, key: SessionKey, opened: dict[str, Any], progress: Progress, data_key: bytes, plan: BlockPlan
    ) -> None:
        self.key, self.opened, self.progress, self.data_key = key, opened, progress, data_key
        self.kek = DEFAULT  # the name of the key-encryption key that its data key is wrapped with
        self.name = str(opened["session"])
        self.session = ids.raw(self.name)
        self.born = self.ended = 0.0  # the archivist's clock when this process saw its opening and its end
        self.staged_at = 0.0  # the same clock, when it was staged last
        self._plan = plan
        self.writer = v1.SessionWriter(self.session, data_key, created=opened["started"] // 1_000_000)
        self.staging: StagingFile | None = None
        self.blocks: list[bytes] = []
        self.oldest: int | None = None  # the journal generation of the oldest event not yet staged
        self.covered = 0  # the journal sequence up to which this builder has seen everything
        self.headed = 0  # blocks when the chain head was last put into the ledger
        self.durable = 0, b""  # blocks in staging, and the chain after them: what a crash can't take back
        self.closed = progress.outcome is not None  # whether the session's last event is in
        self._pending = bytearray()
        self._pending_events = self._blocks_size = 0
        self._first_at = self._last_at = 0
        self._aim()

    @classmethod
    def begin(
        cls, key: SessionKey, entry: Entry, plan: BlockPlan, stored: Callable[[bytes], bytes | None]
    ) -> "SessionBuilder":
        """Start with a session's OPENED entry.

        `stored` gives the data key that an earlier process may have kept for the session: the key store never
        replaces a key, so a recording under another one could not be read.

        Raises:
            FormatDamaged, ValueError: it opens no session.
        """
        opened = bodies.opened(entry.body)
        session = ids.raw(opened["session"])
        if len(session) != SESSION_BYTES:
            raise ValueError("an opening whose session is no id")
        data_key = stored(session) or os.urandom(v1.KEY_BYTES)
        return cls(key, opened, Progress(entry.at), data_key, plan)

    def rename(self, session: bytes, data_key: bytes | None) -> None:
        """Take another id, before the first event."""
        self.session, self.data_key = session, data_key or os.urandom(v1.KEY_BYTES)
        self.name = ids.session_id(session)
        self.opened = {**self.opened, "session": self.name}
        created = self.opened["started"] // 1_000_000
        self.writer = v1.SessionWriter(session, self.data_key, created=created)

    @property
    def unstaged(self) -> int:
        """Bytes that only memory and the journal hold."""
        return self._blocks_size + len(self._pending)

    def due(self, now: float, interval: float, generation: int) -> bool:
        """Whether it is time to stage what has come; the journal is in that generation by now."""
        if self.oldest is None:
            return False
        if self.closed or not self.staged_at:
            return (self.ended if self.closed else self.born) + interval <= now
        patience = self._plan.patience(len(self.writer.entries), interval)
        return self.staged_at + patience <= now or generation - self.oldest >= BEHIND

    def add(self, entry: Plain, generation: int) -> int:
        """Take the next event; returns its time in microseconds since the opening.

        Raises:
            FormatDamaged, ValueError, TypeError, AttributeError: it makes no sense, and was not taken.
        """
        _, exchange, kind, at_ns, body = entry
        progress = self.progress
        at = (at_ns - progress.opened_at) // 1000
        if at < progress.last_at:
            at = progress.last_at
        if kind == _FINISH:
            rows, to_client, to_target = bodies.ending(body)
            progress.rows += rows
            progress.bytes_to_client += to_client
            progress.bytes_to_target += to_target
            progress.open_exchanges.discard(exchange)
        else:
            plain = bodies.checked(kind, body)
            if kind == _REQUEST:
                progress.exchanges += 1
                progress.open_exchanges.add(exchange)
            elif kind == _NOTE:
                self._noted(plain)
            elif kind == _CLOSED:
                progress.outcome = str(plain.get("outcome"))
                self.closed = True
        progress.last_at = at
        if self.oldest is None:
            self.oldest = generation
        pending = self._pending
        if not pending:
            self._first_at = at
        if len(body) > self._short or at >= _UINT32_END or kind > 23:
            self._append(kind, at, exchange, body)
            return at
        pending += _EVENT.pack(0x84, kind, 0x1A, at, 0x1B, exchange)
        pending += body
        self._pending_events += 1
        self._last_at = at
        if len(pending) >= self._target:
            self.cut_block()
        return at

    def end_for_the_dead(self, generation: int, taken: Taken, *, lost_tail: str | None) -> None:
        """Write the end of a session whose worker died: markers, unknown outcomes, CLOSED."""
        reason = "the gateway's worker died"
        notes = [{"note": Marker.INTERRUPTED.value, "reason": reason}]
        if lost_tail is not None:
            notes.append({"note": Marker.LOST_TAIL.value, "reason": lost_tail})
        self._end(generation, taken, notes, SessionOutcome.INTERRUPTED, reason)

    def end_without_room(self, generation: int, taken: Taken) -> None:
        """Write the end of a recording that can hold no more, though its session goes on."""
        reason = f"the recording has {len(self.writer.entries)} blocks and can hold no more"
        notes = [{"note": Marker.TRUNCATED.value, "what": reason}]
        self._end(generation, taken, notes, SessionOutcome.CUT, reason)

    def _end(
        self,
        generation: int,
        taken: Taken,
        notes: list[dict[str, str]],
        outcome: SessionOutcome,
        reason: str,
    ) -> None:
        events: list[tuple[Kind, int, Any]] = [(Kind.NOTE, 0, note) for note in notes]
        unknown = [Outcome.UNKNOWN.value, 0, 0, 0, None, None]
        events += [(Kind.FINISH, exchange, unknown) for exchange in sorted(self.progress.open_exchanges)]
        events.append((Kind.CLOSED, 0, {"outcome": outcome.value, "reason": reason}))
        at_ns = self.progress.opened_at + self.progress.last_at * 1000
        for kind, exchange, plain in events:
            body = cbor2.dumps(plain)
            at = self.add((self.key[1], exchange, kind, at_ns, body), generation)
            taken.add(self, kind, at, exchange, body)

    def mark_unreadable(self, reason: str) -> None:
        """Record, once, that something of what was staged can't be decoded; it is sealed as it is."""
        note = {"note": Marker.TRUNCATED.value, "what": f"something before does not decode: {reason}"}
        if self.closed or Marker.TRUNCATED.value in self.progress.markers:
            self._noted(note)
            return
        at_ns = self.progress.opened_at + self.progress.last_at * 1000
        self.add((self.key[1], 0, Kind.NOTE, at_ns, cbor2.dumps(note)), 1)

    def mark_lost(self, generation: int, reason: str) -> None:
        """Record that the journal lost something that may have been this session's."""
        body = cbor2.dumps({"note": Marker.LOST_TAIL.value, "reason": reason})
        at_ns = self.progress.opened_at + self.progress.last_at * 1000
        self.add((self.key[1], 0, Kind.NOTE, at_ns, body), generation)

    def cut_block(self) -> None:
        """Make a block of what is pending."""
        if self._pending and len(self.writer.entries) >= self._plan.most:
            # only what was staged under another plan has no room for its end
            self._noted({"note": Marker.TRUNCATED.value})
            self._pending, self._pending_events = bytearray(), 0
        if self._pending:
            block = self.writer.block(self._pending, self._pending_events, self._first_at, self._last_at)
            self.blocks.append(block)
            self._blocks_size += len(block)
            self._pending, self._pending_events = bytearray(), 0
            self._aim()

    def stage(self, now: float) -> None:
        """Bring everything so far into the staging file; the journal is not needed for it any more."""
        assert self.staging is not None
        self.cut_block()
        self.staging.append(self.covered, _plain(self.progress), self.blocks)
        self.blocks, self._blocks_size = [], 0
        self.oldest, self.staged_at = None, now
        self.durable = len(self.writer.entries), self.writer.chain

    def adopt(self, writer: v1.SessionWriter, staging: StagingFile, covered: int) -> None:
        """Go on after a restart from what was staged."""
        self.writer, self.staging, self.covered = writer, staging, covered
        self.headed = len(writer.entries)
        self._aim()
        self.durable = self.headed, writer.chain

    def events(self) -> Iterator[list[Any]]:
        """Everything so far, for those who watch a session that is still open.

        What the events are is settled now; they are decoded as they are taken, a block at a time, while the
        session goes on or is sealed.
        """
        staged = self.staging.blocks() if self.staging is not None else iter(())
        return self._decoded(itertools.chain(staged, tuple(self.blocks)), bytes(self._pending))

    def _decoded(self, blocks: Iterator[bytes], pending: bytes) -> Iterator[list[Any]]:
        chain = v1.chain_start(self.writer.header[v1.FRAME.size :])
        for number, framed in enumerate(blocks):
            payload = framed[v1.FRAME.size :]
            yield from v1.open_block(self.session, self.data_key, number, chain, payload)
            chain = v1.chain_next(chain, number, payload)
        yield from v1.decode_events(pending)

    def _aim(self) -> None:
        """Settle what the number of blocks decides, once a block: it is asked for at each event.

        `full` is whether the recording has room for nothing but its end; bodies of up to `_short` bytes never
        make a block too long.
        """
        blocks = len(self.writer.entries)
        self.full = self._plan.spent(blocks)
        self._target = self._plan.target(blocks)
        self._short = min(self._target, v1.MAX_PLAIN - self._target - _EVENT.size)

    def _append(self, kind: int, at: int, exchange: int, body: bytes) -> None:
        """An event that is long, or in a form of its own."""
        event = b"\x84" + _uint(kind) + _uint(at) + _uint(exchange) + body
        if len(self._pending) + len(event) > v1.MAX_PLAIN:
            self.cut_block()
            self._first_at = at
            if len(event) > v1.MAX_PLAIN:
                event = self._too_long(kind, at, exchange, body)
        self._pending += event
        self._pending_events += 1
        self._last_at = at
        if len(self._pending) >= self._target:
            self.cut_block()

    def _too_long(self, kind: int, at: int, exchange: int, body: bytes) -> bytes:
        """What stands for an event that no block can hold: a marker that says so, and the body's hash."""
        note = {
            "note": Marker.TRUNCATED.value,
            "kind": kind,
            "bytes": len(body),
            "sha256": hashlib.sha256(body).digest(),
        }
        self._noted(note)
        return b"\x84" + _uint(Kind.NOTE) + _uint(at) + _uint(exchange) + cbor2.dumps(note)

    def _noted(self, body: dict[str, Any]) -> None:
        note = body.get("note")
        if note in {marker.value for marker in Marker} and note not in self.progress.markers:
            self.progress.markers.append(str(note))


def resume(staging: StagingFile, key: SessionKey, data_key: bytes, plan: BlockPlan) -> SessionBuilder | None:
    """The builder that wrote a staging file, as far as the file goes; None when it holds no whole block.

    Raises:
        v1.FormatDamaged: what it holds is not what a builder wrote.
    """
    found = staging.recover()
    if found is None:
        return None
    try:
        return _taken_up(staging, *found, key, data_key, plan)
    except (struct.error, StopIteration, LookupError, TypeError, ValueError, AttributeError) as error:
        raise v1.FormatDamaged(f"it is not what a builder wrote: {error!r}") from error


def _taken_up(
    staging: StagingFile,
    covered: int,
    plain: dict[str, Any],
    key: SessionKey,
    data_key: bytes,
    plan: BlockPlan,
) -> SessionBuilder:
    session = staging.session
    started = v1.load(staging.header[v1.FRAME.size :], "header")["created"]
    writer = v1.SessionWriter.resumed(data_key, staging.header, staging.blocks())
    chain = v1.chain_start(staging.header[v1.FRAME.size :])
    begin = next(staging.blocks())
    # what stands behind the opening may be anything; the session is sealed with it
    first = v1.first_event(v1.block_plain(session, data_key, 0, chain, begin[v1.FRAME.size :]))
    opened = {"started": started * 1_000_000, **first[3], "session": ids.session_id(session)}
    progress = Progress(
        plain["opened_at"],
        plain["last_at"],
        markers=list(plain["markers"]),
        outcome=plain["outcome"],
        open_exchanges=set(plain["open_exchanges"]),
        **plain["totals"],
    )
    builder = SessionBuilder(key, opened, progress, data_key, plan)
    builder.adopt(writer, staging, covered)
    return builder


def _plain(progress: Progress) -> dict[str, Any]:
    return {
        "opened_at": progress.opened_at,
        "last_at": progress.last_at,
        "totals": progress.totals,
        "markers": progress.markers,
        "outcome": progress.outcome,
        "open_exchanges": sorted(progress.open_exchanges),
    }


def _uint(value: int) -> bytes:
    """A CBOR unsigned integer (RFC 8949, section 3.1)."""
    return _AT_MOST_23[value] if value < 24 else _UINT64.pack(0x1B, value)
