"""Approvals: asked for by workers, decided by people, used once.

`digest` says which operation an approval is for; of each there is at most one that can still be used, by a
partial unique index, and using it is one conditional update. Times are microseconds of the Unix epoch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.tables import approval_groups, approval_votes, approvals, runs
from bodycam.model.identity import Principal, PrincipalKind

_TRIES = 5
_LIVE = ("pending", "approved")


class Standing(StrEnum):
    """Where an approval stands at some moment."""

    PENDING = "pending"
    APPROVED = "approved"  # and not used yet
    USED = "used"
    DENIED = "denied"
    EXPIRED = "expired"  # neither decided nor used in time
    WITHDRAWN = "withdrawn"  # its run was revoked


@dataclass(frozen=True, slots=True)
class Asking:
    """What a worker asks for. `by` are groups, `minimum` how many people must approve."""

    digest: bytes
    session: str
    exchange: int
    target: str
    database: str
    rule: str
    policy: str
    verb: str
    text: str
    parameters: tuple[str, ...]
    by: tuple[str, ...]
    minimum: int
    expires: int


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person decided."""

    principal: str
    approve: bool
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval as the catalog keeps it; run, session and exchange are those that asked last.

    `starter` and `agent` are the run's; they are the same for all that can use it.
    """

    key: int
    id: str
    stored: Standing
    run: str
    starter: Principal
    agent: str
    session: str
    exchange: int
    target: str
    database: str
    rule: str
    policy: str
    verb: str
    text: str
    parameters: tuple[str, ...]
    by: tuple[str, ...]
    minimum: int
    reason: str
    created: int
    expires: int
    decided: int | None
    used: int | None

    def standing(self, now: int) -> Standing:
        """Where it stands at `now`."""
        return Standing.EXPIRED if self.stored.value in _LIVE and self.expires <= now else self.stored


class Came(StrEnum):
    """What became of an asking."""

    USED = "used"  # it was approved, and this asking has used it up
    WAITS = "waits"  # one was pending already
    NEW = "new"
    DENIED = "denied"
    RUN_OVER = "run-over"  # the run that asks is not active: nothing was changed
    TOO_MANY = "too-many"  # the run has asked for as many as it may: nothing was changed


class NotOpen(Exception):
    """An approval can't be decided any more; `standing` is what it came to."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(f"the approval is {standing.value}")
        self.standing = standing


class VotedAlready(Exception):
    """A person decides once."""


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """What to list; None is anything.

    `starter` with `groups`: of that starter, or for those groups, or with `unnamed` for no group by name.
    """

    standing: Standing | None = None
    run: str | None = None
    target: str | None = None
    starter: str | None = None
    groups: frozenset[str] | None = None
    unnamed: bool = False


def ask(
    connection: Connection,
    asking: Asking,
    *,
    id: str,  # noqa: A002
    run: str,
    most: int,
    most_lately: int,
    since: int,
    now: int,
) -> tuple[Came, Approval | None]:
    """Uses the approval for this operation, joins the one that waits, or adds one under `id`.

    A run may have `most` pending, and have asked for `most_lately` since the moment `since`.
    """
    # shared, so that whoever ends or revokes the run waits for this, or this sees that
    held = select(runs).where(runs.c.id == run).with_for_update(read=True)
    owner = connection.execute(held).first()
    if owner is None or owner.ended is not None or owner.revoked is not None or owner.expires <= now:
        return Came.RUN_OVER, None
    latest = {"run": owner.key, "session": asking.session, "exchange": asking.exchange}
    of_it = approvals.c.digest == asking.digest
    live = approvals.c.state.in_(_LIVE)
    for _ in range(_TRIES):
        late = update(approvals).where(of_it, live, approvals.c.expires <= now)
        connection.execute(late.values(state=Standing.EXPIRED.value))
        usable = and_(of_it, approvals.c.state == Standing.APPROVED.value, approvals.c.expires > now)
        use = update(approvals).where(usable).values(state=Standing.USED.value, used=now, **latest)
        if (key := connection.execute(use.returning(approvals.c.key)).scalar()) is not None:
            return Came.USED, _by_key(connection, key)
        known = approvals.c.state.in_([Standing.PENDING.value, Standing.DENIED.value])
        newest = (
            select(approvals.c.key, approvals.c.state)
            .where(of_it, known, approvals.c.expires > now)
            .order_by(approvals.c.key.desc())
            .limit(1)
        )
        found = connection.execute(newest).first()
        if found is not None and found.state == Standing.DENIED.value:
            return Came.DENIED, _by_key(connection, found.key)
        if found is not None:
            waiting = and_(approvals.c.key == found.key, approvals.c.state == Standing.PENDING.value)
            if connection.execute(update(approvals).where(waiting).values(**latest)).rowcount:
                return Came.WAITS, _by_key(connection, found.key)
            continue  # it was decided this very moment
        pending = _count(connection, owner.key, *_standing(Standing.PENDING, now))
        if pending >= most or _count(connection, owner.key, approvals.c.created > since) >= most_lately:
            return Came.TOO_MANY, None
        try:
            with connection.begin_nested():
                key = _add(connection, id, asking, latest, now)
        except IntegrityError:
            continue  # another worker was a moment earlier
        return Came.NEW, _by_key(connection, key)
    raise RuntimeError("an approval changed at every try to ask for it")


