"""The indexer: turns sessions' events into bundles of the catalog, in batches that may be written twice.

An exchange is looked at when it has ended: verb, text, status, rows and bytes come from the events
themselves; the protocol's transcript is asked only for what needs decoding (values, output), and no further
than the settings' caps.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
import structlog
from sqlalchemy import Connection, Engine, select

from bodycam.archive import gist, told
from bodycam.archive.asked import Ending, Requests, ending
from bodycam.archive.builder import Taken
from bodycam.archive.detailing import detailed
from bodycam.archive.gist import Data
from bodycam.archive.seen import NOTE, Seen
from bodycam.archive.told import opening_of, run_of
from bodycam.catalog import deletion, ingest, runs, sessions, sightings, tail
from bodycam.catalog.bundles import Bundle
from bodycam.catalog.engine import writing
from bodycam.catalog.tables import sessions as session_table
from bodycam.model.event import Event, Kind, Outcome
from bodycam.model.identity import Run
from bodycam.model.operation import Fact
from bodycam.model.trace import TraceParent
from bodycam.model.transcript import Glancer, Reader, Skimmer, Transcript

log = structlog.get_logger(__name__)

_OPENED, _REQUEST, _TO_TARGET, _TO_CLIENT, _FINISH, _NOTE, _CLOSED = (
    int(kind)
    for kind in (
        Kind.OPENED,
        Kind.REQUEST,
        Kind.TO_TARGET,
        Kind.TO_CLIENT,
        Kind.FINISH,
        Kind.NOTE,
        Kind.CLOSED,
    )
)
_SIGHTED = NOTE.encode()
_DATA = frozenset((_TO_CLIENT, _TO_TARGET))
_MOST_OUTPUTS, _LONGEST_OUTPUT = 64, 512
_MOST_WEIGHT = 8 * 1024 * 1024
"""Characters of texts that wait at most before a batch is due."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How much of each exchange is indexed, in characters, and how many exchanges a batch holds."""

    text: int = 65_536
    values: int = 2048
    error: int = 2048
    output: int = 1024
    batch: int = 10_000


Alike = tuple[bytes, bool, str, bool, str, str | None, TraceParent | None, str | None]
"""What the exchanges of a bundle have in common beside their session."""


@dataclass(slots=True, eq=False)
class _Session:
    """A session that is being read."""

    id: str
    opening: sessions.Opening
    run: Run
    transcript: Transcript | None
    reader: Reader | None
    skimmer: Skimmer | None
    glancer: Glancer | None
    requests: Requests
    wanted: bool  # whether output is
    open: dict[int, tuple[int, bytes]] = field(default_factory=dict)  # when and what was asked
    moved: dict[int, Data] = field(default_factory=dict)
    bundles: dict[Alike, Bundle] = field(default_factory=dict)
    outputs: dict[bytes, str] = field(default_factory=dict)  # of bodies; the reader learns nothing meanwhile
    seen: Seen | None = None  # of secrets and the like
    keys: tuple[int, int] | None = None  # its own and its run's, once written
    again: bool = False  # whether it was there when this process wrote it first


