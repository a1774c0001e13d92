"""How much of the journal each run has filled at this worker: none can fill it for all others (promise 5)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar, final

from bodycam.session.session import Session

L = TypeVar("L")


@final
class Allowances:
    """What sessions that are over have moved, by run, for as long as the run may go on."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._expires: dict[str, float] = {}

    def closed(self, session: Session) -> None:
        """A session is over; what it moved counts on."""
        run = session.grant.run
        if session.grant.limits.journal_bytes:
            self._spent[run.id] += session.moved
            self._expires[run.id] = max(run.expires, self._expires.get(run.id, 0.0))

    def renewed(self, run: str, expires: float) -> None:
        """A run may go on until `expires`, in seconds since the epoch."""
        if run in self._expires:
            self._expires[run] = expires

    def forget(self, now: float) -> None:
        """Forget the runs that are over at `now`: none of them begins another session."""
        for run in [run for run, expires in self._expires.items() if expires <= now]:
            del self._spent[run], self._expires[run]

    def exceeded(self, sessions: Iterable[tuple[Session, L]]) -> Iterator[L]:
        """The links, of all sessions that are open, whose run has moved more than it may."""
        open_now = list(sessions)
        moved = Counter(self._spent)
        for session, _ in open_now:
            moved[session.grant.run.id] += session.moved
        for session, link in open_now:
            if 0 < session.grant.limits.journal_bytes < moved[session.grant.run.id]:
                yield link
