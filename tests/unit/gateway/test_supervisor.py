"""The supervisor with small children: restarted with a growing pause, stopped in order, signalled."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bodycam.gateway.supervisor import ChildSpec, Supervisor, bind, lifeline, parent_gone

DIARY = """
import os, signal, sys, time
def note(what):
    with open(sys.argv[1], "a") as file:
        file.write(f"{sys.argv[2]} {what} {time.monotonic()}\\n")
def stop(*_):
    note("stopped")
    sys.exit(0)
"""
PATIENT = DIARY + "signal.signal(signal.SIGTERM, stop)\nnote('started')\nwhile True: time.sleep(0.05)"
SHORT = DIARY + "note('started')\nsys.exit(3)"
STUBBORN = DIARY + (
    "signal.signal(signal.SIGTERM, lambda *_: note('asked'))\nnote('started')\nwhile True: time.sleep(0.05)"
)
HUNG_UP = DIARY + (
    "signal.signal(signal.SIGHUP, lambda *_: note('hung up'))\nsignal.signal(signal.SIGTERM, stop)\n"
    "note('started')\nwhile True: time.sleep(0.05)"
)


class Diary:
    """What the children wrote: name, what, when."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def lines(self) -> list[tuple[str, str, float]]:
        if not self.file.exists():
            return []
        found = []
        for line in self.file.read_text().splitlines():
            name, rest = line.split(" ", 1)
            what, _, at = rest.rpartition(" ")
            found.append((name, what, float(at)))
        return found

    def when(self, name: str, what: str) -> list[float]:
        return [at for one, did, at in self.lines() if (one, did) == (name, what)]

    async def until(self, found: Callable[["Diary"], object]) -> None:
        async with asyncio.timeout(30):
            while not found(self):
                await asyncio.sleep(0.02)


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


def child(diary: Diary, name: str, code: str, stage: int = 0, patience: float = 5.0) -> ChildSpec:
    arguments = ("-c", code, str(diary.file), name)
    return ChildSpec(name, arguments, {"PATH": os.environ["PATH"]}, (), stage=stage, patience=patience)


@contextlib.asynccontextmanager
async def supervised(*specs: ChildSpec, reload: tuple[str, ...] = ()) -> AsyncIterator[asyncio.Task[None]]:
    """A running supervisor, told to stop at the end."""
    reading, writing = lifeline()
    task = asyncio.create_task(Supervisor(specs, inherited=(reading,), reload=lambda: reload).run())
    try:
        yield task
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            await task
    finally:
        os.close(reading)
        os.close(writing)


async def test_a_child_that_dies_is_started_again_with_a_growing_pause(diary: Diary) -> None:
    async with supervised(child(diary, "short", SHORT)):
        await diary.until(lambda one: len(one.when("short", "started")) >= 4)

    at = diary.when("short", "started")
    gaps = [after - before for before, after in itertools.pairwise(at)]
    assert 0.15 < gaps[0] < gaps[1] < gaps[2]
    assert gaps[2] > 0.7


async def test_a_child_that_dies_does_not_disturb_the_others(diary: Diary) -> None:
    async with supervised(child(diary, "short", SHORT), child(diary, "patient", PATIENT)):
        await diary.until(lambda one: len(one.when("short", "started")) >= 3)

    assert len(diary.when("patient", "started")) == 1
    assert len(diary.when("patient", "stopped")) == 1


async def test_a_killed_child_is_replaced(diary: Diary) -> None:
    code = PATIENT.replace("note('started')", "note(f'started {os.getpid()}')")

    def pids(one: Diary) -> list[int]:
        return [int(what.split()[1]) for _, what, _ in one.lines() if what.startswith("started")]

    async with supervised(child(diary, "patient", code)):
        await diary.until(lambda one: len(pids(one)) == 1)
        os.kill(pids(diary)[0], signal.SIGKILL)
        await diary.until(lambda one: len(pids(one)) == 2)


async def test_a_child_that_can_t_be_started_is_tried_again(diary: Diary) -> None:
    impossible = ChildSpec("impossible", ("-c", "x" * 200_000), {}, (), stage=0, patience=1.0)
    async with supervised(impossible, child(diary, "patient", PATIENT)) as running:
        await diary.until(lambda one: one.when("patient", "started"))
        await asyncio.sleep(0.5)
        assert not running.done()


async def test_a_stop_goes_stage_by_stage(diary: Diary) -> None:
    slow = PATIENT.replace("def stop(*_):", "def stop(*_):\n    time.sleep(0.4)")
    specs = [
        child(diary, "last", PATIENT, stage=2),
        child(diary, "middle", PATIENT, stage=1),
        child(diary, "first", slow, stage=0),
        child(diary, "beside", PATIENT, stage=0),
    ]
    async with supervised(*specs):
        await diary.until(lambda one: len([1 for _, what, _ in one.lines() if what == "started"]) == 4)

    stopped = [name for name, what, _ in diary.lines() if what == "stopped"]
    assert stopped == ["beside", "first", "middle", "last"]


async def test_a_child_that_will_not_stop_is_killed_when_its_patience_is_over(diary: Diary) -> None:
    async with supervised(child(diary, "stubborn", STUBBORN, patience=0.5)):
        await diary.until(lambda one: one.when("stubborn", "started"))
        began = time.monotonic()

    assert 0.4 < time.monotonic() - began < 3
    assert len(diary.when("stubborn", "asked")) == 1


async def test_a_hangup_goes_to_those_whom_the_reload_names(diary: Diary) -> None:
    async with supervised(
        child(diary, "told", HUNG_UP),
        child(diary, "alone", HUNG_UP),
        reload=("told",),
    ):
        await diary.until(lambda one: len([1 for _, what, _ in one.lines() if "started" in what]) == 2)
        os.kill(os.getpid(), signal.SIGHUP)
        await diary.until(lambda one: one.when("told", "hung up"))

    assert len([1 for _, what, _ in diary.lines() if "hung up" in what]) == 1


async def test_a_child_notices_that_its_supervisor_is_gone() -> None:
    reading, writing = lifeline()
    waiting = asyncio.create_task(parent_gone(reading))
    await asyncio.sleep(0.05)
    assert not waiting.done()

    os.close(writing)
    async with asyncio.timeout(30):
        await waiting
    os.close(reading)


def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}: Address already in use"):
            bind("127.0.0.1", port)
