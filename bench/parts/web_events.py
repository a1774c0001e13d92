"""Server-sent events: a server that says when it sent each, and readers that note when it came."""

import asyncio
import time

import uvloop

from parts.web_load import Way

STREAMS, PAUSE = 8, 0.01
"""How many streams there are side by side, and the seconds between two events of one."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def delays(port: int, way: Way, seconds: float) -> list[float]:
    """Microseconds that each event was on its way, over all streams; the server is at `port`."""
    return uvloop.run(_delays(port, way, seconds))


async def _delays(port: int, way: Way, seconds: float) -> list[float]:
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, seconds), "127.0.0.1", port
    )
    async with server:
        streams = await asyncio.gather(*[_read(way, number) for number in range(STREAMS)])
    return [delay for stream in streams for delay in stream]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(_HEAD)
    deadline = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < deadline:
        number += 1
        said = f'data: {{"number":{number},"delta":"and so on","sent":{time.perf_counter_ns()}}}\n\n'.encode()
        writer.write(b"%x\r\n%b\r\n" % (len(said), said))
        await asyncio.sleep(PAUSE)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def _read(way: Way, number: int) -> list[float]:
    await asyncio.sleep(PAUSE * number / STREAMS)
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
    writer.write(f"GET {way.before}/events HTTP/1.1\r\n".encode() + way.head + b"Connection: close\r\n\r\n")
    found = []
    while line := await asyncio.wait_for(reader.readline(), 30):
        _, sent, stamp = line.partition(b'"sent":')
        if sent:
            found.append((time.perf_counter_ns() - int(stamp.strip().rstrip(b"}"))) / 1000)
    writer.close()
    return found
