"""Operations of one connection that wait for a person: side by side, each holding up itself alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from bodycam.model.operation import Operation
from bodycam.protocols.ssh.answers import not_approved, waits, where
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.link import AskApproval, Link
from bodycam.session.session import Exchange, Session

Decided = Callable[[str], None]
"""Called with "" when it may go on, else with why not, in lines for people."""

MOST_WAITING = 100
"""Operations of one connection that wait at a time; one more is refused."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    asked: AskApproval
    exchange: Exchange
    told: Callable[[str], None]
    then: Decided


@final
class Approvals:
    """What waits on one link, by the number of its exchange."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: dict[int, _Waiting] = {}

    def ask(
        self,
        session: Session,
        exchange: Exchange,
        operation: Operation,
        *,
        told: Callable[[str], None],
        then: Decided,
    ) -> None:
        """Ask for an operation whose verdict is pending. `told` gets where it waits, `then` how it ended."""
        verdict = exchange.verdict
        assert verdict is not None
        assert verdict.terms is not None
        if len(self._waiting) >= MOST_WAITING:
            then(f"{MOST_WAITING} operations of this connection wait for approval already")
            return
        asked = AskApproval(session.approval_of(exchange, operation), verdict.terms.wait)
        self._waiting[exchange.number] = _Waiting(asked, exchange, told, then)
        self._link.ask(asked)

    def waits(self, said: ApprovalSaid) -> None:
        """It is known where one waits."""
        waiting = self._waiting.get(said.exchange)
        if waiting is not None:
            verdict = waiting.exchange.verdict
            assert verdict is not None
            waiting.exchange.note(
                "approval-pending", approval=said.approval, rule=verdict.rule, url=where(said)
            )
            waiting.told(waits(verdict, said))

    def answered(self, session: Session, said: ApprovalSaid) -> None:
        """A person decided about one, or nobody did in time."""
        waiting = self._waiting.pop(said.exchange, None)
        if waiting is None:
            return
        verdict = waiting.exchange.verdict
        assert verdict is not None
        waiting.exchange.note(
            f"approval-{said.state.value}",
            approval=said.approval,
            by=", ".join(said.by),
            reason=session.redaction.redact(said.reason)[0],
        )
        approved = said.state is ApprovalState.APPROVED
        waiting.then("" if approved else not_approved(verdict, said))

    def give_up(self, exchange: Exchange) -> None:
        """Whoever asked for it has left."""
        waiting = self._waiting.pop(exchange.number, None)
        if waiting is not None:
            waiting.asked.over = True
            waiting.exchange.note("approval-given-up", reason="the client closed the channel")

    def drop(self) -> None:
        """The session ends: nobody waits any more."""
        for waiting in self._waiting.values():
            waiting.asked.over = True
        self._waiting.clear()
