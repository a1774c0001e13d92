"""Takers of audit events outside the gateway: a file, a syslog server, a webhook.

Each takes some events at a time, and either has them all when `send` returns or may have any of them.
"""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, final

from bodycam.api.signed_post import PostFailed, post
from bodycam.config.auditing import Sink, SinkType
from bodycam.config.types import HostPort

SECONDS: Final = 10.0
"""How long one sending may take."""

# RFC 5424, section 6.2.1: facility 13 is "log audit"; severity 5 is "notice", 4 "warning", 2 "critical"
_FACILITY, _NOTICE = 13, 5
_LOUDER: Final[Mapping[int, int]] = {3: 4, 5: 2}
"""The severity in syslog of those of the schema that are more than a notice."""


class SinkFailed(Exception):
    """The events were not taken, and why, for people."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event on its way: its id, its time in Unix microseconds, its severity there, and a line of JSON."""

    id: int
    at: int
    severity: int
    line: bytes


class Taker(Protocol):
    """One place that takes events."""

    async def send(self, events: Sequence[Outgoing]) -> None:
        """Hand over events, oldest first.

        Raises:
            SinkFailed: not all of them were taken for certain.
        """

    async def close(self) -> None:
        """Let go of what is held open."""


def taker(sink: Sink) -> Taker:
    """What hands events over to a sink of the settings."""
    match sink.type:
        case SinkType.FILE:
            assert sink.path is not None
            return _File(sink.path)
        case SinkType.SYSLOG:
            assert sink.address is not None
            return _Syslog(sink.address, sink.tls, sink.ca_file)
        case SinkType.WEBHOOK:
            return _Webhook(sink)


@final
class _File:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, events: Sequence[Outgoing]) -> None:
        lines = b"".join(one.line + b"\n" for one in events)
        try:
            await asyncio.to_thread(append_lines, self._path, lines)
        except OSError as error:
            raise SinkFailed(f"{self._path}: {error.strerror or error}") from error

    async def close(self) -> None:
        return


def append_lines(path: Path, lines: bytes) -> None:
    """Append whole lines and sync them; a line that a crash cut is ended first.

    Raises:
        OSError: they are not there for certain.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            lines = b"\n" + lines
        left = memoryview(lines)
        while left:
            left = left[file.write(left) :]
        os.fsync(descriptor)


@final
class _Syslog:
    """Messages of RFC 5424, their length before each (RFC 6587, section 3.4.1; RFC 5425, section 4.3)."""

    def __init__(self, address: HostPort, tls: bool, ca_file: Path | None) -> None:
        self._address, self._tls, self._ca_file = address, tls, ca_file
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, events: Sequence[Outgoing]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                reader, writer = await self._open()
                # a server says nothing; what it says is that it has gone
                if reader.at_eof():
                    await self.close()
                    reader, writer = await self._open()
                for one in events:
                    message = syslog_message(one)
                    writer.write(b"%d %b" % (len(message), message))
                await writer.drain()
                # what was written to a connection that has ended fails at the next turn only
                await asyncio.sleep(0)
                if reader.at_eof():
                    raise ConnectionResetError("the server closed the connection")
        except (OSError, TimeoutError) as error:
            await self.close()
            said = "it does not answer in time" if isinstance(error, TimeoutError) else str(error)
            raise SinkFailed(f"{self._address}: {said}") from error

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await streams[1].wait_closed()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            context = None
            if self._tls:
                ca = None if self._ca_file is None else str(self._ca_file)
                context = await asyncio.to_thread(ssl.create_default_context, cafile=ca)
            self._streams = await asyncio.open_connection(self._address.host, self._address.port, ssl=context)
        return self._streams


def syslog_message(one: Outgoing) -> bytes:
    """One event as a message of RFC 5424."""
    priority = _FACILITY * 8 + _LOUDER.get(one.severity, _NOTICE)
    moment = (
        datetime.fromtimestamp(one.at / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    # a byte order mark says that the message is UTF-8
    head = f"<{priority}>1 {moment} {os.uname().nodename} bodycam - {one.id} - "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + one.line


@final
class _Webhook:
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def send(self, events: Sequence[Outgoing]) -> None:
        body = b'{"events":[' + b",".join(one.line for one in events) + b"]}"
        name = f"msg_audit_{events[0].id}_{events[-1].id}"
        try:
            await post(self._sink, name, body, at=time.time(), seconds=SECONDS)
        except PostFailed as error:
            raise SinkFailed(str(error)) from error

    async def close(self) -> None:
        return
