"""/v1/approvals: what waits for people, and what they decided."""

from dataclasses import replace
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from bodycam.api import masked_view
from bodycam.api.approval_desk import entry, state_told
from bodycam.api.caller import Caller, In, Who
from bodycam.api.catalog_calls import read, write
from bodycam.api.context import Control
from bodycam.api.errors import ApiError, not_found
from bodycam.api.fresh import must_be_fresh
from bodycam.api.listing import Cursor, Limit, Name, maybe_seconds, now_micros, seconds
from bodycam.api.nul import WITHOUT_NUL
from bodycam.api.proof import hold
from bodycam.catalog import approvals as catalog
from bodycam.catalog.approvals import Approval, NotOpen, Standing, Vote, VotedAlready
from bodycam.config.viewing import Act, View
from bodycam.policy.approvers import decides_unnamed, why_not

router = APIRouter()

MAX_REASON = 500


class VoteOut(BaseModel):
    """What one person decided."""

    principal: str
    approve: bool
    reason: str
    at: float


class ApprovalOut(BaseModel):
    """One approval; run, session and exchange are those that asked last, `principal` started the run.

    `text` and `parameters` are redacted as in the record. `by` are the groups that decide; without any it is
    approvers. `minimum` is how many people must approve. `may_decide` is about the caller, and `why_not` says
    what speaks against it.
    """

    id: str
    state: Standing
    run: str
    session: str
    exchange: int
    principal: str
    agent: str
    target: str
    database: str
    rule: str
    policy: str
    verb: str
    text: str
    parameters: list[str]
    by: list[str]
    minimum: int
    reason: str
    created: float
    expires: float
    decided: float | None
    used: float | None
    votes: list[VoteOut]
    may_decide: bool
    why_not: str | None
    url: str

    @classmethod
    def of(cls, approval: Approval, votes: list[Vote], url: str, against: str | None) -> Self:
        """An approval of the catalog, for a caller against whose deciding `against` speaks."""
        return cls(
            id=approval.id,
            state=approval.standing(now_micros()),
            run=approval.run,
            session=approval.session,
            exchange=approval.exchange,
            principal=str(approval.starter),
            agent=approval.agent,
            target=approval.target,
            database=approval.database,
            rule=approval.rule,
            policy=approval.policy,
            verb=approval.verb,
            text=approval.text,
            parameters=list(approval.parameters),
            by=list(approval.by),
            minimum=approval.minimum,
            reason=approval.reason,
            created=seconds(approval.created),
            expires=seconds(approval.expires),
            decided=maybe_seconds(approval.decided),
            used=maybe_seconds(approval.used),
            votes=[
                VoteOut(principal=one.principal, approve=one.approve, reason=one.reason, at=seconds(one.at))
                for one in votes
            ],
            may_decide=against is None,
            why_not=against,
            url=url,
        )


class ApprovalsOut(BaseModel):
    """A page of approvals, newest first."""

    approvals: list[ApprovalOut]
    next: str | None


class ApproveIn(BaseModel):
    """An approval's reason, for the record."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=MAX_REASON, pattern=WITHOUT_NUL)


class DenyIn(BaseModel):
    """Why it is denied: the client is told."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=MAX_REASON, pattern=WITHOUT_NUL)


