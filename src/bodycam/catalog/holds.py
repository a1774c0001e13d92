"""Legal holds: what keeps recordings past every rule, until it is released."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, insert, select, update

from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.scope import ExchangeFilter
from bodycam.catalog.search import search
from bodycam.catalog.tables import legal_holds


@dataclass(frozen=True, slots=True)
class Held:
    """What a hold is about: sessions that fit all that is given; None is anything.

    `words` are a question as `search` takes it, which one exchange of the session has to answer. Of the
    times between `since` and `until` (microseconds, until excluded) the session has to have seen a moment.
    """

    words: str | None = None
    run: str | None = None
    agent: str | None = None
    principal: str | None = None
    target: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold; times are microseconds of the Unix epoch, and it is in force while `released` is None."""

    id: str
    held: Held
    reason: str
    actor: str
    created: int
    released: int | None = None
    released_by: str | None = None
    release_reason: str | None = None


class Session(Protocol):
    """What a hold looks at, of a row of the index or of a recording's opening."""

    @property
    def id(self) -> str: ...
    @property
    def run(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def principal(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def opened(self) -> int: ...


_HELD = Held.__slots__


def add_hold(connection: Connection, id: str, held: Held, reason: str, actor: str, now: int) -> LegalHold:  # noqa: A002
    """Adds a hold, in force from the end of this transaction on."""
    values = {name: getattr(held, name) for name in _HELD}
    connection.execute(insert(legal_holds).values(id=id, reason=reason, actor=actor, created=now, **values))
    return LegalHold(id, held, reason, actor, now)


def release_hold(connection: Connection, id: str, reason: str, actor: str, now: int) -> bool:  # noqa: A002
    """Ends a hold; False if there is none of that id in force."""
    own = legal_holds.c.id == id, legal_holds.c.released.is_(None)
    change = update(legal_holds).where(*own)
    changed = connection.execute(change.values(released=now, released_by=actor, release_reason=reason))
    return changed.rowcount > 0


def get_hold(connection: Connection, id: str) -> LegalHold | None:  # noqa: A002
    """The hold of that id."""
    row = connection.execute(select(legal_holds).where(legal_holds.c.id == id)).first()
    return None if row is None else _hold(dict(row._mapping))


def list_holds(
    connection: Connection, *, released: bool = False, limit: int = 100, cursor: str | None = None
) -> Page[LegalHold]:
    """Holds in force, newest first; with `released` all there ever were.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    key = legal_holds.c.key
    asked = select(legal_holds).order_by(key.desc())
    if not released:
        asked = asked.where(legal_holds.c.released.is_(None))
    if cursor is not None:
        asked = asked.where(key < decode(cursor, 1)[0])
    size = bounded(limit)
    rows = connection.execute(asked.limit(size + 1)).all()
    found = tuple(_hold(dict(row._mapping)) for row in rows[:size])
    return Page(found, encode(rows[size - 1].key) if len(rows) > size else None)


def holds_in_force(connection: Connection) -> tuple[LegalHold, ...]:
    """All that are, those first that are quick to look at."""
    rows = connection.execute(select(legal_holds).where(legal_holds.c.released.is_(None))).all()
    found = [_hold(dict(row._mapping)) for row in rows]
    return tuple(sorted(found, key=lambda one: (one.held.words is not None, one.created)))


def holding(
    connection: Connection,
    holds: Iterable[LegalHold],
    session: Session,
    closed: int | None,
    *,
    whole: bool = True,
) -> LegalHold | None:
    """The first of these holds that keeps a session, which ended at `closed`; None if none does.

    Of one that the index has not got as a `whole`, nobody can tell what was not said in it: a hold by words
    keeps it.
    """
    for hold in holds:
        words = hold.held.words
        if _fits(hold.held, session, closed) and (
            words is None or not whole or _said(connection, words, session.id)
        ):
            return hold
    return None


def _fits(held: Held, session: Session, closed: int | None) -> bool:
    names: Sequence[str] = ("run", "agent", "principal", "target")
    if any(getattr(held, name) not in (None, getattr(session, name)) for name in names):
        return False
    if held.until is not None and session.opened >= held.until:
        return False
    return held.since is None or closed is None or closed >= held.since


def _said(connection: Connection, words: str, session: str) -> bool:
    wanted = ExchangeFilter(session=session, asides=True)
    return bool(search(connection, words, wanted, limit=1).items)


def _hold(plain: dict[str, object]) -> LegalHold:
    held = Held(**{name: plain.pop(name) for name in _HELD})  # type: ignore[arg-type]
    del plain["key"]
    return LegalHold(held=held, **plain)  # type: ignore[arg-type]
