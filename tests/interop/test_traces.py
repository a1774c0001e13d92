"""Traces through a real gateway: what clients claim, what a search finds, and what a collector gets."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import stage
from tests.collector import Collector, attributes, collector

AGENTS, SQL, WEB = "11" * 16, "22" * 16, "33" * 16
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "small-1-2026",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Four. " * 500}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
}


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(404 if "missing" in self.path else 200, {"path": self.path})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._say(200, ANSWER)

    def _say(self, status: int, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@dataclass
class Place:
    """A gateway before a database and an API."""

    gateway: stage.Gateway
    http: int
    api: int

    def curl(self, run: stage.Credential, path: str, *more: str) -> None:
        proxy = f"http://{run.run}:{run.secret}@127.0.0.1:{self.http}"
        url = f"http://127.0.0.1:{self.api}{path}"
        command = ["curl", "-sS", "--max-time", "30", "--noproxy", "", "-x", proxy, *more, url]
        subprocess.run(command, check=True, capture_output=True, timeout=40, env=stage.clean_environment())

    def psql(self, run: stage.Credential, text: str) -> None:
        command = ["psql", "-XAtq", "-c", text]
        subprocess.run(command, check=False, capture_output=True, timeout=40, env=run.environment)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    port, api = stage.free_port(), server.server_address[1]
    targets = {"api": {"protocol": "http", "address": f"127.0.0.1:{api}", "tls": {"sslmode": "disable"}}}
    with stage.postgres() as database:
        targets["shop"] = stage.shop(database)
        with stage.gateway(targets, listen={"http": f"127.0.0.1:{port}"}) as gateway:
            yield Place(gateway, port, api)
    server.shutdown()
    server.server_close()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


@contextlib.contextmanager
def exporting(place: Place, to: Collector, **more: Any) -> Iterator[None]:
    file = place.gateway.folder / "bodycam.yaml"
    before = file.read_text()
    told = {"telemetry": {"traces": {"endpoint": to.url, **more}}}
    file.write_text(yaml.safe_dump(yaml.safe_load(before) | told))
    place.gateway.signal(signal.SIGHUP)
    until(lambda: metric(place, "bodycam_spans_on") == 1)
    try:
        yield
    finally:
        file.write_text(before)
        place.gateway.signal(signal.SIGHUP)
        until(lambda: metric(place, "bodycam_spans_on") == 0)


def metric(place: Place, name: str) -> float:
    said = place.gateway.api("GET", "/metrics").text
    return next(float(line.split()[1]) for line in said.splitlines() if line.startswith(f"{name} "))


def found(place: Place, trace: str) -> list[str]:
    said = place.gateway.bodycam("search", "--trace", trace, "--json")
    assert said.returncode == 0, said.stderr
    return sorted(one["text"] for one in json.loads(said.stdout)["hits"])


def test_exchanges_are_found_by_the_trace_that_they_claim_or_their_run_does(place: Place) -> None:
    run = place.gateway.run(trace=f"00-{AGENTS}-aaaaaaaaaaaaaaaa-01")
    claim = f"traceparent: 00-{WEB}-cccccccccccccccc-01"
    place.curl(run, "/mine", "-H", claim)
    place.curl(run, "/plain")
    place.curl(run, "/twice", "-H", claim, "-H", claim)
    place.curl(run, "/odd", "-H", claim.upper())
    commented = f"SELECT 1 /*db_driver='x',traceparent='00-{SQL}-bbbbbbbbbbbbbbbb-01'*/"
    place.psql(run, commented)
    place.psql(run, f"SELECT '/*traceparent=''00-{SQL}-bbbbbbbbbbbbbbbb-01''*/'")
    place.gateway.end(run)

    api = f"http://127.0.0.1:{place.api}"
    assert found(place, WEB) == [f"{api}/mine"]
    assert found(place, SQL) == [commented]
    assert found(place, f"00-{AGENTS}-aaaaaaaaaaaaaaaa-01") == [
        f"SELECT '/*traceparent=''00-{SQL}-bbbbbbbbbbbbbbbb-01''*/'",
        *sorted(f"{api}/{name}" for name in ("plain", "twice", "odd")),
    ]
    assert found(place, "44" * 16) == []
    assert WEB in place.gateway.bodycam("show", run.run).stdout
    wrong = place.gateway.bodycam("search", "--trace", WEB.upper()[:-1] + "Z")
    assert (wrong.returncode, "32 hexadecimal digits" in wrong.stderr) == (2, True)


def test_a_collector_gets_each_exchange_and_the_run_in_the_words_of_their_protocols(
    place: Place, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer collector-0815\n")
    token.chmod(0o600)
    with collector() as to, exporting(place, to, headers={"Authorization": {"file": str(token)}}):
        run = place.gateway.run(trace=f"00-{AGENTS}-aaaaaaaaaaaaaaaa-01")
        place.psql(run, "SELECT 1 AS one")
        place.psql(run, "SELECT * FROM nowhere")
        place.curl(run, "/missing", "-H", f"traceparent: 00-{WEB}-cccccccccccccccc-01")
        asked = {"model": "small-1", "max_tokens": 9, "messages": [{"role": "user", "content": "2+2?"}]}
        said = ["-H", "Content-Type: application/json", "-d", json.dumps(asked)]
        place.curl(run, "/v1/chat/completions", *said)
        place.gateway.end(run)
        until(lambda: to.named("invoke_agent"))
        until(lambda: len(to.spans) >= 5)
        assert {one["Authorization"] for one in to.headers} == {"Bearer collector-0815"}

    (root,) = to.named("invoke_agent billing-bot")
    assert (root["traceId"], root["parentSpanId"]) == (AGENTS, "a" * 16)
    (select,) = to.named("SELECT postgres")
    assert (select["traceId"], select["parentSpanId"], select["kind"]) == (AGENTS, root["spanId"], 3)
    told = attributes(select)
    assert told["db.system.name"] == "postgresql"
    assert (told["db.namespace"], told["db.operation.name"]) == ("postgres", "SELECT")
    assert (told["db.query.text"], told["server.address"]) == ("SELECT 1 AS one", "127.0.0.1")
    assert (told["bodycam.run.id"], told["bodycam.verdict"]) == (run.run, "allow")
    assert told["bodycam.exchange"].startswith("ses_")
    assert int(select["startTimeUnixNano"]) <= int(select["endTimeUnixNano"])
    (failed,) = [one for one in to.spans if attributes(one).get("db.response.status_code") == "42P01"]
    assert (failed["status"]["code"], attributes(failed)["error.type"]) == (2, "42P01")

    (missing,) = to.named("GET")
    assert (missing["traceId"], missing["parentSpanId"]) == (WEB, "c" * 16)
    assert missing["links"] == [{"traceId": AGENTS, "spanId": root["spanId"]}]
    told = attributes(missing)
    assert told["url.full"] == f"http://127.0.0.1:{place.api}/missing"
    assert (told["http.request.method"], told["http.response.status_code"]) == ("GET", 404)
    assert (told["server.address"], told["server.port"]) == ("127.0.0.1", place.api)

    (asked_model,) = to.named("chat small-1")
    told = attributes(asked_model)
    assert (told["gen_ai.operation.name"], told["gen_ai.provider.name"]) == ("chat", "openai")
    assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("small-1", "small-1-2026")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (12, 5)
    assert told["gen_ai.response.finish_reasons"] == ["stop"]


def test_nothing_is_lost_while_the_collector_is_away_or_what_exports_is_killed(place: Place) -> None:
    port = stage.free_port()
    with exporting(place, Collector(port)):
        run = place.gateway.run()
        for n in range(5):
            place.curl(run, f"/away/{n}")
        until(lambda: metric(place, "bodycam_spans_failed_total") > 0)
        (control,) = place.gateway.children()["control"]
        os.kill(control, signal.SIGKILL)
        until(lambda: place.gateway.children().get("control", [control]) != [control])
        place.gateway.wait_ready()
        place.gateway.end(run)
        with collector(port) as to:
            wanted = {f"http://127.0.0.1:{place.api}/away/{n}" for n in range(5)}
            until(lambda: {attributes(one).get("url.full") for one in to.named("GET")} >= wanted)
            until(lambda: to.named("invoke_agent"))
    # however often a span was sent, it is the same one
    assert len(to.ids()) == 6
    # a run that claims no trace has one of its own
    assert len({one["traceId"] for one in to.spans}) == 1
