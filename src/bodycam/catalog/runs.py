"""Runs and their credentials' verifiers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, or_, select, tuple_, update

from bodycam.catalog.approvals import withdraw
from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.tables import run_credentials, runs, sessions
from bodycam.catalog.visible import EVERYTHING, Visible, of_runs, of_sessions
from bodycam.model.identity import Grade, Principal, PrincipalKind, Run


class RunState(StrEnum):
    """Where a run stands at some moment."""

    ACTIVE = "active"
    ENDED = "ended"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the catalog keeps it; times are microseconds of the Unix epoch."""

    key: int
    id: str
    principal: Principal
    agent: str
    labels: Mapping[str, str]
    trace: str | None
    grade: Grade
    created: int
    expires: int
    ended: int | None
    revoked: int | None
    exit_code: int | None
    reason: str | None
    api_key: str | None = None

    def state(self, now: int) -> RunState:
        """Revoked beats ended beats expired."""
        if self.revoked is not None:
            return RunState.REVOKED
        if self.ended is not None:
            return RunState.ENDED
        return RunState.EXPIRED if self.expires <= now else RunState.ACTIVE

    def run(self) -> Run:
        """The run in the model's words, whose expiry is in seconds."""
        return Run(
            self.id, self.principal, self.agent, self.expires / 1e6, self.grade, self.labels, self.trace
        )


@dataclass(frozen=True, slots=True)
class RunCredential:
    """The verifiers of a run's secret, one for each mechanism (RFC 5802; SHA-256 of the secret)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes
    token_hash: bytes
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What to list; None is anything. `since` and `until` bound the creation, until excluded."""

    agent: str | None = None
    principal: str | None = None
    state: RunState | None = None
    since: int | None = None
    until: int | None = None
    visible: Visible = EVERYTHING


def add_run(
    connection: Connection,
    run: Run,
    credential: RunCredential | None,
    now: int,
    api_key: str | None = None,
) -> RunRecord:
    """Adds a run, with its credential and the key that started it unless it is recreated from a recording."""
    connection.execute(insert(runs).values(**_values(run, now), api_key=api_key))
    if credential is not None:
        connection.execute(
            insert(run_credentials).values(
                run=run.id,
                salt=credential.salt,
                iterations=credential.iterations,
                stored_key=credential.stored_key,
                server_key=credential.server_key,
                token_hash=credential.token_hash,
                revoked=credential.revoked,
            )
        )
    found = get_run(connection, run.id)
    if found is None:
        raise LookupError(f"run {run.id} was added and can't be read back")
    return found


def get_run(connection: Connection, run: str) -> RunRecord | None:
    """The run of that id."""
    row = connection.execute(select(runs).where(runs.c.id == run)).first()
    return None if row is None else _record(row)


def credential_of(connection: Connection, run: str) -> RunCredential | None:
    """The run's verifiers, revoked or not; None for a run that was recreated from a recording."""
    row = connection.execute(select(run_credentials).where(run_credentials.c.run == run)).first()
    if row is None:
        return None
    return RunCredential(
        row.salt, row.iterations, row.stored_key, row.server_key, row.token_hash, row.revoked
    )


def renew_run(connection: Connection, run: str, expires: int, now: int) -> bool:
    """Extends the lease of an active run; False if it is not active any more."""
    active = and_(runs.c.id == run, _in_state(RunState.ACTIVE, now))
    return connection.execute(update(runs).where(active).values(expires=expires)).rowcount > 0


def end_run(connection: Connection, run: str, exit_code: int | None, now: int) -> bool:
    """Ends a run in order and revokes its credential; False if it was ended or revoked before."""
    live = and_(runs.c.id == run, runs.c.ended.is_(None), runs.c.revoked.is_(None))
    changed = connection.execute(update(runs).where(live).values(ended=now, exit_code=exit_code)).rowcount > 0
    _revoke_credential(connection, run, now)
    return changed


def revoke_run(connection: Connection, run: str, reason: str, now: int) -> bool:
    """Revokes a run, its credential and what it wants approved; False if it was ended or revoked before."""
    live = and_(runs.c.id == run, runs.c.ended.is_(None), runs.c.revoked.is_(None))
    changed = connection.execute(update(runs).where(live).values(revoked=now, reason=reason)).rowcount > 0
    if changed:
        withdraw(connection, select(runs.c.key).where(runs.c.id == run).scalar_subquery(), now)
    _revoke_credential(connection, run, now)
    return changed


def revoke_runs_of_key(connection: Connection, api_key: str, reason: str, now: int) -> tuple[str, ...]:
    """Revokes all active runs that an API key started, with their credentials; returns their ids."""
    query = select(runs.c.id).where(runs.c.api_key == api_key, _in_state(RunState.ACTIVE, now))
    active = connection.execute(query.order_by(runs.c.key)).scalars().all()
    return tuple(run for run in active if revoke_run(connection, run, reason, now))


