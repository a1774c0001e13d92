"""A small API on this machine, of the standard library: says what tests ask it to say."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Api:
    """`answers` are bodies by paths: type and content; `asked` has each request's method, path and fields."""

    port: int = 0
    answers: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    decide: Callable[[str, dict[str, str]], int] = lambda path, fields: 200

    def of(self, path: str) -> list[tuple[str, str, dict[str, str], bytes]]:
        """What came for a path."""
        return [one for one in self.asked if one[1] == path]


@contextlib.contextmanager
def api() -> Iterator[Api]:
    told = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fields = {name.lower(): value for name, value in self.headers.items()}
            told.asked.append((self.command, self.path, fields, body))
            status = told.decide(self.path, fields)
            kind, content = told.answers.get(self.path, ("application/json", json.dumps({"ok": 1}).encode()))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if self.path.startswith("/chunked"):
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for at in range(0, len(content), 7):
                    piece = content[at : at + 7]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
                return
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # a client that leaves is no news
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
