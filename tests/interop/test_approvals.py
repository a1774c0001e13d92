"""Approvals over real processes: asked on a worker's line, told by a webhook, decided on the command line."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bodycam.gateway.control import ControlLine
from bodycam.gateway.decisions import Decisions
from bodycam.model.ids import SESSION, new_id
from bodycam.session.approval import ApprovalSaid, ApprovalState, ApprovalWanted
from tests import stage
from tests.interop.raw import until
from tests.unit.api.hook import SECRET, Receiver, receiver, verified


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with receiver([500]) as one:
        yield one


@pytest.fixture(scope="module")
def office(hook: Receiver) -> Iterator[stage.Gateway]:
    """A gateway with two people who decide."""
    with stage.folder() as folder:
        webhook = {"name": "hook", "url": hook.url, "secret": {"env": "HOOK_SECRET"}}
        approvals = {"url": "https://console.internal", "webhooks": [webhook]}
        made = stage.Gateway(folder / "g", {}, approvals=approvals)
        made.init()
        made.start(HOOK_SECRET=SECRET)
        try:
            for name in ("ann", "bob"):
                made.bodycam("accounts", "create", name, "--human", "--group", "dba", check=True)
            yield made
        finally:
            made.stop()


def decide(office: stage.Gateway, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bodycam", "approvals", *arguments],
        cwd=office.folder,
        env=stage.clean_environment() | {"BODYCAM_API_KEY": key},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def key_of(office: stage.Gateway, name: str) -> str:
    return office.bodycam("accounts", "key", name, check=True).stdout.strip()


class Played:
    """A worker with one session of a run open; the line is the real one."""

    def __init__(self, run: str, session: str) -> None:
        self.run, self.session, self.decided = run, session, Decisions()
        self.incarnation = new_id(SESSION)

    def hello(self) -> dict[str, Any]:
        sessions = [{"session": self.session, "run": self.run}]
        return {"worker": 9, "incarnation": self.incarnation, "pid": 1, "sessions": sessions, "csr": None}

    def welcomed(self, answer: Mapping[str, Any]) -> None:
        self.decided.missed()

    def cut(self, *, sessions: list[str], run: str | None, reason: str, drain: float = 0.0) -> None: ...

    async def cancel_here(self, key: bytes) -> bool:
        return False

    def renewed(self, run: str, expires: float) -> None: ...


class Asking:
    """What one session asks over its line."""

    def __init__(self, line: ControlLine, played: Played, binding: bytes) -> None:
        self.line, self.played = line, played
        self.wanted = ApprovalWanted(
            played.session, played.run, 2, "writes-need-a-human", "p1", "shop", "shop", "query",
            "DROP TABLE old", (), ("dba",), 1, 600.0, binding,
        )  # fmt: skip

    async def ask(self, **changes: Any) -> ApprovalSaid:
        await asyncio.wait_for(self.line.connected.wait(), 45)
        said = await self.line.approval(replace(self.wanted, **changes))
        assert said is not None
        return said

    async def woken(self, approval: str) -> asyncio.Event:
        event = asyncio.Event()
        self.played.decided.await_decision(approval, event.set)
        return event


@asynccontextmanager
async def worker(office: stage.Gateway, run: str, binding: bytes) -> AsyncIterator[Asking]:
    played = Played(run, new_id(SESSION))
    line = ControlLine(office.data / "run" / "control.sock", played)
    running = asyncio.create_task(line.run())
    try:
        yield Asking(line, played, binding)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_from_asking_to_use_through_a_killed_control_process(
    office: stage.Gateway, hook: Receiver
) -> None:
    ann, run = key_of(office, "ann"), office.run().run
    async with worker(office, run, b"first") as asking:
        said = await asking.ask()
        assert said.state is ApprovalState.PENDING
        assert said.url == f"https://console.internal/approvals/{said.approval}"
        await asyncio.to_thread(until, lambda: len(hook.received) == 2, "the webhook, after one failure")
        assert all(verified(one) for one in hook.received)
        assert json.loads(hook.received[1].body)["data"]["approval"] == said.approval

        os.kill(office.children()["control"][0], signal.SIGKILL)
        await asyncio.to_thread(until, lambda: not asking.line.connected.is_set(), "the line to break")
        assert await asking.line.approval(asking.wanted) is None
        again = await asking.ask()
        assert (again.approval, again.state) == (said.approval, ApprovalState.PENDING)
        await asyncio.to_thread(office.wait_ready)

        refused = await asyncio.to_thread(office.bodycam, "approvals", "approve", said.approval)
        assert refused.returncode == 1
        assert "admin@bodycam is a service" in refused.stderr
        woken = await asking.woken(said.approval)
        listed = await asyncio.to_thread(decide, office, ann, "list", "--json")
        assert [one["id"] for one in json.loads(listed.stdout)["approvals"]] == [said.approval]
        done = await asyncio.to_thread(
            decide, office, ann, "approve", said.approval, "--reason", "old is old"
        )
        assert (done.returncode, done.stderr) == (0, f"{said.approval} is approved\n")
        await asyncio.wait_for(woken.wait(), 30)

        answers = await asyncio.gather(*(asking.ask(exchange=number) for number in range(5)))
        assert sorted(one.state.value for one in answers) == ["approved", *["pending"] * 4]
        assert {one.approval for one in answers if one.state is ApprovalState.APPROVED} == {said.approval}
    assert len({one.headers["webhook-id"] for one in hook.received}) <= 2

    def entered() -> bool:
        events = office.api("GET", "/v1/audit").json()["events"]
        of_it = {
            one["action"] for one in events if one["object"] == said.approval and one["leaf"] is not None
        }
        return of_it == {"approval-asked", "approval-approved", "approval-used"}

    await asyncio.to_thread(until, entered, "the acts in the ledger")


async def test_a_run_that_ended_uses_nothing(office: stage.Gateway) -> None:
    bob, run = key_of(office, "bob"), office.run()
    async with worker(office, run.run, b"second") as asking:
        said = await asking.ask()
        done = await asyncio.to_thread(decide, office, bob, "approve", said.approval)
        assert done.returncode == 0, done.stderr
        await asyncio.to_thread(
            office.api, "POST", f"/v1/runs/{run.run}/end", json={"exit_code": 0, "wait": 0}
        )
        late = await asking.ask()
        assert (late.state, late.reason) == (
            ApprovalState.DENIED,
            "the run has ended, or may not act any more",
        )
        shown = await asyncio.to_thread(decide, office, bob, "show", said.approval, "--json")
        assert json.loads(shown.stdout)["state"] == "approved"
