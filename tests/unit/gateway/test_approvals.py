"""What waits for a person at a worker: woken by a decision, given up in time, never consumed for nobody."""

import asyncio
from dataclasses import replace

from bodycam.gateway.approvals import AWAY, Approvals
from bodycam.gateway.decisions import Decisions
from bodycam.session.approval import ApprovalSaid, ApprovalState, ApprovalWanted
from bodycam.session.link import AskApproval

WANTED = ApprovalWanted(
    "ses_1",
    "run_1",
    2,
    "writes",
    "p1",
    "orders",
    "shop",
    "query",
    "delete from t",
    (),
    ("dba",),
    1,
    60.0,
    b"b",
)
PENDING = ApprovalSaid("apr_1", ApprovalState.PENDING)
APPROVED = ApprovalSaid("apr_1", ApprovalState.APPROVED)


def of(said: ApprovalSaid) -> ApprovalSaid:
    """What the machine is told: which of its exchanges it is about, too."""
    return replace(said, exchange=WANTED.exchange)


class Control:
    """The control process: what it answers, in order; the last answer again and again."""

    def __init__(self, *answers: ApprovalSaid | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def ask(self, wanted: ApprovalWanted) -> ApprovalSaid | None:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Client:
    def __init__(self) -> None:
        self.told: list[ApprovalSaid] = []

    def waits(self, said: ApprovalSaid) -> None:
        self.told.append(said)


async def test_a_decision_wakes_whoever_waits() -> None:
    control, client = Control(PENDING, APPROVED), Client()
    decisions = Decisions()
    approvals = Approvals(control.ask, decisions)
    waiting = asyncio.create_task(approvals.request(client, AskApproval(WANTED, 30)))
    await asyncio.sleep(0.01)
    assert (client.told, control.asked) == ([of(PENDING)], 1)

    decisions("apr_other")
    await asyncio.sleep(0.01)
    assert control.asked == 1
    decisions("apr_1")

    assert await asyncio.wait_for(waiting, 30) == of(APPROVED)


async def test_what_is_approved_already_goes_on_at_once() -> None:
    control, client = Control(APPROVED), Client()

    assert await Approvals(control.ask, Decisions()).request(client, AskApproval(WANTED, 30)) == of(APPROVED)
    assert client.told == []


async def test_without_patience_the_first_answer_is_the_last() -> None:
    control, client = Control(PENDING, APPROVED), Client()

    assert await Approvals(control.ask, Decisions()).request(client, AskApproval(WANTED, 0)) == of(PENDING)
    assert (client.told, control.asked) == ([], 1)


async def test_nobody_decides_in_time() -> None:
    control, client = Control(PENDING), Client()

    assert await Approvals(control.ask, Decisions()).request(client, AskApproval(WANTED, 0.05)) == of(PENDING)


async def test_nothing_is_consumed_for_whoever_waits_no_longer() -> None:
    control, client = Control(PENDING, APPROVED), Client()
    decisions, need = Decisions(), AskApproval(WANTED, 30)
    approvals = Approvals(control.ask, decisions)
    waiting = asyncio.create_task(approvals.request(client, need))
    await asyncio.sleep(0.01)
    need.over = True
    decisions("apr_1")

    assert await asyncio.wait_for(waiting, 30) == of(PENDING)
    assert control.asked == 1


async def test_while_the_control_process_is_away_nothing_is_approved() -> None:
    control, client = Control(None), Client()

    assert await Approvals(control.ask, Decisions()).request(client, AskApproval(WANTED, 30)) == of(AWAY)


async def test_a_control_process_that_comes_back_is_asked_again() -> None:
    control, client = Control(PENDING, None, APPROVED), Client()
    decisions = Decisions()
    approvals = Approvals(control.ask, decisions)
    waiting = asyncio.create_task(approvals.request(client, AskApproval(WANTED, 30)))
    for _ in range(2):
        await asyncio.sleep(0.01)
        decisions("apr_1")

    assert await asyncio.wait_for(waiting, 30) == of(APPROVED)
