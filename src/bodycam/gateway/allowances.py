"""How much of the journal each run has filled at this worker: none can fill it for all others (promise 5)."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, final

from bodycam.session.session import Session


class Carrier(Protocol):
    """A link, as far as its session matters."""

    @property
    def session(self) -> Session | None: ...


L = TypeVar("L", bound=Carrier)


@final
class Allowances:
    """What sessions that are over have moved, by run, for as long as their run has an allowance."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()

    def closed(self, session: Session) -> None:
        """A session is over; what it moved counts on."""
        if session.grant.limits.journal_bytes:
            self._spent[session.grant.run.id] += session.moved

    def exceeded(self, links: Iterable[L]) -> Iterator[L]:
        """The links, of all that are open, whose run has moved more than `limits.journal_per_run` allows."""
        open_now = [(link, link.session) for link in links if link.session is not None]
        moved = Counter(self._spent)
        for _, session in open_now:
            moved[session.grant.run.id] += session.moved
        for link, session in open_now:
            if 0 < session.grant.limits.journal_bytes < moved[session.grant.run.id]:
                yield link
