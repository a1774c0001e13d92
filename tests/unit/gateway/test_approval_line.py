"""A worker asks over its line, is woken by decisions, and gets no answer from a control process that is away."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bodycam.gateway import control
from bodycam.gateway.control import ControlLine
from bodycam.gateway.decisions import Decisions
from bodycam.net.channel import Channel, ChannelServer, RemoteError
from bodycam.session.approval import (
    ApprovalSaid,
    ApprovalState,
    ApprovalWanted,
    said_to_wire,
    wanted_from_wire,
)

WANTED = ApprovalWanted(
    "ses_1", "run_1", 3, "rule", "p1", "orders", "shop", "query", "DROP TABLE t", ("1", "null"), ("dba",), 1, 60.0,
    b"binding",
)  # fmt: skip
SAID = ApprovalSaid("apr_1", ApprovalState.PENDING, "https://console/approvals/apr_1", ("dba",))


class Orders:
    def __init__(self) -> None:
        self.decided = Decisions()
        self.welcomes = 0

    def hello(self) -> dict[str, Any]:
        return {}

    def welcomed(self, answer: Mapping[str, Any]) -> None:
        self.welcomes += 1
        self.decided.missed()

    def cut(self, *, sessions: list[str], run: str | None, reason: str, drain: float = 0.0) -> None: ...

    async def cancel_here(self, key: bytes) -> bool:
        return False

    def renewed(self, run: str, expires: float) -> None: ...


class Side:
    """The control process's end; `answer` says what becomes of an asking."""

    def __init__(self, path: Path) -> None:
        self.path, self.asked, self.answer = path, list[ApprovalWanted](), "said"
        self.server = ChannelServer(self.hear)

    async def hear(self, channel: Channel, verb: str, body: Any) -> Any:
        if verb == "hello":
            return {}
        assert verb == "approval"
        self.asked.append(wanted_from_wire(body))
        match self.answer:
            case "error":
                raise RemoteError("internal", "no catalog")
            case "silence":
                await asyncio.sleep(60)
            case "gone":
                channel.close()
        return said_to_wire(SAID)


@pytest.fixture
async def both() -> AsyncIterator[tuple[Side, ControlLine, Orders]]:
    folder = Path(tempfile.mkdtemp(prefix="ln"))
    side, orders = Side(folder / "control.sock"), Orders()
    await side.server.start(side.path)
    line = ControlLine(side.path, orders)
    running = asyncio.create_task(line.run())
    async with asyncio.timeout(30):
        await line.connected.wait()
    yield side, line, orders
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await side.server.stop()
    await asyncio.sleep(0)
    shutil.rmtree(folder)


async def test_asked_and_answered(both: tuple[Side, ControlLine, Orders]) -> None:
    side, line, _ = both
    assert await line.approval(WANTED) == SAID
    assert side.asked == [WANTED]


@pytest.mark.parametrize("answer", ["error", "silence", "gone"])
async def test_without_an_answer_there_is_none(
    both: tuple[Side, ControlLine, Orders], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    side, line, _ = both
    monkeypatch.setattr(control, "APPROVAL_CALL_TIMEOUT", 0.2)
    side.answer = answer
    assert await line.approval(WANTED) is None
    assert len(side.asked) == 1


async def test_nobody_is_asked_while_the_line_is_down(tmp_path: Path) -> None:
    line = ControlLine(tmp_path / "control.sock", Orders())
    assert await line.approval(WANTED) is None


async def test_a_decision_wakes_those_that_wait_for_it(both: tuple[Side, ControlLine, Orders]) -> None:
    side, _, orders = both
    woken: list[str] = []
    first, left = lambda: woken.append("first"), lambda: woken.append("left")
    orders.decided.await_decision("apr_1", first)
    orders.decided.await_decision("apr_1", lambda: woken.append("second"))
    orders.decided.await_decision("apr_1", left)
    orders.decided.forget("apr_1", left)
    orders.decided.await_decision("apr_2", lambda: woken.append("other"))
    for channel in side.server.channels:
        channel.tell("decided", {"approval": "apr_1", "state": "approved"})
        channel.tell("decided", {"approval": "apr_1", "state": "approved"})
    async with asyncio.timeout(30):
        while len(woken) < 2:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert woken == ["first", "second"]
    orders.decided.forget("apr_1", first)


async def test_after_the_line_was_down_everybody_asks_again(both: tuple[Side, ControlLine, Orders]) -> None:
    side, _, orders = both
    woken = asyncio.Event()
    orders.decided.await_decision("apr_1", woken.set)
    for channel in list(side.server.channels):
        channel.close()
    async with asyncio.timeout(30):
        await woken.wait()
    assert orders.welcomes == 2
