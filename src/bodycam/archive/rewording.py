"""Taking a value out of the words that the catalog keeps for itself: approvals, runs' labels, acts.

The ledger has a leaf of it first, with a salted hash of what was done; then the record is written anew. After
a crash between the two the record is as it was, and the next redaction finds it. An act that has a leaf of
its own is no more what that leaf is the hash of: the new hash is in the details of what was done, so that
the new words are proved by it (`evidence.acts`).
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from bodycam.archive.archivist import Archivist
from bodycam.archive.leaf import Leaf, detail_text, new_salt, salted
from bodycam.archive.leaked import cleaned
from bodycam.catalog import audit, retention
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.holds import holding, holds_in_force
from bodycam.catalog.reworded import Of, Words, newest, reword, words_after, words_of
from bodycam.catalog.sessions import get_session, sessions_of_run

ACTION = "record-redacted"

_PAGE = 500
_NAMES = frozenset(("run", "session", "leaf", "digest", "fingerprint"))
"""Of an act's details: what ties it to other things, which stays as it is."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is taken out, for whom and why; of all records, or of those about a run."""

    wanted: tuple[bytes, ...]
    fingerprint: str
    actor: str
    reason: str
    run: str | None
    held: bool


class Rewording:
    """Goes through the catalog's own words. Blocking."""

    def __init__(self, archivist: Archivist, engine: Engine) -> None:
        self._archivist, self._engine = archivist, engine

    def found(self, order: Order) -> Iterator[tuple[Words, int, bool]]:
        """Records with the value, how often it is in each, and whether a legal hold keeps it."""
        for of in Of:
            with reading(self._engine) as connection:
                until = newest(connection, of)
            after = 0
            while True:
                with reading(self._engine) as connection:
                    page = words_after(connection, of, after, until, _PAGE)
                    hits = [
                        (one, count, not order.held and _kept(connection, one))
                        for one in page
                        if (count := _cleaned(one, order.wanted)[1]) and _about(connection, one, order.run)
                    ]
                yield from hits
                if len(page) < _PAGE:
                    break
                after = page[-1].key

    def take_out(self, one: Words, order: Order) -> None:
        """Write a record anew, without the value.

        Raises:
            OSError, SQLAlchemyError: the record is as it was.
        """
        with writing(self._engine) as connection:
            now = words_of(connection, one.of, one.key)
            if now is None:
                return
            texts, count = _cleaned(now, order.wanted)
            if not count:
                return
            salt = None if now.leaf is None else new_salt()
            detail: dict[str, Any] = {
                "fingerprint": order.fingerprint,
                "reason": order.reason,
                "values": count,
                "run": now.run,
            }
            if now.leaf is not None and salt is not None:
                said = salted(*now.about, detail_text(texts["detail"]), salt=salt)
                detail |= {"leaf": now.leaf, "digest": said.hex()}
            own = new_salt()
            digest = salted(ACTION, order.actor, now.id, detail_text(detail), salt=own)
            with self._archivist.lock:
                leaf = self._archivist.ledger.append([Leaf.ADMIN, digest])
                self._archivist.ledger.commit()
            reword(connection, now, texts, salt)
            audit.add_event(
                connection,
                at=time.time_ns() // 1000,
                actor=order.actor,
                action=ACTION,
                object=now.id,
                detail=detail,
                salt=own,
                leaf=leaf,
            )
            retention.demand_scrub(connection)


def _about(connection: Connection, one: Words, run: str | None) -> bool:
    if run is None or one.run == run or run in one.about:
        return True
    named = one.session or one.about[2]
    found = get_session(connection, named) if named.startswith("ses_") else None
    return found is not None and found.run == run


def _kept(connection: Connection, one: Words) -> bool:
    """Whether a legal hold keeps the session of an approval, or any of a run; acts are kept by none."""
    holds = holds_in_force(connection) if one.of is not Of.ACT else ()
    if not holds:
        return False
    if one.of is Of.APPROVAL:
        found = get_session(connection, one.session or "")
        about = [] if found is None else [found]
    else:
        about = list(sessions_of_run(connection, one.id))
    return any(holding(connection, holds, session, session.closed) is not None for session in about)


def _cleaned(one: Words, wanted: tuple[bytes, ...]) -> tuple[dict[str, Any], int]:
    """A record's words as they are to be, and how often the value was in them."""
    if one.of is not Of.ACT:
        return cleaned(dict(one.texts), wanted)
    detail: Mapping[str, Any] = one.texts["detail"]
    rest, count = cleaned({name: value for name, value in detail.items() if name not in _NAMES}, wanted)
    return {"detail": {name: value for name, value in detail.items() if name in _NAMES} | rest}, count
