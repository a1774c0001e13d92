"""The sessions that are open on all workers, as the control process counts them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class OpenSession:
    """One session that was granted and not yet closed."""

    session: str
    run: str
    worker: str


class OpenSessions:
    """Counts sessions by run, from grants, closings and what workers say when they connect."""

    def __init__(self) -> None:
        self._sessions: dict[str, OpenSession] = {}
        self._by_run: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    def at(self, session: str) -> OpenSession | None:
        """The session of that id, if it is open."""
        return self._sessions.get(session)

    def add(self, session: str, run: str, worker: str) -> None:
        """A session was granted, or a worker says that it has it."""
        self._sessions[session] = OpenSession(session, run, worker)
        self._by_run.setdefault(run, set()).add(session)

    def remove(self, session: str) -> None:
        """A session ended; one that is not known is no error, for a closing can come twice."""
        found = self._sessions.pop(session, None)
        if found is None:
            return
        of_run = self._by_run[found.run]
        of_run.discard(session)
        if not of_run:
            del self._by_run[found.run]

    def of_run(self, run: str) -> list[str]:
        """The open sessions of a run."""
        return sorted(self._by_run.get(run, ()))

    def count(self, run: str) -> int:
        """How many sessions a run has open."""
        return len(self._by_run.get(run, ()))

    def runs(self) -> list[str]:
        """The runs that have a session open."""
        return list(self._by_run)

    def replace(self, worker: str, sessions: Iterable[tuple[str, str]]) -> None:
        """Take a worker's own account, `(session, run)` each, for what it has open."""
        self.lost(worker)
        for session, run in sessions:
            self.add(session, run, worker)

    def lost(self, worker: str) -> list[str]:
        """Forget the sessions of a worker that is gone; returns them."""
        gone = [session.session for session in self._sessions.values() if session.worker == worker]
        for session in gone:
            self.remove(session)
        return gone
