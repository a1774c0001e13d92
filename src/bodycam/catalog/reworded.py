"""What the catalog keeps in people's words and no recording gives again: approvals, runs' labels, acts.

Each can be read page by page, and be written anew with a value taken out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from bodycam.catalog.tables import approval_votes, approvals, audit, runs


class Of(StrEnum):
    """What a record is."""

    APPROVAL = "approval"
    RUN = "run"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one record.

    `run` and `session` are what it is about, as far as it says so; `leaf` is an act's place in the ledger.
    """

    of: Of
    key: int
    id: str
    run: str | None
    session: str | None
    texts: Mapping[str, Any]
    about: tuple[str, str, str] = ("", "", "")
    """Action, actor and object of an act."""
    leaf: int | None = None


def newest(connection: Connection, of: Of) -> int:
    """The key of the newest record; 0 without any."""
    key = {Of.APPROVAL: approvals.c.key, Of.RUN: runs.c.key, Of.ACT: audit.c.id}[of]
    return int(connection.execute(select(func.coalesce(func.max(key), 0))).scalar_one())


def words_after(connection: Connection, of: Of, after: int, until: int, limit: int) -> list[Words]:
    """The records behind `after`, up to and with `until`, in the order of their keys."""
    match of:
        case Of.APPROVAL:
            owner = runs.c.id.label("of_run")
            query = select(approvals, owner).join(runs, runs.c.key == approvals.c.run)
            own = approvals.c.key
        case Of.RUN:
            query, own = select(runs), runs.c.key
        case Of.ACT:
            query, own = select(audit), audit.c.id
    rows = connection.execute(query.where(own > after, own <= until).order_by(own).limit(limit)).all()
    return [_words(connection, of, row) for row in rows]


def words_of(connection: Connection, of: Of, key: int) -> Words | None:
    """One record as it is now; it is gone where None."""
    found = words_after(connection, of, key - 1, key, 1)
    return found[0] if found else None


def reword(connection: Connection, old: Words, texts: Mapping[str, Any], salt: bytes | None) -> None:
    """Write a record's words anew; `salt` is that of an act with a leaf, and takes the old one's place."""
    match old.of:
        case Of.APPROVAL:
            plain = {name: texts[name] for name in ("text", "parameters", "reason")}
            connection.execute(update(approvals).where(approvals.c.key == old.key).values(**plain))
            votes = connection.execute(_votes(old.key)).all()
            for vote, reason in zip(votes, texts["votes"], strict=True):
                own = approval_votes.c.approval == old.key, approval_votes.c.principal == vote.principal
                connection.execute(update(approval_votes).where(*own).values(reason=reason))
        case Of.RUN:
            connection.execute(update(runs).where(runs.c.key == old.key).values(**texts))
        case Of.ACT:
            own_act = update(audit).where(audit.c.id == old.key)
            connection.execute(own_act.values(detail=texts["detail"], salt=salt))


def _words(connection: Connection, of: Of, row: Row[Any]) -> Words:
    match of:
        case Of.APPROVAL:
            votes = [vote.reason for vote in connection.execute(_votes(row.key))]
            texts = {"text": row.text, "parameters": row.parameters, "reason": row.reason, "votes": votes}
            return Words(of, row.key, row.id, row.of_run, row.session, texts)
        case Of.RUN:
            texts = {"labels": row.labels, "reason": row.reason, "trace": row.trace}
            return Words(of, row.key, row.id, row.id, None, texts)
        case Of.ACT:
            named = row.detail.get("run"), row.detail.get("session")
            run, session = (one if isinstance(one, str) else None for one in named)
            about = row.action, row.actor, row.object
            return Words(of, row.id, f"act:{row.id}", run, session, {"detail": row.detail}, about, row.leaf)


def _votes(approval: int) -> Any:
    wanted = select(approval_votes).where(approval_votes.c.approval == approval)
    return wanted.order_by(approval_votes.c.at, approval_votes.c.principal)
