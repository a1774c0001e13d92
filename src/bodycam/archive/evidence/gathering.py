"""What the catalog and the file of deletions know of a run, for its bundle."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bodycam.archive import deletions, rewording
from bodycam.archive.deletions import Deletion
from bodycam.catalog import approvals, audit
from bodycam.catalog.approvals import ApprovalFilter
from bodycam.catalog.audit import AuditEvent
from bodycam.catalog.engine import reading
from bodycam.catalog.retention import deleted_among
from bodycam.catalog.runs import RunRecord, get_run
from bodycam.catalog.sessions import SessionRecord, runs_of_sessions, sessions_of_run
from bodycam.model import ids

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Gathered:
    """A run with its sessions by their raw ids, and what is told of those of it that were deleted."""

    run: RunRecord
    sessions: Mapping[bytes, SessionRecord]
    deleted: Mapping[bytes, tuple[Deletion, ...]]

    @property
    def known(self) -> set[bytes]:
        """Every session of the run that is told of."""
        return {*self.sessions, *self.deleted}

    @property
    def since(self) -> int:
        """When the run began, or its first session if that was earlier, in Unix milliseconds."""
        return min([self.run.created, *(one.opened for one in self.sessions.values())]) // 1000

    @property
    def until(self) -> int:
        """When it was over, or now, in Unix milliseconds."""
        run, now = self.run, time.time_ns() // 1000
        ends = [run.expires, *(end for end in (run.ended, run.revoked) if end is not None)]
        return min(now, *ends) // 1000


def gather(engine: Engine, ledger: Path, run: str) -> Gathered | None:
    """What there is; None when there is no such run."""
    with reading(engine) as connection:
        record = get_run(connection, run)
        if record is None:
            return None
        sessions = {ids.raw(one.id): one for one in sessions_of_run(connection, run)}
    found: dict[bytes, tuple[Deletion, ...]] = {}
    for _, one in deletions.read(ledger):
        if not isinstance(one, str) and one.run == run:
            found[one.session] = (*found.get(one.session, ()), one)
    return Gathered(record, sessions, found)


def unattributed(engine: Engine, opened: Iterable[bytes]) -> Iterator[str]:
    """Of these sessions, those of which the catalog knows no run, and no deletion either."""
    batch: list[str] = []
    for session in opened:
        batch.append(ids.session_id(session))
        if len(batch) >= _AT_ONCE:
            yield from _without_run(engine, batch)
            batch = []
    yield from _without_run(engine, batch)


def _without_run(engine: Engine, batch: list[str]) -> list[str]:
    with reading(engine) as connection:
        known = runs_of_sessions(connection, batch)
        rest = [one for one in batch if one not in known]
        gone = deleted_among(connection, rest)
    return [one for one in rest if one not in gone]


def run_text(found: Gathered) -> dict[str, Any]:
    """The run as `run.json` has it; times are microseconds of the Unix epoch."""
    run = found.run
    return {
        "id": run.id,
        "agent": run.agent,
        "principal": {
            "issuer": run.principal.issuer,
            "subject": run.principal.subject,
            "kind": run.principal.kind.value,
            "groups": sorted(run.principal.groups),
        },
        "labels": dict(run.labels),
        "trace": run.trace,
        "grade": run.grade.value,
        "created": run.created,
        "expires": run.expires,
        "ended": run.ended,
        "revoked": run.revoked,
        "until": found.until * 1000,
        "exit_code": run.exit_code,
        "reason": run.reason,
        "api_key": run.api_key,
    }


def approvals_of(engine: Engine, run: str) -> Iterator[dict[str, Any]]:
    """The approvals that the run asked for last, with what people decided; newest first."""
    cursor: str | None = None
    while True:
        now = time.time_ns() // 1000
        with reading(engine) as connection:
            page = approvals.list_approvals(
                connection, ApprovalFilter(run=run), now=now, limit=_AT_ONCE, cursor=cursor
            )
            votes = approvals.votes_of(connection, [one.key for one in page.items])
        for one in page.items:
            yield {
                "id": one.id,
                "state": one.standing(now).value,
                "session": one.session,
                "exchange": one.exchange,
                "target": one.target,
                "database": one.database,
                "rule": one.rule,
                "policy": one.policy,
                "verb": one.verb,
                "text": one.text,
                "parameters": list(one.parameters),
                "by": list(one.by),
                "minimum": one.minimum,
                "reason": one.reason,
                "created": one.created,
                "expires": one.expires,
                "decided": one.decided,
                "used": one.used,
                "votes": [
                    {
                        "principal": vote.principal,
                        "approve": vote.approve,
                        "reason": vote.reason,
                        "at": vote.at,
                    }
                    for vote in votes[one.key]
                ],
            }
        cursor = page.next
        if cursor is None:
            return


def acts_about(engine: Engine, run: str, since: int, names: Collection[str]) -> Iterator[AuditEvent]:
    """Entries of the trail about the run, or about what `names` has (sessions, approvals), oldest first.

    `since` is in Unix milliseconds.
    """
    after, taken = 0, set[int]()
    while True:
        with reading(engine) as connection:
            batch = audit.events_from(connection, since * 1000, after, _AT_ONCE)
        for one in batch:
            # what changed an act that is told has to be told too: it proves the act's new words
            changed = one.action == rewording.ACTION and one.detail.get("leaf") in taken
            if changed or _is_about(one, run, names):
                if one.leaf is not None:
                    taken.add(one.leaf)
                yield one
        if len(batch) < _AT_ONCE:
            return
        after = batch[-1].id


def _is_about(act: AuditEvent, run: str, names: Collection[str]) -> bool:
    detail = act.detail
    if act.object == run or act.object in names:
        return True
    if act.action == "hunted" and act.object == "recordings":
        return True  # through all of them, this run's among them
    session = detail.get("session")
    return detail.get("run") == run or (isinstance(session, str) and session in names)


def act_text(act: AuditEvent) -> dict[str, Any]:
    """An entry of the trail as a line of `trail.jsonl`."""
    return {
        "id": act.id,
        "at": act.at,
        "actor": act.actor,
        "action": act.action,
        "object": act.object,
        "detail": dict(act.detail),
        "salt": None if act.salt is None else act.salt.hex(),
        "leaf": act.leaf,
    }
