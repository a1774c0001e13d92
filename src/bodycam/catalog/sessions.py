"""Sessions: one row each, written by the archivist as it reads journals, and rebuilt from recordings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select, tuple_, update

from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.provenances import key_of
from bodycam.catalog.tables import runs, sessions
from bodycam.catalog.visible import EVERYTHING, Visible, of_sessions
from bodycam.model.provenance import Provenance


class SessionState(StrEnum):
    """How far a session's record has come."""

    OPEN = "open"
    CLOSED = "closed"  # its last event is read; not in the archive yet
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed session lies: the store's object, the bytes within it, and its root hash."""

    object: str
    offset: int
    length: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Opening:
    """What the index keeps of a session when it opens. `worker` is the incarnation in hexadecimal."""

    id: str
    run: str
    principal: str
    agent: str
    target: str
    protocol: str
    database: str
    address: str
    claims: Mapping[str, Any]
    policy: str
    opened: int
    worker: str
    opening: int
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as the index knows it; times are microseconds of the Unix epoch.

    `labels` are the target's as they were recorded; None where the index has not taken them up yet.
    """

    key: int
    id: str
    run: str
    principal: str
    agent: str
    target: str
    protocol: str
    database: str
    address: str
    claims: Mapping[str, Any]
    policy: str
    state: SessionState
    outcome: str | None
    reason: str | None
    opened: int
    closed: int | None
    sealed: int | None
    exchanges: int
    failures: int
    rows: int
    bytes: int
    worker: str
    opening: int
    labels: Mapping[str, str] | None
    place: Place | None
    groups: tuple[str, ...] = ()
    """Of whoever started the run."""

    @property
    def provenance(self) -> Provenance:
        """Where it comes from: what who may look at it is decided by."""
        return Provenance(self.principal, self.agent, self.target, self.protocol, self.groups)


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What to list; None is anything. `since` and `until` bound the opening, until excluded."""

    run: str | None = None
    agent: str | None = None
    principal: str | None = None
    target: str | None = None
    state: SessionState | None = None
    since: int | None = None
    until: int | None = None
    visible: Visible = EVERYTHING


def open_session(connection: Connection, opening: Opening) -> tuple[int, bool]:
    """Adds a session unless it is there, and gives its key, and whether it is new. Its run must be there."""
    known = connection.execute(select(sessions.c.key).where(sessions.c.id == opening.id)).scalar()
    if known is not None:
        keep_labels(connection, opening.id, opening.labels)
        return int(known), False
    run, groups = connection.execute(select(runs.c.key, runs.c.groups).where(runs.c.id == opening.run)).one()
    comes = Provenance(opening.principal, opening.agent, opening.target, opening.protocol, tuple(groups))
    values = {name: getattr(opening, name) for name in opening.__slots__}
    values |= {"run": run, "claims": dict(opening.claims), "labels": dict(opening.labels)}
    values["state"] = SessionState.OPEN.value
    values["provenance"] = key_of(connection, comes)
    added = connection.execute(insert(sessions).values(**values).returning(sessions.c.key))
    return int(added.scalar_one()), True


def keep_labels(connection: Connection, session: str, labels: Mapping[str, str]) -> None:
    """Writes the labels of a session's target, as its recording has them."""
    connection.execute(update(sessions).where(sessions.c.id == session).values(labels=dict(labels)))


def close_session(connection: Connection, session: str, outcome: str, reason: str, closed: int) -> bool:
    """Writes how a session ended; False if there is no such session."""
    own = sessions.c.id == session
    values = {"outcome": outcome, "reason": reason, "closed": closed}
    changed = connection.execute(update(sessions).where(own).values(**values)).rowcount > 0
    open_still = sessions.c.state == SessionState.OPEN.value
    connection.execute(update(sessions).where(own, open_still).values(state=SessionState.CLOSED.value))
    return changed


def seal_session(connection: Connection, session: str, place: Place, sealed: int) -> bool:
    """Writes where a session's recording lies; False if there is no such session."""
    values = {
        "state": SessionState.SEALED.value,
        "object": place.object,
        "offset": place.offset,
        "length": place.length,
        "root": place.root,
        "sealed": sealed,
    }
    return connection.execute(update(sessions).where(sessions.c.id == session).values(**values)).rowcount > 0


