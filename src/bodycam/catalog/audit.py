"""The audit trail: details whose salted hashes the ledger holds, and counted events that have none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.tables import audit

_IN_ORDER = 0x61756474  # two writers of one PostgreSQL catalog take turns


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to what. `salt` and `leaf` tie it to the ledger; both None for a counted event."""

    id: int
    at: int
    actor: str
    action: str
    object: str
    detail: Mapping[str, Any]
    salt: bytes | None
    leaf: int | None


def add_event(
    connection: Connection,
    *,
    at: int,
    actor: str,
    action: str,
    object: str,  # noqa: A002
    detail: Mapping[str, Any],
    salt: bytes | None = None,
    leaf: int | None = None,
) -> int:
    """Adds an event and gives its id. Whoever adds the next one waits until this transaction has ended.

    So ids become visible in their order, and who has read up to one has missed none.
    """
    if connection.dialect.name == "postgresql":  # in SQLite there is one writer at a time anyway
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_IN_ORDER})")
    values = {"at": at, "actor": actor, "action": action, "object": object, "detail": dict(detail)}
    added = insert(audit).values(**values, salt=salt, leaf=leaf).returning(audit.c.id)
    return int(connection.execute(added).scalar_one())


def events_after(connection: Connection, after: int, limit: int) -> list[AuditEvent]:
    """Events behind the one with the id `after`, in the order in which they were added."""
    query = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)
    return [AuditEvent(**row._mapping) for row in connection.execute(query)]


def events_from(connection: Connection, since: int, after: int, limit: int) -> list[AuditEvent]:
    """Events of the time from `since` on, behind the one with the id `after`, oldest first."""
    query = select(audit).where(audit.c.at >= since, audit.c.id > after).order_by(audit.c.id).limit(limit)
    return [AuditEvent(**row._mapping) for row in connection.execute(query)]


def has_leaf(connection: Connection, leaf: int) -> bool:
    """Whether an event with this leaf of the ledger is there."""
    return connection.execute(select(audit.c.id).where(audit.c.leaf == leaf)).first() is not None


def newest_event(connection: Connection) -> int:
    """The id of the newest event; 0 without any."""
    return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())


def list_events(
    connection: Connection,
    *,
    actor: str | None = None,
    action: str | None = None,
    since: int | None = None,
    until: int | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[AuditEvent]:
    """Events, newest first; `until` is excluded.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    query = select(audit).order_by(audit.c.id.desc())
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    if action is not None:
        query = query.where(audit.c.action == action)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if until is not None:
        query = query.where(audit.c.at < until)
    if cursor is not None:
        query = query.where(audit.c.id < decode(cursor, 1)[0])
    size = bounded(limit)
    rows = connection.execute(query.limit(size + 1)).all()
    found = tuple(AuditEvent(**row._mapping) for row in rows[:size])
    return Page(found, encode(found[-1].id) if len(rows) > size else None)
