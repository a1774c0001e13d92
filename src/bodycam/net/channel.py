"""The framed channel between the gateway's own processes, over a Unix socket.

A frame is a 32-bit big-endian length and the CBOR array `[id, verb, body]`. A call carries an id greater
than 0 and is answered by frames with the same id and the verb `ok`, `error` (`[code, message]`), or, for a
stream, any number of `item` and then `ok`. Id 0 is a notice that expects no answer. Both ends may call.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import cbor2

MAX_FRAME = 16 * 1024 * 1024
STREAM_WINDOW = 64
_LENGTH = struct.Struct(">I")


class ChannelClosed(ConnectionError):
    """The other process went away, or was not there."""


class RemoteError(Exception):
    """The other process answered with an error; `code` is a short word, the text is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _remote_error(body: Any) -> RemoteError:
    match body:
        case [str(code), str(message)]:
            return RemoteError(code, message)
        case _:
            return RemoteError("internal", "the other process answered with an error that can't be read")


Handler = Callable[["Channel", str, Any], Awaitable[Any]]
Answer = AsyncIterator[Any]


class Channel:
    """One end of a connection between two of our processes.

    `handler(channel, verb, body)` answers the peer's calls and takes its notices; an answer that is an async
    iterator is sent item by item.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader, self._writer, self._handler = reader, writer, handler
        self._next = 1
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._streams: dict[int, asyncio.Queue[tuple[str, Any]]] = {}
        self._windows: dict[int, asyncio.Semaphore] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: dict[int, asyncio.Task[None]] = {}
        self.closed = asyncio.Event()

    async def call(self, verb: str, body: Any = None, *, timeout: float = 10.0) -> Any:
        """Ask the peer and wait for its answer.

        Raises:
            RemoteError: the peer answered with an error.
            ChannelClosed: the connection is gone.
            TimeoutError: no answer within `timeout` seconds.
        """
        number = self._number()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send(number, verb, body)
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._waiting.pop(number, None)

    async def stream(self, verb: str, body: Any = None, *, timeout: float = 30.0) -> AsyncIterator[Any]:
        """Ask the peer and yield its answer item by item; `timeout` bounds the wait for each."""
        number = self._number()
        items: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._streams[number] = items
        ended = False
        try:
            self._send(number, verb, body)
            while True:
                async with asyncio.timeout(timeout):
                    kind, item = await items.get()
                ended = kind != "item"
                if kind == "ok":
                    return
                if kind == "error":
                    raise _remote_error(item)
                if kind == "closed":
                    raise ChannelClosed("the other process went away in the middle of its answer")
                self._send(0, "taken", number)
                yield item
        finally:
            self._streams.pop(number, None)
            if not ended:
                # else the peer would hold the rest of its answer for as long as the connection lives
                with contextlib.suppress(ChannelClosed):
                    self._send(0, "left", number)

    def tell(self, verb: str, body: Any = None) -> None:
        """Send a notice; nothing comes back.

        Raises:
            ChannelClosed: the connection is gone.
        """
        self._send(0, verb, body)

    async def run(self) -> None:
        """Read frames until the connection ends; then everything that waits fails with ChannelClosed."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if length > MAX_FRAME:
                    return
                number, verb, body = cbor2.loads(await self._reader.readexactly(length))
                self._receive(number, verb, body)
        except (
            asyncio.IncompleteReadError,
            ConnectionError,
            cbor2.CBORDecodeError,
            ValueError,
            TypeError,
        ):
            # the last three are a peer that sends no frames of ours

            return
        finally:
            self.close()

    def close(self) -> None:
        """End the connection; calls in flight fail."""
        if self.closed.is_set():
            return
        self.closed.set()
        self._writer.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ChannelClosed("the other process went away"))
        for items in self._streams.values():
            items.put_nowait(("closed", None))
        for task in self._tasks:
            task.cancel()

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _send(self, number: int, verb: str, body: Any) -> None:
        if self.closed.is_set():
            raise ChannelClosed("the other process is not there")
        frame = cbor2.dumps([number, verb, body])
        if len(frame) > MAX_FRAME:
            raise ValueError(f"a frame of {len(frame)} bytes is over the channel's {MAX_FRAME}")
        self._writer.write(_LENGTH.pack(len(frame)) + frame)

    def _receive(self, number: int, verb: str, body: Any) -> None:
        if number and verb in ("ok", "error", "item"):
            # our own numbers are only ever answered; the peer's calls carry other verbs
            if (items := self._streams.get(number)) is not None:
                items.put_nowait((verb, body))
            elif (future := self._waiting.get(number)) is not None and not future.done():
                if verb == "error":
                    future.set_exception(_remote_error(body))
                else:
                    future.set_result(body)
            return
        if verb == "taken":
            if (window := self._windows.get(body)) is not None:
                window.release()
            return
        if verb == "left":
            if (answering := self._answering.get(body)) is not None:
                answering.cancel()
            return
        task = asyncio.get_running_loop().create_task(self._answer(number, verb, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if number:
            self._answering[number] = task
            task.add_done_callback(lambda _: self._answering.pop(number, None))

    async def _answer(self, number: int, verb: str, body: Any) -> None:
        try:
            answer = await self._handler(self, verb, body)
            if isinstance(answer, AsyncIterator):
                await self._answer_stream(number, answer)
                answer = None
            if number:
                self._send(number, "ok", answer)
        except RemoteError as error:
            self._fail(number, error.code, str(error))
        except ChannelClosed:
            self.close()
        except Exception as error:
            self._fail(number, "internal", f"{type(error).__name__}: {error}")

    async def _answer_stream(self, number: int, answer: AsyncIterator[Any]) -> None:
        # the window keeps a slow reader of a large recording from filling this process's memory
        window = self._windows[number] = asyncio.Semaphore(STREAM_WINDOW)
        try:
            async for item in answer:
                await window.acquire()
                self._send(number, "item", item)
        finally:
            del self._windows[number]
            if isinstance(answer, AsyncGenerator):
                await answer.aclose()

    def _fail(self, number: int, code: str, message: str) -> None:
        if number:
            with contextlib.suppress(ChannelClosed):
                self._send(number, "error", [code, message])


class ChannelServer:
    """Accepts channels on a Unix socket of mode 0600 and keeps those that are open."""

    def __init__(self, handler: Handler, *, lost: Callable[[Channel], None] | None = None) -> None:
        self._handler, self._lost = handler, lost
        self._server: asyncio.Server | None = None
        self.channels: set[Channel] = set()

    async def start(self, path: Path) -> None:
        """Listen at `path`, taking over a socket file that a dead process left behind."""
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(old)
        self._server = await asyncio.start_unix_server(self._accept, sock=sock)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer, self._handler)
        self.channels.add(channel)
        try:
            await channel.run()
        finally:
            self.channels.discard(channel)
            if self._lost is not None:
                self._lost(channel)

    async def stop(self) -> None:
        """Close the listening socket and every channel."""
        if self._server is not None:
            self._server.close()
        for channel in list(self.channels):
            channel.close()


async def connect(path: Path, handler: Handler) -> Channel:
    """Connect to the process that listens at `path`.

    The caller runs `channel.run()` in a task of its own.

    Raises:
        ChannelClosed: nobody listens there.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError as error:
        raise ChannelClosed(f"no process answers at {path}: {error.strerror or error}") from error
    return Channel(reader, writer, handler)
