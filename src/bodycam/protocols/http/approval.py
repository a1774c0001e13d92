"""What waits for a person: asked for, waited for, and then forwarded or refused."""

from bodycam.model.operation import Operation
from bodycam.protocols.http.answers import Problem
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.link import AskApproval, Link
from bodycam.session.session import Exchange, Session


class Approval:
    """The approval of a connection's requests, or of a WebSocket's messages, one at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._asked: AskApproval | None = None
        self._told = False

    def ask(self, session: Session, exchange: Exchange, operation: Operation) -> None:
        """Ask for what has to be approved, with all that it says."""
        assert exchange.verdict is not None
        assert exchange.verdict.terms is not None
        self._told = False
        wanted = session.approval_of(exchange, operation)
        self._asked = AskApproval(wanted, exchange.verdict.terms.wait)
        self._link.ask(self._asked)

    def waits(self, exchange: Exchange | None, said: ApprovalSaid) -> None:
        """It is known where it waits."""
        if exchange is None or exchange.verdict is None or self._asked is None or self._told:
            return
        self._told = True
        exchange.note("approval-pending", approval=said.approval, rule=exchange.verdict.rule, url=said.url)

    def answered(self, session: Session, exchange: Exchange, said: ApprovalSaid) -> Problem | None:
        """A person decided, or nobody did in time; None: it may go on."""
        assert exchange.verdict is not None
        self._asked = None
        exchange.note(
            f"approval-{said.state.value}",
            approval=said.approval,
            by=", ".join(said.by),
            reason=session.redaction.redact(said.reason)[0],
        )
        where = said.url or f"bodycam approvals show {said.approval}"
        more = {"rule": exchange.verdict.rule, "approval": said.approval, "url": where}
        match said.state:
            case ApprovalState.APPROVED:
                return None
            case ApprovalState.DENIED:
                by = f" by {', '.join(said.by)}" if said.by else ""
                named = said.approval or "of this"
                message = f"approval {named} was denied{by}: {said.reason or 'no reason given'}"
                return Problem(403, message, exchange.verdict.hint, more=more)
            case ApprovalState.EXPIRED:
                return Problem(
                    403, f"approval {said.approval} was not given in time", "Ask again.", more=more
                )
            case _:
                message = f"pending approval {said.approval}: {exchange.verdict.message}"
                hint = f"Do the same again once a person has approved it: {where}"
                return Problem(403, message, hint, more=more)

    def drop(self) -> None:
        """Nobody waits any more."""
        if self._asked is not None:
            self._asked.over = True
            self._asked = None