def get_session(connection: Connection, session: str) -> SessionRecord | None:
    """The session of that id."""
    row = connection.execute(query().where(sessions.c.id == session)).first()
    return None if row is None else of_row(row)


def sessions_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, SessionRecord]:
    """These sessions; unknown ids are left out."""
    return {row.id: of_row(row) for row in connection.execute(query().where(sessions.c.id.in_(list(ids))))}


def runs_of_sessions(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The runs that these sessions are of; unknown ids are left out."""
    named = select(sessions.c.id, runs.c.id.label("run_id")).join(runs, runs.c.key == sessions.c.run)
    found = connection.execute(named.where(sessions.c.id.in_(list(ids))))
    return {row.id: row.run_id for row in found}


def list_sessions(
    connection: Connection, wanted: SessionFilter, *, limit: int = 100, cursor: str | None = None
) -> Page[SessionRecord]:
    """Sessions, the one opened last first.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    order = (sessions.c.opened.desc(), sessions.c.key.desc())
    seen = of_sessions(connection, wanted.visible, ordered=True)
    asked = query().where(*conditions(wanted), *seen).order_by(*order)
    if cursor is not None:
        asked = asked.where(tuple_(sessions.c.opened, sessions.c.key) < tuple_(*decode(cursor, 2)))
    size = bounded(limit)
    rows = connection.execute(asked.limit(size + 1)).all()
    found = tuple(of_row(row) for row in rows[:size])
    return Page(found, encode(found[-1].opened, found[-1].key) if len(rows) > size else None)


def sessions_of_run(connection: Connection, run: str) -> tuple[SessionRecord, ...]:
    """All sessions of a run, in the order of their opening."""
    asked = query().where(runs.c.id == run).order_by(sessions.c.opened, sessions.c.key)
    return tuple(of_row(row) for row in connection.execute(asked))


def unsealed_sessions(connection: Connection) -> tuple[SessionRecord, ...]:
    """All sessions that are not in the archive yet, oldest first."""
    pending = sessions.c.state != SessionState.SEALED.value
    asked = query().where(pending).order_by(sessions.c.opened, sessions.c.key)
    return tuple(of_row(row) for row in connection.execute(asked))


def counts_by_state(connection: Connection) -> dict[SessionState, int]:
    """How many sessions there are in each state."""
    asked = select(sessions.c.state, func.count()).group_by(sessions.c.state)
    return dict.fromkeys(SessionState, 0) | {SessionState(state): n for state, n in connection.execute(asked)}


def conditions(wanted: SessionFilter) -> list[ColumnElement[bool]]:
    """The filter over `sessions` joined with `runs`, but for what is visible."""
    found: list[ColumnElement[bool]] = []
    if wanted.run is not None:
        found.append(runs.c.id == wanted.run)
    for name in ("agent", "principal", "target", "state"):
        value = getattr(wanted, name)
        if value is not None:
            found.append(sessions.c[name] == value)
    if wanted.since is not None:
        found.append(sessions.c.opened >= wanted.since)
    if wanted.until is not None:
        found.append(sessions.c.opened < wanted.until)
    return found


def query() -> Select[Any]:
    """All sessions, in the form that `of_row` reads."""
    named = runs.c.id.label("run_id")
    return select(sessions, named, runs.c.groups).join(runs, runs.c.key == sessions.c.run)


def of_row(row: Row[Any]) -> SessionRecord:
    """A session as `query` gives it."""
    plain = dict(row._mapping)
    del plain["run"], plain["provenance"]
    plain["run"] = plain.pop("run_id")
    name, offset, length = plain.pop("object"), plain.pop("offset"), plain.pop("length")
    root = plain.pop("root")
    plain["groups"] = tuple(plain["groups"])
    plain["place"] = None if name is None else Place(name, offset, length, root)
    plain["state"] = SessionState(plain["state"])
    return SessionRecord(**plain)
