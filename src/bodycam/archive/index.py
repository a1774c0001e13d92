"""The indexer: turns sessions' events into catalog rows, in batches that may be written twice.

Verb, text, status, rows and bytes come from the events themselves; the protocol's transcript is asked only
for what needs decoding (values, output), and no further than the settings' caps.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, select

from bodycam.archive import told
from bodycam.archive.told import opening_of, run_of
from bodycam.catalog import deletion, ingest, runs, sessions, tail
from bodycam.catalog.engine import writing
from bodycam.catalog.tables import sessions as session_table
from bodycam.model.event import Event, Kind, Outcome
from bodycam.model.identity import Run
from bodycam.model.operation import Weight
from bodycam.model.transcript import Asked, Entry, Message, Output, Reader, Rows, Transcript

_DATA = (Kind.TO_CLIENT, Kind.TO_TARGET)


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How much of each exchange is indexed, in characters, and how many exchanges a batch holds."""

    text: int = 65_536
    values: int = 2048
    error: int = 2048
    output: int = 1024
    batch: int = 500


@dataclass(slots=True)
class _Asked:
    """An exchange that has not finished."""

    at: int
    verb: str
    statement: ingest.Statement
    aside: bool
    request: Event | None  # until the reader has seen it
    values: str = ""
    output: str = ""
    error: str = ""


@dataclass(slots=True)
class _Session:
    """A session that is being read."""

    id: str
    opening: sessions.Opening
    run: Run
    reader: Reader | None
    open: dict[int, _Asked] = field(default_factory=dict)
    keys: tuple[int, int] | None = None  # its own and its run's, once written


@dataclass(slots=True)
class _Row:
    """A finished exchange that waits for the batch; what `ingest.ExchangeRow` needs besides keys."""

    session: _Session
    number: int
    asked: _Asked
    status: str
    duration: int
    rows: int
    bytes: int
    code: str | None


