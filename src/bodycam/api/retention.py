"""/v1/retention: what the rules would delete, and deleting it now."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from bodycam.api.caller import Admin, In, Reader
from bodycam.api.listing import Limit

router = APIRouter()

MOST_SECONDS = 100 * 366 * 86_400

Within = Annotated[
    float, Query(ge=0, le=MOST_SECONDS, allow_inf_nan=False, description="Seconds from now on.")
]


class PlannedOut(BaseModel):
    """A recording whose maximum age, by `rule`, is over or will be.

    `fate` is `due`, `later` (at `due`), `held` (by the legal hold `kept_by`) or `minimum` (by the rule
    `kept_by`, until `due`).
    """

    session: str
    run: str
    agent: str
    principal: str
    target: str
    sealed: float
    rule: str
    due: float
    fate: str
    kept_by: str | None


class PlanOut(BaseModel):
    """The dry run: all recordings counted by their fate, those due by rule, the first ones named.

    `waits` says why nothing is deleted at present, empty if nothing is in the way.
    """

    at: float
    waits: str
    counts: dict[str, int]
    by_rule: dict[str, int]
    recordings: list[PlannedOut]
    more: bool


class ApplyIn(BaseModel):
    """`trust_clock`: delete also while the gateway's clock is in doubt, because somebody has looked at it."""

    model_config = ConfigDict(extra="forbid")

    trust_clock: bool = False


class AppliedOut(BaseModel):
    """What was deleted by each rule, how many recordings holds kept, and which could not be read.

    `objects` went, `objects_left` the store keeps for now; `refused` says why nothing was deleted, and `more`
    that there is more than one pass takes.
    """

    deleted: dict[str, int]
    held: int
    unreadable: list[str]
    objects: int
    objects_left: int
    more: bool
    refused: str


@router.get("/v1/retention/plan")
async def plan(context: In, who: Reader, within: Within = 0, limit: Limit = 100) -> PlanOut:
    """What would be deleted now, and `within` so many seconds; nothing is."""
    return PlanOut.model_validate(await context.archivist.retention_plan(within, limit))


@router.post("/v1/retention/apply")
async def apply(context: In, who: Admin, body: ApplyIn) -> AppliedOut:
    """Delete what is due now, without waiting for the keeper's next pass."""
    actor = str(who.principal)
    await context.trail.before("retention-applied", actor, "retention", {"trust_clock": body.trust_clock})
    said = await context.archivist.retention_apply(actor, trust_clock=body.trust_clock)
    return AppliedOut.model_validate(said)
