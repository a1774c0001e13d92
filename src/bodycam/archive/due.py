"""Which recordings are due, by rules and catalog: a proposal, which the recordings have to confirm."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from bodycam.archive.keystore import KeyStore
from bodycam.archive.recorded import RecordingUnreadable, read_recorded
from bodycam.archive.store import Store
from bodycam.catalog import retention, sessions
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.sessions import SessionRecord
from bodycam.policy.retention import Recorded, RetentionPolicy, Term

_PAGE = 500
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Due:
    """A recording whose maximum age is over, or will be by the moment that was asked about.

    `over` is when that age ends and `at` when it may go, its minimum counted; microseconds of the Unix epoch.
    """

    session: SessionRecord
    term: Term
    over: int
    at: int


class Proposals:
    """Goes through the catalog's sealed sessions."""

    def __init__(self, engine: Engine, store: Store, keystore: KeyStore) -> None:
        self._engine, self._store, self._keystore = engine, store, keystore

    def until(self, policy: RetentionPolicy, moment: int) -> Iterator[Due]:
        """Those whose maximum age is over at `moment` (microseconds), the ones opened first before others.

        Minimums and holds may keep them all the same.

        Raises:
            SQLAlchemyError: the catalog can't be read.
        """
        shortest, after = policy.shortest, None
        while shortest is not None:
            with reading(self._engine) as connection:
                before = moment - round(shortest * _MICRO)
                page = retention.sealed_sessions(connection, before, after, _PAGE)
            for one in page:
                due = self._due(policy, one)
                if due is not None and due.over <= moment:
                    yield due
            if len(page) < _PAGE:
                return
            after = page[-1].opened, page[-1].key

    def _due(self, policy: RetentionPolicy, one: SessionRecord) -> Due | None:
        labels = one.labels
        if labels is None and (labels := self._labels(one)) is None:
            return None
        recorded = Recorded(one.target, labels, one.protocol, one.agent, one.outcome or "")
        term = policy.term(recorded)
        if term.rule is None or term.due is None or one.sealed is None:
            return None
        over, at = (one.sealed + round(age * _MICRO) for age in (term.keep, term.due))
        return Due(one, term, over, at)

    def _labels(self, one: SessionRecord) -> dict[str, str] | None:
        """Those of a session that an older version indexed; None if its recording does not tell."""
        if one.place is None:
            return None
        try:
            told = read_recorded(self._store, self._keystore, one.id, one.place)
        except RecordingUnreadable:
            return None
        with writing(self._engine, durable=False) as connection:
            sessions.keep_labels(connection, one.id, told.opening.labels)
        return dict(told.opening.labels)
