"""The balance after a fault: what clients saw and what the database's log has, against what is recorded."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tests import stage
from tests.faults import database_log
from tests.faults.load import Bench, Token
from tests.faults.recorded import Recorded, Statement, events, read


@dataclass(frozen=True, slots=True)
class Balance:
    """One run's account.

    Attributes:
        committed: transactions that a client saw committed, `committed_recorded` of them are recorded so.
        statements: those that reached the database, `statements_recorded` of them are recorded, in order.
        sessions: the run's recordings by their outcome.
        missing: in words, what should have been recorded and is not.
    """

    committed: int
    committed_recorded: int
    statements: int
    statements_recorded: int
    sessions: Counter[str]
    missing: tuple[str, ...]


class Books:
    """All that is known about a gateway that was stopped: its recordings, the database's log and table."""

    def __init__(self, gateway: stage.Gateway, server: stage.Postgres, bench: Bench) -> None:
        """Verify the recordings and read them.

        Raises:
            AssertionError: they don't verify, are left open, or a worker's numbers have a gap.
        """
        code, report = gateway.verify()
        assert (code, report["findings"], report["open"]) == (0, [], [])
        self.sessions = [read(told) for told in events(gateway).values()]
        _assert_no_opening_is_missing(self.sessions)
        self._reached = database_log.statements(server.log)
        self._in_table = bench.in_table()

    def balance(self, run: stage.Credential, committed: Iterable[Token]) -> Balance:
        """The account of one run."""
        own = [session for session in self.sessions if session.run == run.run]
        seen = set(committed)
        answered = {token for session in own for token in session.committed}
        by_backend = {session.backend: session for session in own if session.backend is not None}
        missing = [
            f"the marker of session {session.opening} of {session.worker.hex()}"
            for session in own
            if ("interrupted" in session.notes) is not (session.outcome == "interrupted")
        ]
        statements = recorded = 0
        for (name, backend), said in self._reached.items():
            if name == run.run:
                asked = by_backend[backend].asked if backend in by_backend else []
                same = _same(said, asked)
                statements, recorded = statements + len(said), recorded + same
                if same < len(said):
                    missing.append(f"{said[same : same + 3]} of process {backend}: {asked[same : same + 3]}")
        if lost := sorted(seen - answered):
            missing.append(f"{len(lost)} committed transactions: {lost[:5]}")
        if absent := sorted(seen - self._in_table):
            missing.append(f"in the table itself: {absent[:5]}")
        return Balance(
            len(seen),
            len(seen & answered),
            statements,
            recorded,
            Counter(session.outcome for session in own),
            tuple(missing),
        )

    def unasked(self) -> set[Token]:
        """What the database has committed although no recording has the request."""
        return self._in_table - {token for session in self.sessions for token in session.marked}


def _same(said: list[Statement], asked: list[Statement]) -> int:
    """How many statements are the same from the start on."""
    for number, (left, right) in enumerate(zip(said, asked, strict=False)):
        if left != right:
            return number
    return min(len(said), len(asked))


def _assert_no_opening_is_missing(sessions: list[Recorded]) -> None:
    """Every worker's sessions are numbered 1, 2, 3, and every number has its recording."""
    numbers = defaultdict(list)
    for one in sessions:
        numbers[one.worker].append(one.opening)
    for worker, found in numbers.items():
        assert sorted(found) == list(range(1, len(found) + 1)), worker.hex()