class Indexer:
    """Reads sessions side by side; hand it every event in order, and call `flush` when `due` or idle.

    After a crash hand it the sessions again from OPENED on: what is indexed already is left as it is.
    """

    def __init__(
        self,
        engine: Engine,
        transcripts: Mapping[str, Transcript],
        settings: IndexSettings | None = None,
    ) -> None:
        self.engine = engine
        self._transcripts = transcripts
        self._settings = settings or IndexSettings()
        kept = self._settings.text
        self._requests = {name: Requests(kept, one.shape) for name, one in transcripts.items()}
        self._unknown = Requests(kept)  # of protocols that nobody here reads
        self._sessions: dict[str, _Session] = {}
        self._opened: list[_Session] = []
        self._closed: list[tuple[_Session, str, str, int]] = []
        self._bundles: list[tuple[_Session, Bundle]] = []
        self._sighted: dict[str, _Session] = {}  # those whose sightings changed
        self._exchanges = self._weight = 0

    @property
    def due(self) -> bool:
        """Whether a batch is full."""
        return self._exchanges >= self._settings.batch or self._weight >= _MOST_WEIGHT

    @property
    def pending(self) -> int:
        """Rows that wait for `flush`."""
        return len(self._bundles) + len(self._opened) + len(self._closed) + len(self._sighted)

    def take(self, taken: Taken) -> tuple[set[str], set[str]]:
        """Take events as builders took them; those of sessions whose beginning is not known are passed over.

        Returns the sessions of which an event made no sense, and those that began.
        """
        failed: set[str] = set()
        begun: set[str] = set()
        known_sessions = self._sessions
        columns = zip(taken.builders, taken.kinds, taken.ats, taken.exchanges, taken.bodies, strict=True)
        for builder, kind, at, exchange, body in columns:
            known = known_sessions.get(builder.name)
            try:
                if known is not None:
                    if kind == _REQUEST:
                        known.open[exchange] = (at, body)
                    elif kind == _FINISH:
                        asked = known.open.pop(exchange, None)
                        if asked is not None:
                            self._ended(known, exchange, asked, at, ending(body), body)
                    else:
                        self._take(known, kind, at, exchange, body)
                elif kind == _OPENED:
                    self._open(builder.name, Event(Kind.OPENED, at, exchange, cbor2.loads(body)))
                    begun.add(builder.name)
            except Exception as error:  # whatever the event says, it is this session's fault alone
                if builder.name not in failed:
                    log.error("an event was not indexed", session=builder.name, kind=kind, error=repr(error))
                failed.add(builder.name)
        return failed, begun

    def feed(self, session: str, event: Event) -> None:
        """Take one event of a session.

        Raises:
            LookupError: the session's OPENED event was not fed before.
            Exception: the event makes no sense, and was not taken.
        """
        if event.kind is Kind.OPENED:
            self._open(session, event)
            return
        known = self._sessions.get(session)
        if known is None:
            raise LookupError(f"events of session {session} came before its OPENED event")
        self._take(known, int(event.kind), event.at, event.exchange, cbor2.dumps(event.body))

    def flush(self) -> int:
        """Write all that waits, in one transaction, and say how many bundles were new.

        When it raises, everything still waits and the next flush tries again.
        """
        if not self.pending:
            return 0
        with writing(self.engine, durable=False) as connection:
            keys = {known.id: self._write_session(connection, known) for known in self._opened}
            for known in (*(known for known, _ in self._bundles), *self._sighted.values()):
                if known.keys is None and known.id not in keys:
                    keys[known.id] = self._write_session(connection, known)
            for known, bundle in self._bundles:
                bundle.session, bundle.run = keys.get(known.id) or known.keys or (0, 0)
            again = {bundle.session for known, bundle in self._bundles if known.again}
            added = ingest.write(connection, [bundle for _, bundle in self._bundles], again=again)
            for known in self._sighted.values():
                own = keys.get(known.id) or known.keys
                if own is not None and known.seen is not None:
                    sightings.write(connection, *own, known.seen.changed())
            for known, outcome, reason, at in self._closed:
                sessions.close_session(connection, known.id, outcome, reason, at)
            arrived = [(tail.Arrival.OPENED, one.id) for one in self._opened]
            arrived += [(tail.Arrival.EXCHANGES, str(key)) for key in added]
            arrived += [(tail.Arrival.CLOSED, one.id) for one, *_ in self._closed]
            tail.announce(connection, arrived)
        for known in [*self._opened, *(known for known, _ in self._bundles), *self._sighted.values()]:
            known.keys = keys.get(known.id) or known.keys
            known.bundles.clear()
            if known.seen is not None:
                known.seen.written()
        self._opened, self._closed, self._bundles, self._sighted = [], [], [], {}
        self._exchanges = self._weight = 0
        return len(added)

    def sealed(self, places: Mapping[str, tuple[sessions.Place, int | None]]) -> None:
        """Write where these sessions' recordings lie, and when they were sealed, in microseconds.

        None is now. Flushes first. When it returns, the disk has all that was written of these sessions.
        """
        self.flush()
        now = time.time_ns() // 1000
        with writing(self.engine) as connection:
            known = [
                name
                for name, (own, at) in places.items()
                if sessions.seal_session(connection, name, own, now if at is None else at)
            ]
            tail.announce(connection, [(tail.Arrival.SEALED, name) for name in known])

    def forget(self, session: str) -> None:
        """Drop what is held in memory of a session that will be fed again from its OPENED event."""
        self._sessions.pop(session, None)
        self._sighted.pop(session, None)
        self._bundles = [one for one in self._bundles if one[0].id != session]
        self._opened = [one for one in self._opened if one.id != session]
        self._closed = [one for one in self._closed if one[0].id != session]

    def drop(self, names: Iterable[str]) -> None:
        """Take nothing more of these sessions; what is there of them is right, and is written."""
        for session in names:
            self._sessions.pop(session, None)

    def rebuild(self) -> None:
        """Empty the index; feed every recording, with `sealed`, to fill it again."""
        self._sessions.clear()
        self._opened, self._closed, self._bundles, self._sighted = [], [], [], {}
        deletion.clear_index(self.engine)

    # -- one event after another ---------------------------------------------------------------------

    def _open(self, session: str, event: Event) -> None:
        body: Mapping[str, Any] = event.body
        opening, run = opening_of(session, body), run_of(body)
        transcript = self._transcripts.get(opening.protocol)
        reader = None if transcript is None else transcript.reader()
        if reader is not None:
            reader.feed(event)
        skimmer = reader if isinstance(reader, Skimmer) else None
        glancer = reader if isinstance(reader, Glancer) else None
        requests = self._requests.get(opening.protocol, self._unknown)
        wanted = reader is not None and self._settings.output > 0
        self._sessions[session] = known = _Session(
            session, opening, run, transcript, reader, skimmer, glancer, requests, wanted
        )
        self._opened.append(known)

    def _take(self, known: _Session, kind: int, at: int, exchange: int, body: bytes) -> None:
        if kind == _REQUEST:
            known.open[exchange] = (at, body)
        elif kind in _DATA:
            if exchange in known.open and known.wanted:
                before = known.moved.get(exchange)
                known.moved[exchange] = gist.moved(before, kind, body)
        elif kind == _FINISH:
            asked = known.open.pop(exchange, None)
            if asked is not None:
                self._ended(known, exchange, asked, at, ending(body), body)
        elif kind == _NOTE:
            if _SIGHTED in body:
                self._noted(known, at, exchange, cbor2.loads(body))
        elif kind == _CLOSED:
            self._close(known, at, cbor2.loads(body))

    def _noted(self, known: _Session, at: int, exchange: int, note: Mapping[str, Any]) -> None:
        """A note that may tell of secrets."""
        if note.get("note") != NOTE:
            return
        opened = known.opening.opened
        asked = known.open.get(exchange)
        if known.seen is None:
            known.seen = Seen()
        known.seen.take(opened + at, exchange, 0 if asked is None else opened + asked[0], note)
        self._sighted[known.id] = known

    def _ended(
        self,
        known: _Session,
        exchange: int,
        asked: tuple[int, bytes],
        at: int,
        how: Ending,
        finish: bytes | None,
    ) -> None:
        asked_at, request = asked
        moved = known.moved.pop(exchange, None)
        asking, values, rest = known.requests.read(request)
        settings = self._settings
        said_values = said_output = ""
        learned: Mapping[str, Fact] = {}
        if known.reader is not None and (values or moved is not None):
            output: str | None = ""
            if moved is not None:
                output = known.outputs.get(moved) if type(moved) is bytes else None
                if output is None and known.glancer is not None:
                    output = gist.glanced(known.glancer, asking.verb, rest.facts, moved, settings.output)
                elif output is None:
                    output = self._skimmed(known, moved)
            if output is not None and known.skimmer is not None:
                said_output = output
                if values and settings.values:
                    said_values = known.skimmer.skim_values(values)[: settings.values]
            elif output is not None and known.glancer is not None and not values:
                said_output = output
            else:
                known.outputs.clear()
                whole = gist.Exchange(exchange, asked_at, request, moved, at, finish)
                found = gist.read(known.reader, whole, settings.values, settings.output)
                said_values, said_output, learned = found
        error = (how.error or rest.error)[: settings.error]
        started = known.opening.opened + asked_at
        duration = at - asked_at if at > asked_at else 0
        weight = len(said_values) + len(error) + len(said_output) + len(asking.own)
        own = asking.own
        item = (exchange, started, duration, how.rows, how.bytes, said_values, error, said_output, own)
        parent = details = None
        if known.transcript is not None:
            parent = known.transcript.trace(asking.text, rest.facts)
            details = detailed(known.opening.protocol, known.transcript, rest, how.tag, learned)
        statement, verb = asking.statement, asking.verb
        key = (statement.digest, own == "", verb, asking.aside, how.status, how.code, parent, details)
        bundle = known.bundles.get(key)
        if bundle is None or not bundle.add(item, weight):
            bundle = Bundle(statement, verb, asking.aside, how.status, how.code, session_id=known.id)
            bundle.details = details
            if parent is not None:
                bundle.trace, bundle.span = parent.trace, parent.span
            bundle.add(item, weight)
            known.bundles[key] = bundle
            self._bundles.append((known, bundle))
        self._exchanges += 1
        self._weight += weight

    def _skimmed(self, known: _Session, moved: Data) -> str | None:
        """The output without reading the exchange in full; None where that can't be told."""
        if known.skimmer is None:
            return None
        found = gist.skimmed(known.skimmer, moved, self._settings.output)
        if found is not None and isinstance(moved, bytes) and len(moved) <= _LONGEST_OUTPUT:
            if len(known.outputs) >= _MOST_OUTPUTS:
                known.outputs.clear()
            known.outputs[moved] = found
        return found

    def _close(self, known: _Session, at: int, body: Mapping[str, Any]) -> None:
        unknown, fault = Ending(Outcome.UNKNOWN.value, 0, 0, None, ""), None
        for number, asked in known.open.items():
            try:
                self._ended(known, number, asked, at, unknown, None)
            except Exception as error:  # the others are to be found all the same
                fault = error
        known.open.clear()
        known.moved.clear()
        known.reader = known.skimmer = known.glancer = None
        del self._sessions[known.id]
        closed = known.opening.opened + at
        outcome, reason = told.text(str(body["outcome"]), 32), told.text(str(body.get("reason") or ""))
        self._closed.append((known, outcome, reason, closed))
        if fault is not None:
            raise fault

    def _write_session(self, connection: Connection, known: _Session) -> tuple[int, int]:
        if runs.get_run(connection, known.run.id) is None:
            runs.add_run(connection, known.run, None, known.opening.opened)
        key, fresh = sessions.open_session(connection, known.opening)
        known.again = known.again or not fresh
        run = connection.execute(select(session_table.c.run).where(session_table.c.key == key)).scalar_one()
        return key, int(run)
