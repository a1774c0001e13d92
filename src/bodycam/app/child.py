"""One of the supervisor's children: its command line, its settings, its end."""

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog
import uvloop

from bodycam.app.shared import log_as
from bodycam.config import from_snapshot
from bodycam.gateway.supervisor import parent_gone

log = structlog.get_logger(__name__)


async def _until_told(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]], descriptor: int) -> None:
    """Run a child's work until SIGTERM, or until the supervisor is gone."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # a terminal's Ctrl-C reaches the whole group; the supervisor passes it on in order
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)

    async def orphaned() -> None:
        await parent_gone(descriptor)
        log.error("the supervisor is gone; this process ends in order")
        stop.set()

    watching = asyncio.create_task(orphaned())
    try:
        await work(stop)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def main(arguments: Sequence[str] | None = None) -> None:
    """Start one of the supervisor's children."""
    parser = argparse.ArgumentParser(prog="bodycam.app")
    parser.add_argument("role", choices=("worker", "archivist", "control"))
    parser.add_argument("--snapshot", type=Path, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--listen", action="append", default=[])
    given = parser.parse_args(arguments)
    _allow_descriptors()
    settings = from_snapshot(given.snapshot.read_bytes())
    log_as(settings)
    structlog.contextvars.bind_contextvars(process=given.role, pid=os.getpid())

    async def work(stop: asyncio.Event) -> None:
        match given.role:
            case "worker":
                listeners = {name: int(fd) for name, _, fd in (one.partition("=") for one in given.listen)}
                from bodycam.app.worker import run_worker

                _loaded()
                await run_worker(settings, given.number, listeners, stop)
            case "archivist":
                from bodycam.app.archivist import run_archivist

                _loaded()
                await run_archivist(settings, stop)
            case _:
                from bodycam.app.control import run_control

                _loaded()
                await run_control(settings, stop)

    uvloop.run(_until_told(work, given.lifeline))


def _loaded() -> None:
    """Collect from here on, and leave what is loaded alone."""
    gc.freeze()
    gc.enable()


def _allow_descriptors() -> None:
    """A session takes two descriptors, and the usual soft limit of 1024 is there for select(2) alone."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
