"""The sessions that are open at a worker: whose link each is, until when its run may, what all have moved."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, final

from bodycam.gateway.allowances import Allowances
from bodycam.gateway.link import ProxyLink
from bodycam.session.session import Session

_MOVED: Final = ("exchanges", "bytes_to_client", "bytes_to_target")


@final
class SessionTable:
    """Sessions by their ids, and runs by theirs, as long as a session of them is open."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Session, ProxyLink]] = {}
        self._runs: Counter[str] = Counter()
        self._expires: dict[str, float] = {}
        self._allowances = Allowances()
        self._done: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: Session, link: ProxyLink) -> None:
        """A session has been opened for a link."""
        grant = session.grant
        self._open[grant.session] = session, link
        self._runs[grant.run.id] += 1
        self._expires[grant.run.id] = max(grant.run.expires, self._expires.get(grant.run.id, 0.0))

    def closed(self, session: Session) -> None:
        """A session is over; what it moved counts on."""
        if self._open.pop(session.grant.session, None) is None:
            return
        run = session.grant.run.id
        self._allowances.closed(session)
        for name in _MOVED:
            self._done[name] += getattr(session, name)
        self._runs[run] -= 1
        if not self._runs[run]:
            del self._runs[run], self._expires[run]

    def renewed(self, run: str, expires: float) -> None:
        """A run's lease was extended, until `expires` in seconds since the epoch."""
        self._allowances.renewed(run, expires)
        if run in self._expires:
            self._expires[run] = expires

    def open_now(self) -> Iterator[tuple[Session, ProxyLink]]:
        """All that are open; they may be closed meanwhile."""
        yield from list(self._open.values())

    def of(self, sessions: list[str], run: str | None) -> Iterator[ProxyLink]:
        """The links of these sessions, and of all sessions of a run."""
        for session, link in self.open_now():
            if session.grant.session in sessions or session.grant.run.id == run:
                yield link

    def expired(self, now: float) -> Iterator[tuple[Session, ProxyLink]]:
        """Those whose run's lease has run out at `now`, in seconds since the epoch."""
        self._allowances.forget(now)
        for session, link in self.open_now():
            if self._expires[session.grant.run.id] <= now:
                yield session, link

    def overdrawn(self) -> list[ProxyLink]:
        """The links whose run has moved more than `limits.journal_per_run` allows."""
        return list(self._allowances.exceeded(self.open_now()))

    def listed(self) -> list[dict[str, Any]]:
        """What the control process is told at every connection: sessions, and the runs they are of."""
        return [
            {"session": session.grant.session, "run": session.grant.run.id} for session, _ in self.open_now()
        ]

    def moved(self) -> dict[str, int]:
        """What all sessions moved so far, those that are open included: exchanges, and bytes either way."""
        sessions = [session for session, _ in self.open_now()]
        return {name: self._done[name] + sum(getattr(one, name) for one in sessions) for name in _MOVED}
