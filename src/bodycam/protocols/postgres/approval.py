"""An operation that waits for a person: asked for, told to the client, and then forwarded or refused.

Outside a transaction the client waits for a while; inside one, where locks are held, it is told at once to
come again. Either way the same operation goes through once it is approved.
"""

from collections.abc import Callable
from dataclasses import replace

from bodycam.model.verdict import Decision, Verdict
from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.client_half import ClientHalf
from bodycam.protocols.postgres.conversation import Conversation
from bodycam.protocols.postgres.waiting import Waiting
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.link import AskApproval, Link
from bodycam.session.session import Session


class Approvals:
    """The approvals of one connection, one at a time: the protocol answers in order."""

    def __init__(
        self, link: Link, client: ClientHalf, conversation: Conversation, resumed: Callable[[], None]
    ) -> None:
        self._link, self._client, self._talk = link, client, conversation
        self._resumed = resumed
        self._asked: AskApproval | None = None
        self._told = False

    @property
    def _session(self) -> Session:
        return self._talk.session

    def ask(self) -> None:
        """Ask for what has just begun to wait; nothing if that was done."""
        waiting = self._client.waiting
        if waiting is None or self._asked is not None:
            return
        verdict = waiting.exchange.verdict
        assert verdict is not None
        assert verdict.terms is not None
        # in a transaction locks would be held meanwhile
        idle = self._talk.idle
        wanted = self._session.approval_of(waiting.exchange, waiting.operation)
        self._told = False
        self._asked = AskApproval(wanted, verdict.terms.wait if idle else 0.0)
        self._link.ask(self._asked)

    def waits(self, said: ApprovalSaid) -> None:
        """The client is to know where what it asked for waits."""
        waiting = self._client.waiting
        if waiting is None or self._asked is None or self._told:
            return
        self._told = True
        verdict = waiting.exchange.verdict
        assert verdict is not None
        waiting.exchange.note("approval-pending", approval=said.approval, rule=verdict.rule, url=said.url)
        message = f"waiting for approval {said.approval}: {verdict.message}"
        hint = f"A person decides: {said.url or _command(said)}"
        waiting.exchange.to_client(backend.notice_response("NOTICE", "00000", message, hint=hint))

    def answered(self, said: ApprovalSaid) -> None:
        """A person decided, or nobody did in time."""
        waiting, self._asked = self._client.waiting, None
        if waiting is None:
            return
        waiting.exchange.note(
            f"approval-{said.state.value}",
            approval=said.approval,
            by=", ".join(said.by),
            reason=self._session.redaction.redact(said.reason)[0],
        )
        if said.state is ApprovalState.APPROVED:
            self._client.resume(None)
        else:
            self._client.resume(_refusal(waiting, said))
        self._resumed()

    def give_up(self, message: str) -> bool:
        """The client wants it no longer; whether anything waited."""
        waiting, asked = self._client.waiting, self._asked
        if waiting is None:
            return False
        if asked is not None:
            asked.over = True
        self._asked = None
        waiting.exchange.note("approval-given-up", reason=message)
        verdict = waiting.exchange.verdict
        assert verdict is not None
        self._client.resume(replace(verdict, decision=Decision.DENY, message=message, hint=""))
        self._resumed()
        return True

    def drop(self) -> None:
        """The session ends: what waits is never forwarded."""
        if self._asked is not None:
            self._asked.over = True
        self._client.drop_waiting()


def _refusal(waiting: Waiting, said: ApprovalSaid) -> Verdict:
    verdict = waiting.exchange.verdict
    assert verdict is not None
    where = said.url or _command(said)
    match said.state:
        case ApprovalState.DENIED:
            by = f" by {', '.join(said.by)}" if said.by else ""
            message = (
                f"approval {said.approval or 'of this'} was denied{by}: {said.reason or 'no reason given'}"
            )
            hint = verdict.hint
        case ApprovalState.EXPIRED:
            message, hint = f"approval {said.approval} was not given in time", "Ask again."
        case _:
            message = f"pending approval {said.approval}: {verdict.message}"
            hint = f"Do the same again once a person has approved it: {where}"
    return Verdict(Decision.DENY, verdict.rule, verdict.policy, message, hint)


def _command(said: ApprovalSaid) -> str:
    return f"bodycam approvals show {said.approval}"