class Indexer:
    """Reads sessions side by side; call `feed` for every event in order, and `flush` when `due` or idle.

    After a crash feed the sessions again from OPENED on: what is indexed already is left as it is.
    """

    def __init__(
        self,
        engine: Engine,
        transcripts: Mapping[str, Transcript],
        settings: IndexSettings | None = None,
    ) -> None:
        self._engine = engine
        self._transcripts = transcripts
        self._settings = settings or IndexSettings()
        self._sessions: dict[str, _Session] = {}
        self._opened: list[_Session] = []
        self._closed: list[tuple[_Session, str, str, int]] = []
        self._rows: list[_Row] = []

    @property
    def due(self) -> bool:
        """Whether a batch is full."""
        return len(self._rows) >= self._settings.batch

    @property
    def pending(self) -> int:
        """Rows that wait for `flush`."""
        return len(self._rows) + len(self._opened) + len(self._closed)

    def wants(self, session: str, kind: int, exchange: int) -> bool:
        """Whether `feed` has a use for such an event; the caller needn't decode one it has none for."""
        if kind not in _DATA:
            return kind != Kind.NOTE
        known = self._sessions.get(session)
        if known is None or known.reader is None:
            return False
        asked = known.open.get(exchange)
        return asked is not None and len(asked.output) < self._settings.output

    def feed(self, session: str, event: Event) -> None:
        """Takes one event of a session.

        Raises:
            LookupError: the session's OPENED event was not fed before.
        """
        if event.kind is Kind.OPENED:
            self._open(session, event)
            return
        known = self._sessions.get(session)
        if known is None:
            raise LookupError(f"events of session {session} came before its OPENED event")
        match event.kind:
            case Kind.REQUEST:
                self._ask(known, event)
            case Kind.TO_CLIENT | Kind.TO_TARGET:
                self._data(known, event)
            case Kind.FINISH:
                self._finish(known, event)
            case Kind.CLOSED:
                self._close(known, event)
            case Kind.NOTE:
                pass

    def flush(self) -> int:
        """Writes all that waits, in one transaction, and says how many exchanges were new.

        When it raises, everything still waits and the next flush tries again.
        """
        if not self.pending:
            return 0
        with writing(self._engine, durable=False) as connection:
            keys = {one.id: self._write_session(connection, one) for one in self._opened}
            for known in {row.session.id: row.session for row in self._rows}.values():
                if known.keys is None and known.id not in keys:
                    keys[known.id] = self._write_session(connection, known)
            rows = [self._exchange(row, keys.get(row.session.id) or row.session.keys) for row in self._rows]
            added = ingest.write(connection, rows)
            for known, outcome, reason, at in self._closed:
                sessions.close_session(connection, known.id, outcome, reason, at)
            arrived = [(tail.Arrival.OPENED, one.id) for one in self._opened]
            arrived += [(tail.Arrival.EXCHANGE, str(key)) for key in added]
            arrived += [(tail.Arrival.CLOSED, one.id) for one, *_ in self._closed]
            tail.announce(connection, arrived)
        for known in [*self._opened, *(row.session for row in self._rows)]:
            known.keys = keys.get(known.id) or known.keys
        self._opened, self._closed, self._rows = [], [], []
        return len(added)

    def sealed(self, session: str, place: sessions.Place, sealed: int | None = None) -> None:
        """Writes where the session's recording lies (`sealed` in microseconds); flushes first."""
        self.flush()
        at = time.time_ns() // 1000 if sealed is None else sealed
        with writing(self._engine, durable=False) as connection:
            if sessions.seal_session(connection, session, place, at):
                tail.announce(connection, [(tail.Arrival.SEALED, session)])

    def forget(self, session: str) -> None:
        """Drops what is held in memory of a session that will be fed again from its OPENED event."""
        self._sessions.pop(session, None)
        self._rows = [row for row in self._rows if row.session.id != session]
        self._opened = [one for one in self._opened if one.id != session]
        self._closed = [one for one in self._closed if one[0].id != session]

    def rebuild(self) -> None:
        """Empties the index; feed every recording, with `sealed`, to fill it again."""
        self._sessions.clear()
        self._opened, self._closed, self._rows = [], [], []
        deletion.clear_index(self._engine)

    def _open(self, session: str, event: Event) -> None:
        body: Mapping[str, Any] = event.body
        opening, run = opening_of(session, body), run_of(body)
        transcript = self._transcripts.get(opening.protocol)
        known = _Session(session, opening, run, None if transcript is None else transcript.reader())
        if known.reader is not None:
            known.reader.feed(event)
        self._sessions[session] = known
        self._opened.append(known)

    def _ask(self, known: _Session, event: Event) -> None:
        verb, text, parameters, _facts, weight, verdict, _redactions = event.body
        aside = weight == Weight.ASIDE
        statement = ingest.statement_of(text, self._settings.text)
        asked = _Asked(event.at, told.text(verb, 64), statement, aside, event)
        if verdict is not None and verdict[0] != "allow":
            asked.error = str(verdict[3])[: self._settings.error]
        known.open[event.exchange] = asked
        if parameters and known.reader is not None and self._settings.values:
            self._read(known, asked, event)

    def _data(self, known: _Session, event: Event) -> None:
        asked = known.open.get(event.exchange)
        if asked is None or known.reader is None or len(asked.output) >= self._settings.output:
            return
        if asked.request is not None:
            self._read(known, asked, asked.request)
        self._read(known, asked, event)

    def _read(self, known: _Session, asked: _Asked, event: Event) -> None:
        if known.reader is None:
            return
        if event.kind is Kind.REQUEST:
            asked.request = None
        for entry in known.reader.feed(event):
            other = asked if entry.exchange == event.exchange else known.open.get(entry.exchange)
            if other is not None:
                self._take(other, entry)

    def _take(self, asked: _Asked, entry: Entry) -> None:
        match entry.body:
            case Asked(parameters=parameters):
                shown = "\n".join("NULL" if one.text is None else one.text for one in parameters)
                asked.values = shown[: self._settings.values]
            case Rows(rows=rows):
                for row in rows:
                    self._say(asked, "\t".join(value for value in row if value is not None))
                    if len(asked.output) >= self._settings.output:
                        return
            case Output(text=text):
                self._say(asked, text)
            case Message(level=level, text=text) if level != "error":
                self._say(asked, text)
            case _:
                pass

    def _say(self, asked: _Asked, text: str) -> None:
        if text:
            joined = f"{asked.output}\n{text}" if asked.output else text
            asked.output = joined[: self._settings.output]

    def _finish(self, known: _Session, event: Event) -> None:
        asked = known.open.pop(event.exchange, None)
        if asked is None:
            return
        outcome, rows, to_client, to_target, _tag, error = event.body
        if asked.request is None and known.reader is not None:
            known.reader.feed(event)  # it may hold something until the exchange's end
        code = None
        if error is not None:
            code = told.text(str(error.get("code") or ""), 64) or None
            said = (str(error[name]) for name in ("message", "detail", "hint") if error.get(name))
            asked.error = "\n".join(said)[: self._settings.error]
        rows, size = told.count(rows), told.count(to_client) + told.count(to_target)
        self._done(known, event.exchange, asked, told.text(outcome, 16), event.at, rows, size, code)

    def _done(
        self,
        known: _Session,
        number: int,
        asked: _Asked,
        status: str,
        at: int,
        rows: int,
        size: int,
        code: str | None,
    ) -> None:
        asked.request = None
        duration = max(0, at - asked.at)
        self._rows.append(_Row(known, number, asked, status, duration, rows, size, code))

    def _close(self, known: _Session, event: Event) -> None:
        for number, asked in known.open.items():
            self._done(known, number, asked, Outcome.UNKNOWN, event.at, 0, 0, None)
        known.open.clear()
        known.reader = None
        del self._sessions[known.id]
        body: Mapping[str, Any] = event.body
        at = known.opening.opened + event.at
        outcome, reason = told.text(str(body["outcome"]), 32), told.text(str(body.get("reason") or ""))
        self._closed.append((known, outcome, reason, at))

    def _write_session(self, connection: Connection, known: _Session) -> tuple[int, int]:
        if runs.get_run(connection, known.run.id) is None:
            runs.add_run(connection, known.run, None, known.opening.opened)
        key = sessions.open_session(connection, known.opening)
        run = connection.execute(select(session_table.c.run).where(session_table.c.key == key)).scalar_one()
        return key, int(run)

    def _exchange(self, row: _Row, keys: tuple[int, int] | None) -> ingest.ExchangeRow:
        if keys is None:
            raise LookupError(f"session {row.session.id} has rows and was never written")
        asked = row.asked
        return ingest.ExchangeRow(
            session=keys[0],
            session_id=row.session.id,
            run=keys[1],
            number=row.number,
            started=row.session.opening.opened + asked.at,
            verb=asked.verb,
            aside=asked.aside,
            status=row.status,
            duration=row.duration,
            rows=row.rows,
            bytes=row.bytes,
            code=row.code,
            statement=asked.statement,
            values=ingest.storable(asked.values),
            error=ingest.storable(asked.error),
            output=ingest.storable(asked.output),
        )