def list_runs(
    connection: Connection, wanted: RunFilter, *, now: int, limit: int = 100, cursor: str | None = None
) -> Page[RunRecord]:
    """Runs, newest first.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    seen = of_runs(connection, wanted.visible)
    query = (
        select(runs)
        .where(*_conditions(wanted, now), *seen)
        .order_by(runs.c.created.desc(), runs.c.key.desc())
    )
    if cursor is not None:
        query = query.where(tuple_(runs.c.created, runs.c.key) < tuple_(*decode(cursor, 2)))
    size = bounded(limit)
    rows = connection.execute(query.limit(size + 1)).all()
    found = tuple(_record(row) for row in rows[:size])
    return Page(found, encode(found[-1].created, found[-1].key) if len(rows) > size else None)


def has_visible(connection: Connection, run: str, visible: Visible) -> bool:
    """Whether a run has a session that may be seen."""
    seen = of_sessions(connection, visible)
    asked = select(sessions.c.key).join(runs, runs.c.key == sessions.c.run).where(runs.c.id == run, *seen)
    return connection.execute(asked.limit(1)).first() is not None


def showing(connection: Connection, ids: Iterable[str], visible: Visible) -> set[str]:
    """Those of these runs, of which there may be a page, that have a session that may be seen."""
    seen = of_sessions(connection, visible)
    asked = (
        select(runs.c.id).join(sessions, sessions.c.run == runs.c.key).where(runs.c.id.in_(list(ids)), *seen)
    )
    return set(connection.execute(asked.distinct()).scalars())


def live_runs(connection: Connection, now: int) -> tuple[RunRecord, ...]:
    """All runs that are active at `now`: what a restarted control process must know."""
    query = select(runs).where(_in_state(RunState.ACTIVE, now)).order_by(runs.c.key)
    return tuple(_record(row) for row in connection.execute(query))


def states_of(connection: Connection, ids: Iterable[str], now: int) -> dict[str, RunState]:
    """The state of each of these runs; unknown ids are left out."""
    query = select(runs).where(runs.c.id.in_(list(ids)))
    return {row.id: _record(row).state(now) for row in connection.execute(query)}


def _revoke_credential(connection: Connection, run: str, now: int) -> None:
    live = and_(run_credentials.c.run == run, run_credentials.c.revoked.is_(None))
    connection.execute(update(run_credentials).where(live).values(revoked=now))


def _conditions(wanted: RunFilter, now: int) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.agent is not None:
        conditions.append(runs.c.agent == wanted.agent)
    if wanted.principal is not None:
        conditions.append(runs.c.principal == wanted.principal)
    if wanted.since is not None:
        conditions.append(runs.c.created >= wanted.since)
    if wanted.until is not None:
        conditions.append(runs.c.created < wanted.until)
    if wanted.state is not None:
        conditions.append(_in_state(wanted.state, now))
    return conditions


def _in_state(state: RunState, now: int) -> ColumnElement[bool]:
    stopped = or_(runs.c.revoked.is_not(None), runs.c.ended.is_not(None))
    match state:
        case RunState.REVOKED:
            return runs.c.revoked.is_not(None)
        case RunState.ENDED:
            return and_(runs.c.ended.is_not(None), runs.c.revoked.is_(None))
        case RunState.EXPIRED:
            return and_(~stopped, runs.c.expires <= now)
        case RunState.ACTIVE:
            return and_(~stopped, runs.c.expires > now)


def _values(run: Run, now: int) -> dict[str, Any]:
    return {
        "id": run.id,
        "issuer": run.principal.issuer,
        "subject": run.principal.subject,
        "principal_kind": run.principal.kind.value,
        "groups": sorted(run.principal.groups),
        "principal": str(run.principal),
        "agent": run.agent,
        "labels": dict(run.labels),
        "trace": run.trace,
        "grade": run.grade.value,
        "created": now,
        "expires": round(run.expires * 1e6),
    }


def _record(row: Row[tuple[object, ...]]) -> RunRecord:
    return RunRecord(
        key=row.key,
        id=row.id,
        principal=Principal(
            row.issuer, row.subject, PrincipalKind(row.principal_kind), frozenset(row._mapping["groups"])
        ),
        agent=row.agent,
        labels=row.labels,
        trace=row.trace,
        grade=Grade(row.grade),
        created=row.created,
        expires=row.expires,
        ended=row.ended,
        revoked=row.revoked,
        exit_code=row.exit_code,
        reason=row.reason,
        api_key=row.api_key,
    )
