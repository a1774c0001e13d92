"""Runs and sessions as the API shows them; moments are seconds of the Unix epoch."""

from typing import Any, Self

from pydantic import BaseModel

from bodycam.api.listing import maybe_seconds, now_micros, seconds
from bodycam.api.sights import Sight
from bodycam.catalog.runs import RunRecord, RunState
from bodycam.catalog.sessions import SessionRecord, SessionState
from bodycam.config.viewing import Act, View
from bodycam.model.identity import Grade


class RunOut(BaseModel):
    """One run; `principal` is who started it, as subject@issuer, and `api_key` the id of their key."""

    id: str
    agent: str
    principal: str
    labels: dict[str, str]
    trace: str | None
    grade: Grade
    state: RunState
    created: float
    expires: float
    ended: float | None
    revoked: float | None
    exit_code: int | None
    reason: str | None
    api_key: str | None

    @classmethod
    def of(cls, run: RunRecord, *, masked: bool = False) -> Self:
        """A run of the catalog; `masked` without what its client said of it."""
        return cls(
            id=run.id,
            agent=run.agent,
            principal=str(run.principal),
            labels={} if masked else dict(run.labels),
            trace=None if masked else run.trace,
            grade=run.grade,
            state=run.state(now_micros()),
            created=seconds(run.created),
            expires=seconds(run.expires),
            ended=maybe_seconds(run.ended),
            revoked=maybe_seconds(run.revoked),
            exit_code=run.exit_code,
            reason=None if masked else run.reason,
            api_key=None if masked else run.api_key,
        )


class SessionOut(BaseModel):
    """One session; `root` is its recording's root hash in hexadecimal, once sealed."""

    id: str
    run: str
    principal: str
    agent: str
    target: str
    protocol: str
    database: str
    address: str
    claims: dict[str, Any]
    policy: str
    state: SessionState
    outcome: str | None
    reason: str | None
    opened: float
    closed: float | None
    sealed: float | None
    exchanges: int
    failures: int
    rows: int
    bytes: int
    root: str | None

    @classmethod
    def of(cls, session: SessionRecord, *, masked: bool = False) -> Self:
        """A session of the catalog; `masked` without what clients claimed and targets said."""
        return cls(
            id=session.id,
            run=session.run,
            principal=session.principal,
            agent=session.agent,
            target=session.target,
            protocol=session.protocol,
            database=session.database,
            address=session.address,
            claims={} if masked else dict(session.claims),
            policy=session.policy,
            state=session.state,
            outcome=session.outcome,
            reason=None if masked else session.reason,
            opened=seconds(session.opened),
            closed=maybe_seconds(session.closed),
            sealed=maybe_seconds(session.sealed),
            exchanges=session.exchanges,
            failures=session.failures,
            rows=session.rows,
            bytes=session.bytes,
            root=None if session.place is None else session.place.root.hex(),
        )


def seen(sight: Sight, session: SessionRecord) -> SessionOut:
    """A session that is listed, as its viewer may see it; where nothing says so, masked."""
    permit = sight.permit(Act.LIST, session.provenance)
    return SessionOut.of(session, masked=permit is None or permit.view is View.MASKED)