def decide(
    connection: Connection, approval: str, principal: str, *, approve: bool, reason: str, now: int
) -> Approval:
    """Enters what one person decided; one denial denies, also what was approved and is not used yet.

    Raises:
        LookupError: there is no such approval.
        NotOpen: there is nothing left to decide.
        VotedAlready: they have decided before.
    """
    held = select(approvals.c.key).where(approvals.c.id == approval).with_for_update()
    key = connection.execute(held).scalar()
    if key is None:
        raise LookupError(f"there is no approval {approval!r}")
    standing = _by_key(connection, key).standing(now)
    if standing is not Standing.PENDING and (approve or standing is not Standing.APPROVED):
        raise NotOpen(standing)
    before = votes_of(connection, [key])[key]
    if any(vote.principal == principal for vote in before):
        raise VotedAlready(f"{principal} has decided on {approval} already")
    connection.execute(
        insert(approval_votes).values(
            approval=key, principal=principal, approve=approve, reason=reason, at=now
        )
    )
    own = update(approvals).where(approvals.c.key == key)
    if not approve:
        connection.execute(own.values(state=Standing.DENIED.value, decided=now, reason=reason))
    else:
        record = _by_key(connection, key)
        if len(before) + 1 >= record.minimum:
            connection.execute(own.values(state=Standing.APPROVED.value, decided=now, reason=reason))
    return _by_key(connection, key)


def withdraw(connection: Connection, run: ScalarSelect[int], now: int) -> None:
    """Nothing that the run of that key asked for can be decided or used any more."""
    of_run = and_(approvals.c.run == run, approvals.c.state.in_(_LIVE))
    connection.execute(update(approvals).where(of_run).values(state=Standing.WITHDRAWN.value, decided=now))


def get_approval(connection: Connection, approval: str) -> Approval | None:
    """The approval of that id."""
    row = connection.execute(_query().where(approvals.c.id == approval)).first()
    return None if row is None else _record(row)


