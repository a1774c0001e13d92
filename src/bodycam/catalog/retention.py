"""What retention asks of the catalog: sessions old enough to look at, and what was deleted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, tuple_, update

from bodycam.catalog.sessions import SessionRecord, SessionState, of_row, query
from bodycam.catalog.tables import deletions, meta, sessions

_SCRUB = "scrub"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class DeletionRecord:
    """A recording that was deleted; times are microseconds of the Unix epoch.

    `rule` is empty where nothing says any more which rule it was; `removed` is None while its object is
    still there, because others of its sessions are kept or because the store does not let go of it.
    """

    session: str
    run: str
    rule: str
    sealed: int
    deleted: int
    object: str
    removed: int | None = None


def sealed_sessions(
    connection: Connection, before: int, after: tuple[int, int] | None, limit: int
) -> tuple[SessionRecord, ...]:
    """Sessions that the index has as sealed before a moment, by opening; `after` is `(opened, key)`."""
    s = sessions.c
    wanted = query().where(s.state == SessionState.SEALED.value, s.sealed < before, s.object.is_not(None))
    if after is not None:
        wanted = wanted.where(tuple_(s.opened, s.key) > tuple_(*after))
    rows = connection.execute(wanted.order_by(s.opened, s.key).limit(limit))
    return tuple(of_row(row) for row in rows)


def note(connection: Connection, found: Sequence[DeletionRecord]) -> list[str]:
    """Writes down what was deleted, and gives the sessions of which it was not known; asks for a scrub."""
    known = deleted_among(connection, [one.session for one in found])
    fresh = [one for one in found if one.session not in known]
    if fresh:
        names = DeletionRecord.__slots__
        values = [{name: getattr(one, name) for name in names} for one in fresh]
        connection.execute(insert(deletions), values)
        if not scrub_demanded(connection):
            connection.execute(insert(meta).values(name=_SCRUB, value="due"))
    return [one.session for one in fresh]


def deletion_of(connection: Connection, session: str) -> DeletionRecord | None:
    """How a session's recording was deleted, if it was."""
    row = connection.execute(select(deletions).where(deletions.c.session == session)).first()
    return None if row is None else DeletionRecord(**row._mapping)


def deletions_of_run(connection: Connection, run: str, limit: int) -> tuple[DeletionRecord, ...]:
    """The sessions of a run that were deleted, `limit` at most."""
    wanted = select(deletions).where(deletions.c.run == run).order_by(deletions.c.session).limit(limit)
    return tuple(DeletionRecord(**row._mapping) for row in connection.execute(wanted))


def deleted_among(connection: Connection, names: Iterable[str]) -> set[str]:
    """Which of these sessions were deleted."""
    found, asked = set[str](), list(names)
    for at in range(0, len(asked), _AT_ONCE):
        part = asked[at : at + _AT_ONCE]
        found |= set(
            connection.execute(select(deletions.c.session).where(deletions.c.session.in_(part))).scalars()
        )
    return found


def objects_left(connection: Connection, after: str, limit: int) -> list[str]:
    """Containers of deleted sessions that were not seen to be gone, by name, from behind `after`."""
    d = deletions.c
    wanted = select(d.object).where(d.removed.is_(None), d.object > after).distinct()
    return list(connection.execute(wanted.order_by(d.object).limit(limit)).scalars())


def object_gone(connection: Connection, name: str, at: int) -> None:
    """Writes that a container is not in the store any more."""
    own = deletions.c.object == name, deletions.c.removed.is_(None)
    connection.execute(update(deletions).where(*own).values(removed=at))


def demand_scrub(connection: Connection) -> None:
    """Asks for what deleted texts left to be overwritten."""
    if not scrub_demanded(connection):
        connection.execute(insert(meta).values(name=_SCRUB, value="due"))


def scrub_demanded(connection: Connection) -> bool:
    """Whether texts of deleted sessions may be left in the database's files."""
    return connection.execute(select(meta.c.value).where(meta.c.name == _SCRUB)).first() is not None


def scrubbed(connection: Connection) -> None:
    """They are overwritten."""
    connection.execute(delete(meta).where(meta.c.name == _SCRUB))
