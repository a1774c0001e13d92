"""A web site and the APIs of models and tools, over http and https, for clients that are told nothing of a gateway.

`/echo` answers with what it got. All else answers the same every time, so that two ways there can be compared.
"""

import base64
import gzip
import hashlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import brotli
import zstandard

from bodycam.net.authority import Authority, request

USER, PASSWORD = "ada", "basic-Pass.0815-x"
LEAKED = "AKIA" + "IOSFODNN7EXAMPLF"
"""A key that the site prints, and no client may get to see through a gateway that masks."""

TEXT = "".join(f"line {number}: the quick brown fox\n" for number in range(400))
WHEEL = "thing-1.0-py3-none-any.whl"
BACKEND = Path("/usr/lib/git-core/git-http-backend")
ANSWER = "Four of them are late."
CALL = {"name": "look_up", "arguments": '{"order":17}'}

_SECRETS = {"authorization", "cookie", "x-api-key"}

Said = tuple[int, dict[str, str], bytes]


class Site(http.server.ThreadingHTTPServer):
    """`repositories` is a folder of bare ones; `port` is where it listens."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, repositories: Path, wheel: bytes, secure: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.wheel = repositories, wheel
        if secure is not None:
            self.socket = secure.wrap_socket(self.socket, server_side=True)
        self.port = int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of the test's business."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Site

    def log_message(self, *args: Any) -> None:
        """Nothing is printed."""

    def _serve(self) -> None:
        self.close_connection = False
        body = self._body()
        path = self.path.partition("?")[0]
        if path.startswith("/git/"):
            return self._git(body)
        page = _PAGES.get(path) or (_file if path.startswith("/files/") else _echo)
        stream = _STREAMS.get(path) or (
            _SPOKEN.get(path) if b'"stream":true' in body.replace(b" ", b"") else None
        )
        if stream is not None:
            return self._stream(*stream(self, body))
        status, headers, content = page(self, body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        return content

    def _stream(self, kind: str, pieces: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in [*pieces, b""]:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()

    def _git(self, body: bytes) -> None:
        """Git's own server, as a CGI program (git-http-backend(1))."""
        path, _, query = self.path.partition("?")
        said = subprocess.run(
            [BACKEND],
            input=body,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.server.repositories),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "http.receivepack",
                "GIT_CONFIG_VALUE_0": "true",
                "PATH_INFO": path.removeprefix("/git"),
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
            capture_output=True,
            check=False,
            timeout=30,
        ).stdout
        head, _, content = said.partition(b"\r\n\r\n")
        listed = [line.partition(": ")[::2] for line in head.decode().split("\r\n") if line]
        headers = dict(listed)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _echo(got: _Handler, body: bytes) -> Said:
    seen = {
        "method": got.command,
        "path": got.path.partition("?")[0],
        "query": _digest(got.path.partition("?")[2]),
        "headers": sorted(
            [name.lower(), _digest(value) if name.lower() in _SECRETS else value]
            for name, value in got.headers.items()
        ),
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return (
        200,
        {"Content-Type": "application/json", "ETag": '"v1"', "Set-Cookie": "sid=cookie-Val.4711-z"},
        _json(seen),
    )


def _digest(value: str) -> str:
    """For what nobody may find in what was answered."""
    return hashlib.sha256(value.encode()).hexdigest()


def _file(got: _Handler, body: bytes) -> Said:
    content = TEXT.encode()
    headers = {"Content-Type": "text/plain", "Accept-Ranges": "bytes"}
    wanted = got.headers.get("Range", "").removeprefix("bytes=")
    if not wanted:
        return 200, headers, content
    first, _, last = wanted.partition("-")
    begin, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
    return 206, {**headers, "Content-Range": f"bytes {begin}-{end}/{len(content)}"}, content[begin : end + 1]


def _basic(got: _Handler, body: bytes) -> Said:
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if got.headers.get("Authorization") != f"Basic {pair}":
        return 401, {"WWW-Authenticate": 'Basic realm="site"', "Content-Type": "text/plain"}, b"who are you?"
    return 200, {"Content-Type": "text/plain"}, b"hello ada"


def _redirect(to: str) -> Callable[[_Handler, bytes], Said]:
    return lambda got, body: (302, {"Location": to}, b"")


def _coded(coding: str, encode: Callable[[bytes], bytes]) -> Callable[[_Handler, bytes], Said]:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": coding}
    return lambda got, body: (200, headers, encode(TEXT.encode()))


def _fixed(kind: str, content: bytes, **headers: str) -> Callable[[_Handler, bytes], Said]:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda got, body: (200, {"Content-Type": kind, **headers}, content)


def _wheel(got: _Handler, body: bytes) -> Said:
    return 200, {"Content-Type": "application/octet-stream"}, got.server.wheel


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _events(pieces: list[Any], names: bool = False) -> list[bytes]:
    return [
        (f"event: {one['type']}\n" if names else "").encode() + b"data: " + _json(one) + b"\n\n"
        for one in pieces
    ]


def _chat(got: _Handler, body: bytes) -> Said:
    asked = json.loads(body)
    message = {"role": "assistant", "content": ANSWER}
    if asked.get("tools"):
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": CALL}],
        }
    return 200, {"Content-Type": "application/json"}, _json(
        {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        }
    )  # fmt: skip


