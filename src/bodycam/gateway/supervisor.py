"""The supervisor: owns the listening sockets, starts the other processes, restarts what dies, drains.

It holds no keys and no secrets. Its children notice its death by a pipe that closes with it, so that none
outlives it unwatched.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

BACKLOG = 1024
BACKOFF_FIRST, BACKOFF_MOST = 0.1, 5.0
STEADY = 10.0
"""A child that lived this many seconds is restarted at once when it dies."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child process: what it is called, how it is started, what it inherits.

    `stage` orders a stop: children of stage 0 end before those of stage 1 are asked to. `patience` is how
    many seconds a child may take before it is killed.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...]
    stage: int
    patience: float


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    pause: float = BACKOFF_FIRST
    watch: asyncio.Task[None] | None = field(default=None)


class Supervisor:
    """Runs children until it is told to stop. On SIGHUP `reload` says which of them to signal.

    `inherited` are the descriptors that every child gets.
    """

    def __init__(
        self, specs: Sequence[ChildSpec], *, inherited: Sequence[int], reload: Callable[[], Sequence[str]]
    ) -> None:
        self._children = [_Child(spec) for spec in specs]
        self._inherited, self._reload = tuple(inherited), reload

    async def run(self) -> None:
        """Start everything; return after SIGTERM or SIGINT, once every child has ended."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hangup)
        for child in self._children:
            child.watch = asyncio.create_task(self._keep(child))
        await stop.wait()
        log.info("stopping: no new connections; open sessions may end")
        for stage in sorted({child.spec.stage for child in self._children}):
            await asyncio.gather(*(self._end(child) for child in self._children if child.spec.stage == stage))

    def _hangup(self) -> None:
        for name in self._reload():
            for child in self._children:
                if child.spec.name == name and child.process is not None:
                    with contextlib.suppress(ProcessLookupError):
                        child.process.send_signal(signal.SIGHUP)

    async def _keep(self, child: _Child) -> None:
        """Start a child, again and again, with a growing pause when it dies young."""
        while True:
            began = time.monotonic()
            try:
                child.process = process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *child.spec.arguments,
                    env=dict(child.spec.environment),
                    pass_fds=(*child.spec.descriptors, *self._inherited),
                    stdin=asyncio.subprocess.DEVNULL,
                )
            except OSError as error:
                child.pause = min(child.pause * 2, BACKOFF_MOST)
                log.error("a process can't be started", process=child.spec.name, error=str(error))
                await asyncio.sleep(child.pause)
                continue
            log.info("started", process=child.spec.name, pid=process.pid)
            code = await process.wait()
            child.restarts += 1
            lived = time.monotonic() - began
            child.pause = BACKOFF_FIRST if lived >= STEADY else min(child.pause * 2, BACKOFF_MOST)
            log.error(
                "a process died and is started again",
                process=child.spec.name,
                status=code,
                lived_seconds=round(lived, 1),
            )
            await asyncio.sleep(child.pause)

    async def _end(self, child: _Child) -> None:
        if child.watch is not None:
            child.watch.cancel()
            await asyncio.gather(child.watch, return_exceptions=True)
        process = child.process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(child.spec.patience):
                    await process.wait()
            except TimeoutError:
                log.error("a process did not end in time and is killed", process=child.spec.name)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket that children can inherit.

    Raises:
        OSError: the address can't be bound; the message names it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, number, _, address = found[0]
        sock = socket.socket(family, kind, number)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(BACKLOG)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {host}:{port}: {error.strerror or error}") from error
    return sock


def lifeline() -> tuple[int, int]:
    """A pipe whose writing end only this process holds: children read its end as our death."""
    return os.pipe()


async def parent_gone(descriptor: int) -> None:
    """In a child: return when the supervisor has died."""
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