@router.get("/v1/approvals")
async def list_approvals(
    context: In,
    who: Who,
    state: Standing | None = None,
    run: Name = None,
    target: Name = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ApprovalsOut:
    """Approvals, newest first: of your own runs, and those for your groups."""
    wanted = catalog.ApprovalFilter(state, run, target)
    if not who.reads_all:
        own, groups = str(who.principal), who.principal.groups
        wanted = replace(wanted, starter=own, groups=groups, unnamed=decides_unnamed(who.roles))

    def both(connection: Connection) -> tuple[list[Approval], dict[int, list[Vote]], str | None]:
        page = catalog.list_approvals(connection, wanted, now=now_micros(), limit=limit, cursor=cursor)
        return list(page.items), catalog.votes_of(connection, [one.key for one in page.items]), page.next

    found, votes, following = await read(context.catalog, both)
    shown = [_shown(context, who, one, votes[one.key]) for one in found]
    return ApprovalsOut(approvals=shown, next=following)


@router.get("/v1/approvals/{approval}")
async def show_approval(approval: str, context: In, who: Who) -> ApprovalOut:
    """One approval."""
    return _shown(context, who, *await _visible(context, who, approval))


@router.post("/v1/approvals/{approval}/approve")
async def approve(approval: str, context: In, who: Who, body: ApproveIn | None = None) -> ApprovalOut:
    """Approve; once enough people have, the operation goes through when it is asked for again."""
    return await _decide(context, who, approval, approve=True, reason=body.reason if body else "")


@router.post("/v1/approvals/{approval}/deny")
async def deny(approval: str, context: In, who: Who, body: DenyIn) -> ApprovalOut:
    """Deny, for a reason that the client is told; also what was approved and is not used yet."""
    if not body.reason.strip():
        raise ApiError(422, "invalid", "reason: a denial needs one", "Say what would have to be different.")
    return await _decide(context, who, approval, approve=False, reason=body.reason)


async def _decide(context: Control, who: Caller, name: str, *, approve: bool, reason: str) -> ApprovalOut:
    record, votes = await _visible(context, who, name)
    if (against := _against(context, who, record, [])) is not None:
        raise ApiError(403, "may-not-decide", against, "Somebody else has to decide.")
    _check_open(record, votes, who, approve=approve)
    actor, detail = str(who.principal), {**entry(record), "reason": reason}
    if approve:
        must_be_fresh(context, who)
        # what gives is in the ledger before it is given
        await context.trail.before("approval-approved", actor, name, detail)

    def change(connection: Connection) -> Approval:
        now = now_micros()
        hold(connection, who.proof, now)
        return catalog.decide(connection, name, actor, approve=approve, reason=reason, now=now)

    try:
        after = await write(context.catalog, change)
    except NotOpen as error:
        raise _not_open(name, error.standing) from error
    except VotedAlready as error:
        raise _voted(name) from error
    if after.stored is not Standing.PENDING:
        context.workers.decided(name, state_told(after.stored))
    if not approve:
        await context.trail.after("approval-denied", actor, name, detail)
    return _shown(context, who, *await _visible(context, who, name))


async def _visible(context: Control, who: Caller, name: str) -> tuple[Approval, list[Vote]]:
    def both(connection: Connection) -> tuple[Approval, list[Vote]] | None:
        found = catalog.get_approval(connection, name)
        return None if found is None else (found, catalog.votes_of(connection, [found.key])[found.key])

    both_of = await read(context.catalog, both)
    if both_of is None or not (who.owns(str(both_of[0].starter)) or _decides(who, both_of[0])):
        raise not_found("approval", name)
    return both_of


def _decides(who: Caller, record: Approval) -> bool:
    """Whether it is theirs to look at for more than that they asked for it."""
    if who.reads_all or not who.principal.groups.isdisjoint(record.by):
        return True
    return not record.by and decides_unnamed(who.roles)


def _against(context: Control, who: Caller, record: Approval, votes: list[Vote]) -> str | None:
    settings = context.settings.settings
    against = why_not(
        settings, who.principal, who.roles, starter=record.starter, agent=record.agent, by=record.by
    )
    if against is None and any(vote.principal == str(who.principal) for vote in votes):
        return "you have decided already"
    return against


def _check_open(record: Approval, votes: list[Vote], who: Caller, *, approve: bool) -> None:
    standing = record.standing(now_micros())
    if standing is not Standing.PENDING and (approve or standing is not Standing.APPROVED):
        raise _not_open(record.id, standing)
    if any(vote.principal == str(who.principal) for vote in votes):
        raise _voted(record.id)


def _not_open(name: str, standing: Standing) -> ApiError:
    return ApiError(
        409, "not-pending", f"approval {name} is {standing.value}", "There is nothing left to decide."
    )


def _voted(name: str) -> ApiError:
    return ApiError(409, "decided-already", f"you have decided on {name} already", "A person decides once.")


def _shown(context: Control, who: Caller, record: Approval, votes: list[Vote]) -> ApprovalOut:
    standing = record.standing(now_micros())
    against = _against(context, who, record, votes)
    if against is None and standing is not Standing.PENDING:
        against = f"it is {standing.value}"
    plain = ApprovalOut.of(record, votes, context.approvals.link(record.id), against)
    own = context.settings.viewing.viewer(who.principal, who.roles).own(Act.SEARCH)
    if _decides(who, record) or (own is not None and own.view is View.FULL):
        return plain
    # who started the run sees of what it asked as much as of its recordings
    target = context.settings.settings.targets.get(record.target)
    literals = None if target is None else context.literals.get(target.protocol)
    text = masked_view.statement(record.text, literals)
    return plain.model_copy(update={"text": text, "parameters": [masked_view.HIDDEN] * len(plain.parameters)})