def _chat_stream(got: _Handler, body: bytes) -> tuple[str, list[bytes]]:
    model = json.loads(body)["model"]
    pieces = [
        {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        for delta, reason in [*(({"content": word}, None) for word in ANSWER.split(" ")), ({}, "stop")]
    ]  # fmt: skip
    return "text/event-stream", [*_events(pieces), b"data: [DONE]\n\n"]


def _embeddings(got: _Handler, body: bytes) -> Said:
    vector = (
        base64.b64encode(bytes(16)).decode() if json.loads(body).get("encoding_format") == "base64" else [0.0]
    )
    return 200, {"Content-Type": "application/json"}, _json(
        {
            "object": "list", "model": "small-embedding",
            "data": [{"object": "embedding", "index": 0, "embedding": vector}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }
    )  # fmt: skip


def _messages(got: _Handler, body: bytes) -> Said:
    return 200, {"Content-Type": "application/json"}, _json(
        {
            "id": "msg_1", "type": "message", "role": "assistant", "model": json.loads(body)["model"],
            "content": [{"type": "text", "text": ANSWER}], "stop_reason": "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 5},
        }
    )  # fmt: skip


def _messages_stream(got: _Handler, body: bytes) -> tuple[str, list[bytes]]:
    began = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": json.loads(body)["model"],
        "content": [], "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 1},
    }  # fmt: skip
    return "text/event-stream", _events(
        [
            {"type": "message_start", "message": began},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
                for word in ANSWER.split(" ")
            ),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
        ],
        names=True,
    )  # fmt: skip


def _tool(got: _Handler, body: bytes) -> Said:
    asked = json.loads(body)
    result = {"content": [{"type": "text", "text": "done"}], "isError": False}
    return (
        200,
        {"Content-Type": "application/json"},
        _json({"jsonrpc": "2.0", "id": asked["id"], "result": result}),
    )


def _deflate(content: bytes) -> bytes:
    return zlib.compress(content)


_INDEX = f'<!DOCTYPE html><html><body><a href="/{WHEEL}">{WHEEL}</a></body></html>'.encode()
_RECORD = _json({"owner": "ada", "key": LEAKED, "profile": {"phone": "private-number", "city": "London"}})
_KEY_TEXT = f"your key is {LEAKED}\n".encode()

_PAGES: dict[str, Callable[[_Handler, bytes], Said]] = {
    "/basic": _basic,
    "/moved": _redirect("/echo?moved=1"),
    "/to-metadata": _redirect("http://169.254.169.254/latest/meta-data/"),
    "/gzip": _coded("gzip", lambda content: gzip.compress(content, mtime=0)),
    "/deflate": _coded("deflate", _deflate),
    "/br": _coded("br", brotli.compress),
    "/zstd": _coded("zstd", zstandard.compress),
    "/nothing": lambda got, body: (204, {}, b""),
    "/fault": lambda got, body: (500, {"Content-Type": "text/plain"}, b"it broke"),
    "/binary": _fixed("application/octet-stream", bytes(range(256)) * 64),
    "/simple/thing/": _fixed("text/html", _INDEX),
    f"/{WHEEL}": _wheel,
    "/key": _fixed("application/json", _RECORD),
    "/key.txt": _fixed("text/plain", _KEY_TEXT),
    "/key.gz": _fixed("text/plain", gzip.compress(_KEY_TEXT, mtime=0), Content_Encoding="gzip"),
    "/v1/chat/completions": _chat,
    "/v1/embeddings": _embeddings,
    "/v1/messages": _messages,
    "/mcp": _tool,
}  # fmt: skip
_STREAMS: dict[str, Callable[[_Handler, bytes], tuple[str, list[bytes]]]] = {
    "/chunked": lambda got, body: ("text/plain", [line.encode() for line in TEXT.splitlines(True)[:20]]),
    "/events": lambda got, body: ("text/event-stream", [b"data: %d\n\n" % number for number in range(8)]),
    # in the middle of the key
    "/key-chunked": lambda got, body: ("text/plain", [_KEY_TEXT[:18], _KEY_TEXT[18:]]),
}
# of models whose clients ask for a stream
_SPOKEN = {"/v1/chat/completions": _chat_stream, "/v1/messages": _messages_stream}


@contextmanager
def site(repositories: Path, wheel: bytes = b"", *, authority: Authority | None = None) -> Iterator[Site]:
    """The site on loopback; with an `authority`, over https as localhost."""
    secure = None if authority is None else _certificate(repositories, authority)
    served = Site(repositories, wheel, secure)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.shutdown()
        served.server_close()
        thread.join(10)


def _certificate(folder: Path, authority: Authority) -> ssl.SSLContext:
    asked, file = request("localhost"), folder / "site.pem"
    file.write_bytes(asked.key_pem + authority.sign(asked.csr_pem, names=["localhost", "127.0.0.1"]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
