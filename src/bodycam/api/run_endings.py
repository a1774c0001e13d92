"""/v1/runs/{run}/...: renewing, ending and revoking a run."""

import time
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from bodycam.api import break_glass
from bodycam.api.archivist import ArchivistAway, ArchivistRefused, Settled
from bodycam.api.caller import In, Who
from bodycam.api.catalog_calls import read, write
from bodycam.api.certificates import (
    CertificateOut,
    Csr,
    SshCertificateOut,
    SshPublicKey,
    certified,
    ssh_certified,
)
from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.api.found import stoppable_run
from bodycam.api.listing import now_micros
from bodycam.api.nul import WITHOUT_NUL
from bodycam.api.runs import MIN_TTL, checked_ttl
from bodycam.api.shapes import RunOut
from bodycam.catalog import runs as catalog
from bodycam.catalog.sessions import sessions_of_run

router = APIRouter()

CUT_SECONDS = 3.0
MAX_WAIT = 60.0


class RenewIn(BaseModel):
    """From now on for `ttl` seconds; without it, for as long as the settings say (identity.run_ttl).

    `csr` asks for a client certificate that is good as long, and `ssh_public_key` for one of SSH; only the
    run's starter may.
    """

    model_config = ConfigDict(extra="forbid")

    ttl: float | None = Field(default=None, ge=MIN_TTL, allow_inf_nan=False)
    csr: Csr | None = None
    ssh_public_key: SshPublicKey | None = None


class RenewedOut(BaseModel):
    """The new end of the run's lease, and the certificates if some were asked for."""

    expires: float
    certificate: CertificateOut | None
    ssh_certificate: SshCertificateOut | None


class EndIn(BaseModel):
    """How the run's command ended; `wait` is how many seconds to wait for the sealing of its sessions."""

    model_config = ConfigDict(extra="forbid")

    exit_code: int | None = Field(default=None, ge=-(2**31), lt=2**31)
    wait: float = Field(default=10.0, ge=0, le=MAX_WAIT, allow_inf_nan=False)


class EndedOut(BaseModel):
    """An ended run; `head` is the ledger's signed head over all sealed `sessions`, null when the archivist
    did not answer; `unsealed` are the sessions that it does not cover yet."""

    run: RunOut
    head: dict[str, Any] | None
    sessions: list[str]
    unsealed: list[str]


class ReasonIn(BaseModel):
    """Why, for the record."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=500, pattern=WITHOUT_NUL)


class RevokedOut(BaseModel):
    """A revoked run, and the sessions that were open and are being cut."""

    run: RunOut
    cut: list[str]


@router.post("/v1/runs/{run}/renew")
async def renew_run(run: str, context: In, who: Who, body: RenewIn | None = None) -> RenewedOut:
    """Extend an active run's lease; its secret stays the same."""
    record = await stoppable_run(context, who, run)
    starter = str(record.principal) == str(who.principal)
    access = context.settings.access
    # a provider says the starter's groups anew with each token, and they may have become fewer
    able = access.may_start(record.principal, record.agent)
    if not able or (starter and not access.may_start(who.principal, record.agent)):
        raise ApiError(
            403,
            "may-not-start",
            f"{record.principal} may not start agent {record.agent!r} any more",
            "The lease is not extended; the run goes on until it runs out.",
        )
    body = body or RenewIn()
    if not starter and (body.csr is not None or body.ssh_public_key is not None):
        # an admin may stop others' runs, and must not be able to act in their name
        raise ApiError(
            403,
            "forbidden",
            "this run is somebody else's: its certificate is given to its starter only",
            "Renew it without a request for one.",
        )
    ttl = checked_ttl(context, body.ttl)
    end = time.time() + ttl
    if break_glass.LABEL in record.labels:
        # whoever renews it: that bound is of the run
        longest = context.settings.settings.identity.break_glass.max_ttl
        end = min(end, record.created / 1e6 + longest)
    expires = max(record.expires / 1e6, end)
    renewed = replace(record.run(), expires=expires)
    certificate = await certified(context, renewed, body.csr)
    ssh_certificate = await ssh_certified(context, renewed, body.ssh_public_key)
    if not starter and record.state(now_micros()) is catalog.RunState.ACTIVE:
        # its starter's own renewal is the run's; somebody else's is an administrative act
        await context.trail.before("run-renewed", str(who.principal), run, {"expires": expires})
    if not await write(context.catalog, catalog.renew_run, run, round(expires * 1e6), now_micros()):
        raise ApiError(
            409, "run-not-active", f"run {run} has ended, expired or been revoked", "Start a new one."
        )
    context.workers.renewed(run, expires)
    return RenewedOut(expires=expires, certificate=certificate, ssh_certificate=ssh_certificate)


@router.post("/v1/runs/{run}/end")
async def end_run(run: str, body: EndIn, context: In, who: Who) -> EndedOut:
    """End a run: its sessions are cut, its credential is revoked; twice is once."""
    started = time.monotonic()
    record = await stoppable_run(context, who, run)
    changed = await write(context.catalog, catalog.end_run, run, body.exit_code, now_micros())
    cut = context.workers.stop_run(run, "the run has ended", drain=0.0)
    if changed and str(record.principal) != str(who.principal):
        # its starter's own end is the run's; somebody else's is an administrative act
        await context.trail.after("run-ended", str(who.principal), run, {"sessions": cut})
    await context.workers.ended(cut, CUT_SECONDS)
    sessions, settled = await _settled(context, run, body.wait - (time.monotonic() - started))
    after = await stoppable_run(context, who, run)
    sealed = set() if settled is None else set(settled.sealed)
    return EndedOut(
        run=RunOut.of(after),
        head=None if settled is None else settled.head,
        sessions=sessions,
        unsealed=[one for one in sessions if one not in sealed],
    )


@router.post("/v1/runs/{run}/revoke")
async def revoke_run(run: str, context: In, who: Who, body: ReasonIn | None = None) -> RevokedOut:
    """Revoke a run: its sessions are cut on every worker, and its credential opens nothing any more."""
    reason = body.reason if body else ""
    await stoppable_run(context, who, run)
    changed = await write(context.catalog, catalog.revoke_run, run, reason, now_micros())
    cut = context.workers.stop_run(run, f"the run was revoked{': ' if reason else ''}{reason}")
    if changed:
        detail = {"reason": reason, "sessions": cut}
        await context.trail.after("run-revoked", str(who.principal), run, detail)
    return RevokedOut(run=RunOut.of(await stoppable_run(context, who, run)), cut=cut)


async def _settled(context: Control, run: str, wait: float) -> tuple[list[str], Settled | None]:
    # the index may be a moment behind: what was given to the run counts, whether or not it is listed yet
    listed = [one.id for one in await read(context.catalog, sessions_of_run, run)]
    known = set(listed)
    sessions = listed + [one for one in context.workers.given.of_run(run) if one not in known]
    try:
        return sessions, await context.archivist.settle(sessions, max(0.0, wait))
    except (ArchivistAway, ArchivistRefused):
        return sessions, None
