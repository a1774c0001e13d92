"""The clients that ask for small things: wrk where it is, and one that speaks TLS through a proxy as well."""

import asyncio
import re
import ssl
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from parts.baselines import found

_DONE = re.compile(r"^done (\d+) (\d+) (\d+) (\d+) (\d+)", re.MULTILINE)
_SCRIPT = """\
local requests, n = {{}}, 0
for line in io.lines("{lines}") do
  n = n + 1
  requests[n] = "GET " .. line .. " HTTP/1.1\\r\\n{head}\\r\\n"
end
local at = 0
request = function() at = at % n + 1; return requests[at] end
done = function(summary, latency)
  print(string.format("\\ndone %d %d %d %d %d", summary.requests, summary.duration, summary.bytes,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How requests go to a server: a port, what stands before a path, the other lines of the head.

    With `tunnel` (`host:port`) a proxy is asked for a tunnel first; `ca_file` vouches for whoever
    answers there with TLS.
    """

    port: int
    before: str = ""
    lines: tuple[str, ...] = ("Host: localhost",)
    tunnel: str = ""
    greeting: tuple[str, ...] = ()
    ca_file: Path | None = None

    @property
    def head(self) -> bytes:
        """The lines of each request's head."""
        return "".join(f"{line}\r\n" for line in self.lines).encode()


@dataclass(frozen=True, slots=True)
class Done:
    """What was done: answers, their rate a second, and the bytes of requests and answers."""

    requests: int
    rate: float
    wire: int


def load(way: Way, paths: Sequence[str], seconds: float, clients: int = 32) -> Done:
    """Ask for these paths, one after the other, over so many lasting connections.

    Raises:
        RuntimeError: there was any answer but 200, or a connection was lost.
    """
    if way.tunnel or way.ca_file or not found("wrk"):
        return uvloop.run(_load(way, paths, seconds, clients))
    return _wrk(way, paths, seconds, clients)


def client(way: Way) -> str:
    """The name of the client that makes the load over such a way."""
    return "own client" if way.tunnel or way.ca_file or not found("wrk") else "wrk"


def _wrk(way: Way, paths: Sequence[str], seconds: float, clients: int) -> Done:
    with tempfile.TemporaryDirectory() as folder:
        lines, script = Path(folder) / "lines", Path(folder) / "script.lua"
        lines.write_text("".join(f"{way.before}{path}\n" for path in paths))
        head = way.head.decode().replace("\r\n", "\\r\\n")
        script.write_text(_SCRIPT.format(lines=lines, head=head))
        url = f"http://127.0.0.1:{way.port}/"
        command = [found("wrk") or "wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "-s"]
        done = subprocess.run(
            [*command, str(script), url],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
    said = _DONE.search(done.stdout)
    if said is None:
        raise RuntimeError(f"wrk failed ({done.returncode}): {done.stdout[-1000:]} {done.stderr[-1000:]}")
    requests, micros, read, errors, _ = map(int, said.groups())
    if errors or not requests:
        raise RuntimeError(f"wrk met {errors} errors in {requests} requests")
    asked = sum(len(way.before) + len(path) for path in paths) / len(paths) + len("GET  HTTP/1.1\r\n\r\n")
    return Done(requests, requests / micros * 1e6, read + round(requests * (asked + len(way.head))))


async def _load(way: Way, paths: Sequence[str], seconds: float, clients: int) -> Done:
    loop = asyncio.get_running_loop()
    asks = [f"GET {way.before}{path} HTTP/1.1\r\n".encode() + way.head + b"\r\n" for path in paths]
    context = ssl.create_default_context(cafile=str(way.ca_file)) if way.ca_file else None
    made: list[_Client] = []
    for number in range(clients):
        one = _Client(asks, number)
        made.append(one)
        if not way.tunnel:
            await loop.create_connection(
                lambda one=one: one,  # type: ignore[misc]
                "127.0.0.1",
                way.port,
                ssl=context,
                server_hostname="localhost" if context else None,
            )
            continue
        transport, greeter = await loop.create_connection(_Greeter, "127.0.0.1", way.port)
        greeting = [f"CONNECT {way.tunnel} HTTP/1.1", f"Host: {way.tunnel}", *way.greeting, "", ""]
        transport.write("\r\n".join(greeting).encode())
        await asyncio.wait_for(greeter.greeted, 20)
        assert context is not None
        upgraded = await loop.start_tls(transport, one, context, server_hostname=way.tunnel.partition(":")[0])
        one.connection_made(upgraded)  # type: ignore[arg-type]
    begun = time.perf_counter()
    for one in made:
        one.ask()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - begun
    requests = sum(one.answers for one in made)
    failed = [one.failed for one in made if one.failed]
    for one in made:
        one.stop()
    await asyncio.sleep(0)
    if failed or not requests:
        raise RuntimeError(f"the load failed on {len(failed)} connections: {failed[:1]}")
    return Done(requests, requests / took, sum(one.wire for one in made))


class _Greeter(asyncio.Protocol):
    """Waits for the proxy's leave."""

    def __init__(self) -> None:
        self.greeted = asyncio.get_running_loop().create_future()
        self._said = b""

    def data_received(self, data: bytes) -> None:
        self._said += data
        if b"\r\n\r\n" in self._said and not self.greeted.done():
            if self._said.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                self.greeted.set_result(None)
            else:
                self.greeted.set_exception(RuntimeError(f"no tunnel: {self._said[:200]!r}"))


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as it has its answer."""

    def __init__(self, asks: Sequence[bytes], start: int) -> None:
        self._asks, self._at = asks, start
        self._transport: Any = None
        self._held = b""
        self._left = self.answers = self.wire = 0
        self._over = False
        self.failed = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._over:
            self.failed = self.failed or f"lost: {exc}"

    def ask(self) -> None:
        self._at = (self._at + 1) % len(self._asks)
        data = self._asks[self._at]
        self.wire += len(data)
        self._transport.write(data)

    def stop(self) -> None:
        self._over = True
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self.wire += len(data)
        if not self._left:
            data = self._held + data if self._held else data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._held = data
                return
            self._held = b""
            if not data.startswith(b"HTTP/1.1 200"):
                self.failed = repr(data[:200])
                self.stop()
                return
            said = data[:end].lower()
            at = said.index(b"content-length:") + 15
            self._left = int(said[at:].split(b"\r\n", 1)[0])
            data = data[end + 4 :]
        self._left -= len(data)
        if not self._left:
            self.answers += 1
            self.ask()
