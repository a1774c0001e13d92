"""/v1/runs: starting, listing and looking at runs."""

import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from bodycam.api import break_glass
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
from bodycam.api.found import deleted_of, visible_run
from bodycam.api.listing import Cursor, Limit, Moment, Name, micros, now_micros
from bodycam.api.nul import WITHOUT_NUL
from bodycam.api.proof import hold, key_of
from bodycam.api.shapes import RunOut, SessionOut, seen
from bodycam.api.sights import Sight
from bodycam.catalog import runs as catalog
from bodycam.catalog.sessions import SessionFilter, list_sessions
from bodycam.config.viewing import Act, View
from bodycam.identity import run_credentials
from bodycam.model.identity import Grade, Run
from bodycam.model.ids import RUN, new_id
from bodycam.model.trace import trace_parent

router = APIRouter()

MAX_LABELS = 32
MIN_TTL = 10.0
SESSIONS_SHOWN = 1000

LabelName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
]
LabelValue = Annotated[str, StringConstraints(max_length=255, pattern=WITHOUT_NUL)]


class RunIn(BaseModel):
    """A run to start; `ttl` is how many seconds its credential lasts without renewal.

    `csr` asks for a client certificate too, and `ssh_public_key` for one of SSH; their keys stay with who
    asks.
    """

    model_config = ConfigDict(extra="forbid")

    agent: str = Field(min_length=1, max_length=63)
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, max_length=MAX_LABELS)
    trace: str | None = Field(default=None, max_length=512)
    grade: Grade = Grade.ADVISORY
    ttl: float | None = Field(default=None, ge=MIN_TTL, allow_inf_nan=False)
    csr: Csr | None = None
    ssh_public_key: SshPublicKey | None = None


class CredentialOut(BaseModel):
    """The run's credential, given once: the user name to claim and the password that proves it."""

    user: str
    secret: str


class StartedOut(BaseModel):
    """A started run with its credential, and the certificates if some were asked for."""

    run: RunOut
    credential: CredentialOut
    certificate: CertificateOut | None
    ssh_certificate: SshCertificateOut | None


class RunsOut(BaseModel):
    """A page of runs, newest first."""

    runs: list[RunOut]
    next: str | None


class DeletedOut(BaseModel):
    """A session that retention deleted, by which rule; `rule` is empty where nothing says so any more."""

    session: str
    rule: str
    sealed: float
    deleted: float


class RunWithSessionsOut(BaseModel):
    """A run with its sessions, newest first, one page of them; `next` goes on at /v1/sessions?run=.

    `deleted` are those that retention deleted, a thousand at most, for who saw all of the run's.
    """

    run: RunOut
    sessions: list[SessionOut]
    deleted: list[DeletedOut]
    next: str | None


def checked_ttl(context: Control, asked: float | None, *, emergency: bool = False) -> float:
    """How many seconds a lease lasts; that of a run of the break-glass account no longer than that may.

    Raises:
        ApiError: more was asked for than the settings allow at once.
    """
    identity = context.settings.settings.identity
    if asked is not None and asked > identity.max_run_ttl:
        most = f"a run may last {identity.max_run_ttl:g} seconds at once"
        raise ApiError(422, "ttl-too-long", most, "Renew it instead; identity.max_run_ttl sets the bound.")
    wanted = identity.run_ttl if asked is None else asked
    return min(wanted, identity.break_glass.max_ttl) if emergency else wanted


@router.post("/v1/runs", status_code=201)
async def start_run(body: RunIn, context: In, who: Who) -> StartedOut:
    """Start a run of a declared agent and get its credential, once."""
    who.must_act_for(body.agent)
    if not context.settings.access.may_start(who.principal, body.agent):
        raise ApiError(
            403,
            "may-not-start",
            f"{who.principal} may not start agent {body.agent!r}",
            "The settings say who may, under agents.<name>.may_start; GET /v1/agents lists yours.",
        )
    if break_glass.LABEL in body.labels:
        raise ApiError(
            422,
            "label-reserved",
            f"the label {break_glass.LABEL} is the gateway's own",
            "Choose another name; it marks the runs of the break-glass account.",
        )
    labels = {**body.labels, **({break_glass.LABEL: who.emergency} if who.emergency else {})}
    ttl = checked_ttl(context, body.ttl, emergency=bool(who.emergency))
    # a malformed trace context is a claim that nobody can join on: it is left out, as its standard asks
    claimed = trace_parent(body.trace or "")
    trace = None if claimed is None else str(claimed)
    run = Run(new_id(RUN), who.principal, body.agent, time.time() + ttl, body.grade, labels, trace)
    certificate = await certified(context, run, body.csr)
    ssh_certificate = await ssh_certified(context, run, body.ssh_public_key)
    credential, verifier = await run_in_threadpool(run_credentials.issue, run.id)
    stored = catalog.RunCredential(
        verifier.salt, verifier.iterations, verifier.stored_key, verifier.server_key, verifier.digest
    )

    def add(connection: Connection) -> catalog.RunRecord:
        now = now_micros()
        hold(connection, who.proof, now)
        return catalog.add_run(connection, run, stored, now, key_of(who.proof))

    record = await write(context.catalog, add)
    return StartedOut(
        run=RunOut.of(record),
        credential=CredentialOut(user=credential.user, secret=credential.secret),
        certificate=certificate,
        ssh_certificate=ssh_certificate,
    )


@router.get("/v1/runs")
async def list_runs(
    context: In,
    who: Who,
    agent: Name = None,
    principal: Name = None,
    state: catalog.RunState | None = None,
    since: Moment = None,
    until: Moment = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> RunsOut:
    """Runs, newest first; `since` and `until` bound when they were started."""
    sight = await context.sights.of(who.principal, who.roles)
    wanted = catalog.RunFilter(
        agent, sight.filtered(principal), state, micros(since), micros(until), sight.visible(Act.LIST)
    )
    page = await read(
        context.catalog, catalog.list_runs, wanted, now=now_micros(), limit=limit, cursor=cursor
    )
    return RunsOut(runs=await _seen(context, sight, page.items), next=page.next)


@router.get("/v1/runs/{run}")
async def show_run(run: str, context: In, who: Who) -> RunWithSessionsOut:
    """One run with its sessions, of others' runs those that you may see."""
    record = await visible_run(context, who, run)
    sight = await context.sights.of(who.principal, who.roles)
    wanted = SessionFilter(run=run, visible=sight.visible(Act.LIST))
    page = await read(context.catalog, list_sessions, wanted, limit=SESSIONS_SHOWN)
    gone = await deleted_of(context, who, record, SESSIONS_SHOWN)
    return RunWithSessionsOut(
        run=(await _seen(context, sight, [record]))[0],
        sessions=[seen(sight, one) for one in page.items],
        deleted=[
            DeletedOut(session=one.session, rule=one.rule, sealed=one.sealed / 1e6, deleted=one.deleted / 1e6)
            for one in gone
        ],
        next=page.next,
    )


async def _seen(context: Control, sight: Sight, found: Sequence[catalog.RunRecord]) -> list[RunOut]:
    """Runs that are listed, as their viewer may see them: in full where one of their sessions is."""
    own = sight.viewer.own(Act.LIST)
    full = {
        run.id
        for run in found
        if own is not None and own.view is View.FULL and sight.owns(str(run.principal))
    }
    others = [run.id for run in found if run.id not in full]
    if sight.everything:
        full |= set(others)
    elif sight.viewer.reviews and others:
        full |= await read(context.catalog, catalog.showing, others, sight.visible(Act.LIST, View.FULL))
    return [RunOut.of(run, masked=run.id not in full) for run in found]