def list_approvals(
    connection: Connection,
    wanted: ApprovalFilter,
    *,
    now: int,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[Approval]:
    """Approvals, newest first.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    query = _query().where(*_conditions(wanted, now)).order_by(approvals.c.key.desc())
    if cursor is not None:
        query = query.where(approvals.c.key < decode(cursor, 1)[0])
    size = bounded(limit)
    rows = connection.execute(query.limit(size + 1)).all()
    found = tuple(_record(row) for row in rows[:size])
    return Page(found, encode(found[-1].key) if len(rows) > size else None)


def votes_of(connection: Connection, keys: Iterable[int]) -> dict[int, list[Vote]]:
    """What was decided on each of these approvals, in the order of deciding."""
    found: dict[int, list[Vote]] = {key: [] for key in keys}
    query = select(approval_votes).where(approval_votes.c.approval.in_(list(found)))
    for row in connection.execute(query.order_by(approval_votes.c.at, approval_votes.c.principal)):
        found[row.approval].append(Vote(row.principal, row.approve, row.reason, row.at))
    return found


def count_pending(connection: Connection, now: int) -> int:
    """How many wait for people."""
    query = select(func.count()).where(*_standing(Standing.PENDING, now)).select_from(approvals)
    return int(connection.execute(query).scalar_one())


def forget_approvals(connection: Connection, before: int, most: int) -> int:
    """Deletes up to `most` approvals that expired before that moment, with their votes; says how many."""
    old = select(approvals.c.key).where(approvals.c.expires < before).order_by(approvals.c.expires)
    keys = list(connection.execute(old.limit(most)).scalars())
    for table in (approval_votes, approval_groups):
        connection.execute(delete(table).where(table.c.approval.in_(keys)))
    connection.execute(delete(approvals).where(approvals.c.key.in_(keys)))
    return len(keys)


def _add(
    connection: Connection,
    id: str,  # noqa: A002
    asking: Asking,
    latest: Mapping[str, Any],
    now: int,
) -> int:
    values = {name: getattr(asking, name) for name in asking.__slots__} | dict(latest)
    values |= {"parameters": list(asking.parameters), "by": list(asking.by)}
    values |= {"id": id, "state": Standing.PENDING.value, "reason": "", "created": now}
    key = int(connection.execute(insert(approvals).values(**values).returning(approvals.c.key)).scalar_one())
    if asking.by:
        groups = [{"approval": key, "group": group} for group in sorted(set(asking.by))]
        connection.execute(insert(approval_groups), groups)
    return key


def _count(connection: Connection, run: int, *those: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(approvals).where(approvals.c.run == run, *those)
    return int(connection.execute(query).scalar_one())


def _standing(standing: Standing, now: int) -> tuple[ColumnElement[bool], ...]:
    stored = approvals.c.state == standing.value
    if standing.value in _LIVE:
        return stored, approvals.c.expires > now
    if standing is Standing.EXPIRED:
        return (or_(stored, and_(approvals.c.state.in_(_LIVE), approvals.c.expires <= now)),)
    return (stored,)


def _conditions(wanted: ApprovalFilter, now: int) -> list[ColumnElement[bool]]:
    found = [] if wanted.standing is None else list(_standing(wanted.standing, now))
    if wanted.run is not None:
        found.append(runs.c.id == wanted.run)
    if wanted.target is not None:
        found.append(approvals.c.target == wanted.target)
    mine: list[ColumnElement[bool]] = []
    if wanted.starter is not None:
        mine.append(runs.c.principal == wanted.starter)
    if wanted.groups is not None:
        named = approval_groups.c.group.in_(sorted(wanted.groups))
        mine.append(approvals.c.key.in_(select(approval_groups.c.approval).where(named)))
    if wanted.unnamed:
        mine.append(
            ~select(approval_groups.c.group).where(approval_groups.c.approval == approvals.c.key).exists()
        )
    return [*found, or_(*mine)] if mine else found


def _query() -> Any:
    owner = (runs.c.id.label("run_id"), runs.c.issuer, runs.c.subject, runs.c.principal_kind)
    more = (runs.c.groups.label("starter_groups"), runs.c.agent)
    return select(approvals, *owner, *more).join(runs, runs.c.key == approvals.c.run)


def _by_key(connection: Connection, key: int) -> Approval:
    return _record(connection.execute(_query().where(approvals.c.key == key)).one())


def _record(row: Row[Any]) -> Approval:
    plain = dict(row._mapping)
    starter = Principal(
        plain.pop("issuer"),
        plain.pop("subject"),
        PrincipalKind(plain.pop("principal_kind")),
        frozenset(plain.pop("starter_groups")),
    )
    del plain["digest"]
    plain |= {"run": plain.pop("run_id"), "stored": Standing(plain.pop("state")), "starter": starter}
    plain |= {name: tuple(plain[name]) for name in ("parameters", "by")}
    return Approval(**plain)
