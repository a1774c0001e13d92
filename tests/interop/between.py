"""Somebody between the gateway and its target, who opens the TLS of both and can change what passes."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.frontend import SSL_REQUEST

Change = Callable[[bytes], bytes]


@dataclass
class Between:
    """What was seen: how each side's proof began, in the clear to whoever sits here."""

    proofs: list[bytes] = field(default_factory=list)


def without_binding(message: bytes) -> bytes:
    """Take the offer of channel binding out of a server's message."""
    if message[:1] != b"R":
        return message
    kind, data = backend.authentication(message)
    if kind != backend.Auth.SASL:
        return message
    left = [name for name in backend.sasl_mechanisms(data) if not name.endswith("-PLUS")]
    return backend.authentication_sasl(left)


def unchanged(message: bytes) -> bytes:
    """Pass a message on as it is."""
    return message


@contextlib.asynccontextmanager
async def between(
    port: int, target: int, context: ssl.SSLContext, change: Change = unchanged
) -> AsyncIterator[Between]:
    """Listen at `port` with `context`, and go on to `target` with TLS that trusts anybody."""
    seen, tasks = Between(), set[asyncio.Task[None]]()
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers = [writer]
        # it ends in order also when it is cancelled: else the streams' own callback logs that as a fault
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            assert await reader.readexactly(8) == SSL_REQUEST
            writer.write(b"S")
            await writer.start_tls(context)
            behind, ahead = await asyncio.open_connection("127.0.0.1", target)
            writers.append(ahead)
            ahead.write(SSL_REQUEST)
            assert await behind.readexactly(1) == b"S"
            await ahead.start_tls(blind)
            async with asyncio.TaskGroup() as both:
                both.create_task(forth(reader, ahead))
                both.create_task(back(behind, writer))
        for one in writers:
            one.transport.abort()

    async def forth(reader: asyncio.StreamReader, ahead: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if data[:1] == b"p":
                seen.proofs.append(data)
            ahead.write(data)
        ahead.close()

    async def back(behind: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await behind.readexactly(5)
                writer.write(change(head + await behind.readexactly(int.from_bytes(head[1:], "big") - 4)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # the transports' own last callbacks
