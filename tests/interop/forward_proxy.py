"""A forward proxy that plays the gateway to HTTP clients: asks for the credential, intercepts TLS, remembers."""

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bodycam.net.authority import Authority, request

WHEEL = "thing-1.0-py3-none-any.whl"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class ForwardProxy:
    """`seen` has a line for each request: `refused`, `connect HOST:PORT`, `inside PATH`, `absolute URL`."""

    credential: str
    authority: Authority
    folder: Path
    wheel: bytes
    seen: list[str] = field(default_factory=list)
    port: int = 0

    def certificate(self, host: str, authority: Authority) -> ssl.SSLContext:
        asked = request(host)
        file = self.folder / f"{host}.pem"
        file.write_bytes(asked.key_pem + authority.sign(asked.csr_pem, names=[host]))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(60):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            return
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.seen.append(f"broken {error!r}")
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside = ""
        while head := await _head(reader):
            method, target, _ = head.partition("\r\n")[0].split(" ")
            if not inside and f"proxy-authorization: basic {self.credential}".lower() not in head.lower():
                self.seen.append("refused")
                challenge = 'Proxy-Authenticate: Basic realm="x"\r\n'
                await _answer(writer, b"", "407 Proxy Authentication Required", challenge)
            elif method == "CONNECT":
                self.seen.append(f"connect {target}")
                inside = target.rpartition(":")[0]
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await writer.drain()
                if target.endswith(":443"):  # Node makes tunnels for plain http too
                    await writer.start_tls(self.certificate(inside, self.authority))
            else:
                self.seen.append(f"inside {target}" if inside else f"absolute {target}")
                await _answer(writer, *self._content(target))

    def _content(self, target: str) -> tuple[bytes, str, str]:
        kind = "Content-Type: text/plain\r\n"
        if target.endswith(WHEEL):
            return self.wheel, "200 OK", kind
        if "/simple/thing" in target:
            link = f'<!DOCTYPE html><html><body><a href="/{WHEEL}">{WHEEL}</a></body></html>'
            return link.encode(), "200 OK", "Content-Type: text/html\r\n"
        if "/info/refs" in target:
            return f"{COMMIT}\trefs/heads/main\n".encode(), "200 OK", kind
        if target.endswith("/HEAD"):
            return b"ref: refs/heads/main\n", "200 OK", kind
        return (b"", "404 Not Found", kind) if "missing" in target else (b"hello", "200 OK", kind)


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return ""


async def _answer(writer: asyncio.StreamWriter, body: bytes, status: str, headers: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


@contextmanager
def forward_proxy(
    folder: Path, user: str, secret: str, *, wheel: bytes, listener: Authority | None = None
) -> Iterator[ForwardProxy]:
    """The proxy on loopback; with `listener` it speaks TLS itself, under a certificate of that authority."""
    credential = base64.b64encode(f"{user}:{secret}".encode()).decode()
    proxy = ForwardProxy(credential, Authority.create("Interception"), folder, wheel)
    secure = None if listener is None else proxy.certificate("127.0.0.1", listener)
    loop = asyncio.new_event_loop()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(proxy.client, "127.0.0.1", 0, ssl=secure)

    server = loop.run_until_complete(start())
    proxy.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()
