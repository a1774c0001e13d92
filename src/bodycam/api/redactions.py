"""/v1/redactions: taking a value that leaked out of recordings and index."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bodycam.api.caller import Admin, In
from bodycam.api.errors import ApiError
from bodycam.api.fresh import must_be_fresh
from bodycam.api.nul import WITHOUT_NUL

router = APIRouter()

SHORTEST, LONGEST = 6, 4096
WAIT_MOST = 86_400.0

RunId = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=WITHOUT_NUL)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=WITHOUT_NUL)]


class RedactIn(BaseModel):
    """A value to take out of all sealed recordings and records of the catalog, or those of a run, and why.

    `plan` only says where it is; `held` takes it also out of what a legal hold keeps. Sessions that are not
    sealed are waited for up to `wait` seconds.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: Annotated[str, Field(min_length=1, max_length=LONGEST, repr=False)]
    run: RunId | None = None
    reason: Reason
    plan: bool = False
    held: bool = False
    wait: Annotated[float, Field(ge=0, le=WAIT_MOST)] = 0.0


class RedactedOut(BaseModel):
    """Sessions with how often the value was, or would be, masked in each, and the catalog's `records` too.

    Not changed are those that are `held`, `unreadable`, or `waiting` for the index; in `named` it stays in
    what says whose recording it is. `unsealed` are sessions that were not looked into.
    """

    fingerprint: str
    sessions: dict[str, int]
    records: dict[str, int]
    held: list[str]
    unreadable: list[str]
    waiting: list[str]
    named: list[str]
    unsealed: list[str]


@router.post("/v1/redactions")
async def redact(context: In, who: Admin, body: RedactIn) -> RedactedOut:
    """Take a value out. The value itself enters no log and no trail, only its keyed fingerprint does."""
    must_be_fresh(context, who)
    value = body.value.encode()
    if not SHORTEST <= len(value) <= LONGEST:
        raise ApiError(
            422, "invalid", f"a value has {SHORTEST} to {LONGEST} bytes", "A shorter one would be everywhere."
        )
    if body.value in body.reason:
        hint = "The reason stays in the audit: say it without the value."
        raise ApiError(422, "invalid", "the value stands in the reason", hint)
    actor = str(who.principal)
    fingerprint = await context.archivist.redaction_fingerprint(value)
    detail = {
        "fingerprint": fingerprint,
        "run": body.run,
        "reason": body.reason,
        "plan": body.plan,
        "held": body.held,
    }
    await context.trail.before("redaction-asked", actor, body.run or "recordings", detail)
    said = await context.archivist.redact(
        value, actor=actor, reason=body.reason, run=body.run, plan=body.plan, held=body.held, wait=body.wait
    )
    return RedactedOut.model_validate({"fingerprint": fingerprint, **said})
