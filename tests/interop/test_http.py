"""Real HTTP clients under `bodycam run`: what each gets is what it gets without, and all of it is on the record.

The commands run twice, directly and in one run; a site on this machine, of http and of https, answers.
"""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bodycam.cli.demo.stores import JOURNAL, RECORDING, decoded
from bodycam.net.authority import Authority
from tests import stage
from tests.interop import clients
from tests.interop.http_errands import (
    API_KEY,
    COOKIE,
    CURL,
    HERE,
    QUERY_KEY,
    commands,
    curls,
    guarded,
    repository,
    wheel,
)
from tests.interop.web import ANSWER, LEAKED, PASSWORD, TEXT, USER, WHEEL, Site, site

pytestmark = pytest.mark.timeout(300)

# what differs from one moment or connection to the next, or is one connection's alone
OF_THE_WAY = {"date", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Land:
    """Where everything is; `direct` and `through` are what the commands said, by name."""

    gateway: stage.Gateway
    port: int
    plain: Site
    secure: Site
    guarded: Site
    commands: dict[str, Any]
    direct: dict[str, Any]
    through: dict[str, Any]
    run: str
    exchanges: list[dict[str, Any]]
    transcripts: dict[str, list[dict[str, Any]]]

    def url(self, name: str) -> str:
        """Where a site is."""
        return url_of(getattr(self, name), name)


def url_of(where: Site, name: str) -> str:
    return f"http://127.0.0.1:{where.port}" if name == "plain" else f"https://localhost:{where.port}"


def trusting(authority: Path) -> dict[str, str]:
    """The environment of clients that go straight to the sites."""
    names = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO",
             "NODE_EXTRA_CA_CERTS")  # fmt: skip
    kept = {
        name: value
        for name, value in stage.clean_environment().items()
        if not name.lower().endswith(("_proxy", "_index_url"))
    }
    return kept | dict.fromkeys(names, str(authority))


RULES = [
    {"name": "no-deletes", "when": 'op.http.method == "DELETE" && op.http.path == "/records/1"', "then": "deny",
     "message": "records stay"},
    {"name": "release-needs-a-person", "when": 'op.http.path == "/release" && op.http.method == "PUT"',
     "then": "require_approval", "by": ["dba"], "wait": "1s", "message": "somebody has to look at a release"},
    {"name": "no-dear-models", "when": 'op.llm.model == "dear-model"', "then": "deny"},
    {"name": "no-removing", "when": 'op.mcp.tool == "remove"', "then": "deny"},
]  # fmt: skip


@pytest.fixture(scope="module")
def land() -> Iterator[Land]:
    with ExitStack() as stack:
        folder = stack.enter_context(stage.folder())
        sites, authority = folder / "sites", Authority.create("sites")
        sites.mkdir()
        for name in ("direct", "through"):
            repository(sites / f"{name}.git")
        (folder / "ca.pem").write_bytes(authority.certificate_pem)
        plain = stack.enter_context(site(sites))
        secure = stack.enter_context(site(sites, wheel(), authority=authority))
        guard = stack.enter_context(site(sites, authority=authority))
        tls = {"ca_file": str(folder / "ca.pem")}
        port = stage.free_port()
        gateway = stage.Gateway(
            folder / "g",
            {
                "plain": {
                    "protocol": "http",
                    "address": f"127.0.0.1:{plain.port}",
                    "tls": {"sslmode": "disable"},
                },
                "secure": {"protocol": "http", "address": f"localhost:{secure.port}", "tls": tls},
                "guarded": {"protocol": "http", "address": f"localhost:{guard.port}", "tls": tls},
                "internet": {"protocol": "http", "hosts": ["*"]},
            },
            listen={"http": f"127.0.0.1:{port}"},
            rules=[{**rule, "targets": {"names": ["guarded"]}} for rule in RULES],
            masking=[{"detect": ["secrets"], "json": ["$.profile.phone"], "targets": {"names": ["guarded"]}}],
        )
        gateway.init()
        # one that does not become ready is a process as well
        stack.callback(gateway.stop)
        gateway.start()
        gateway.bodycam("accounts", "create", "ann", "--human", "--group", "dba", check=True)
        urls = url_of(plain, "plain"), url_of(secure, "secure")
        errand = [sys.executable, str(HERE / "errands.py")]
        straight, asked = commands(*urls, folder / "direct"), commands(*urls, folder / "through")
        asked |= guarded(urls[1], url_of(guard, "guarded"))
        (folder / "direct.json").write_text(json.dumps(straight))
        (folder / "through.json").write_text(json.dumps(asked))
        subprocess.run(
            [*errand, str(folder / "direct.json"), str(folder / "direct.said")],
            env=trusting(folder / "ca.pem"), check=True, timeout=200,
        )  # fmt: skip
        through = ["run", "--agent", "billing-bot", "--", *errand]
        done = gateway.bodycam(*through, str(folder / "through.json"), str(folder / "through.said"))
        assert done.returncode == 0, done.stderr
        run = done.stderr.split("bodycam: run ")[1].split()[0]
        exchanges = gateway.exchanges(run)
        transcripts = {
            session: transcript(gateway, session) for session in {one["session"] for one in exchanges}
        }
        said = [json.loads((folder / f"{name}.said").read_text()) for name in ("direct", "through")]
        yield Land(gateway, port, plain, secure, guard, asked, *said, run, exchanges, transcripts)


def transcript(gateway: stage.Gateway, session: str) -> list[dict[str, Any]]:
    answer = gateway.api("GET", f"/v1/sessions/{session}/transcript")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def responses(text: str) -> list[Any]:
    """What `curl -i` printed: of each response the status, the headers that matter, and the body."""
    found = []
    for one in re.split(r"(?=HTTP/1\.[01] \d\d\d)", text.replace("\r\n", "\n")):
        head, _, body = one.partition("\n\n")
        status, *fields = head.split("\n")
        found.append([status, mattering(field.split(": ", 1) for field in fields), comparable(body)])
    return found


def mattering(fields: Any) -> list[list[str]]:
    return sorted([name.lower(), value] for name, value in fields if name.lower() not in OF_THE_WAY)


def comparable(body: str) -> Any:
    """A body; of one that says what the site got, without what is one connection's alone."""
    try:
        got = json.loads(body)
    except ValueError:
        return body
    if isinstance(got, dict) and "headers" in got and "sha256" in got:
        # a boundary is made anew each time, and stands in the content
        parts = "multipart" in json.dumps(got)
        got["headers"] = mattering(one for one in got["headers"] if not parts or one[0] != "content-type")
        return {**got, "sha256": ""} if parts else got
    return got


def compared(said: Any) -> Any:
    """What a client printed as JSON, its headers and bodies as they can be compared."""
    if isinstance(said, dict) and "body" in said:
        return {
            "status": said["status"], "headers": mattering(said["headers"]), "body": comparable(said["body"])
        }  # fmt: skip
    return {name: compared(one) for name, one in said.items()} if isinstance(said, dict) else said


CURLS = list(curls("", "", Path("/tmp")))


@pytest.mark.parametrize("name", CURLS)
def test_curl_gets_what_it_gets_without_a_gateway(land: Land, name: str) -> None:
    direct, through = land.direct[name], land.through[name]
    assert (through["code"], through["err"]) == (direct["code"], direct["err"])
    assert direct["code"] == 0
    assert responses(through["out"]) == responses(direct["out"])


@pytest.mark.parametrize("name", [*clients.CLIENTS, "node"])
def test_a_client_gets_what_it_gets_without_a_gateway(land: Land, name: str) -> None:
    direct, through = (
        json.loads(way["node" if name == "node" else "python"]["out"] or "{}")
        for way in (land.direct, land.through)
    )
    if name != "node":
        direct, through = direct[name], through[name]
    assert direct, land.direct["node"]["err"]
    assert "failed" not in direct
    assert compared(through) == compared(direct), land.through["node"]["err"]


def test_clients_of_models_get_their_answers(land: Land) -> None:
    said = json.loads(land.through["python"]["out"])
    assert said["openai"]["answer"] == said["anthropic"]["answer"] == ANSWER
    assert "".join(said["openai"]["words"]) == "".join(said["anthropic"]["words"]) == ANSWER.replace(" ", "")


def test_git_clones_and_pushes_and_pip_downloads(land: Land) -> None:
    for name in land.commands:
        if name.startswith(("git", "pip")):
            assert land.through[name]["code"] == 0, land.through[name]["err"]
    folder = land.gateway.folder.parent
    assert (folder / "through" / WHEEL).read_bytes() == land.secure.wheel
    log = ["git", "-C", str(folder / "sites" / "through.git"), "log", "--format=%s", "main"]
    assert subprocess.run(log, capture_output=True, text=True, check=True, timeout=30).stdout == "two\none\n"
    paths = [
        one["text"].partition(f":{land.secure.port}")[2] for one in land.exchanges if "/git/" in one["text"]
    ]
    assert "/git/through.git/info/refs?service=git-upload-pack" in paths
    assert paths[-1] == "/git/through.git/git-receive-pack"


def exchange(land: Land, case: str) -> dict[str, Any]:
    found = [one for one in land.exchanges if f"case={case}" in one["text"]]
    assert found, case
    return found[0]


def entries(land: Land, case: str) -> list[dict[str, Any]]:
    one = exchange(land, case)
    return [entry for entry in land.transcripts[one["session"]] if entry["exchange"] == one["number"]]


def told(found: list[dict[str, Any]], stream: str) -> str:
    return "".join(one["text"] for one in found if one["type"] == "output" and one["stream"] == stream)


CASES = [
    *CURLS,
    *(f"requests-{name}" for name in ("plain", "secure", "form", "chunked", "br")),
    *(f"httpx-{name}" for name in ("plain", "secure", "json", "events")),
    *("aiohttp-plain", "aiohttp-secure", "aiohttp-put", "urllib-plain", "urllib-secure", "urllib-fault"),
    *("node-plain", "node-secure", "node-post"),
]


@pytest.mark.parametrize("case", CASES)
def test_each_request_is_on_the_record_with_url_heads_and_body(land: Land, case: str) -> None:
    one, found = exchange(land, case), entries(land, case)
    refused = case in ("curl-fault", "curl-basic-wrong", "curl-anyauth", "urllib-fault")
    assert one["status"] == ("error" if refused else "ok")
    assert one["text"].startswith((land.url("plain"), land.url("secure")))
    assert told(found, "request head").splitlines()[0].endswith(("HTTP/1.1", "HTTP/1.0"))
    # behind a "100 Continue", if there was one
    status = told(found, "response head").rpartition("HTTP/1.1 ")[2][:3]
    assert found[-1]["type"] == "done"
    assert found[-1]["tag"] == status
    body = told(found, "response body")
    if "/echo" in one["text"] and "head" not in case:
        assert json.loads(body)["method"] == one["verb"]
    if (
        any(coding in one["text"] for coding in ("/gzip", "/br", "/zstd", "/deflate", "/files"))
        and "range" not in case
    ):
        assert body == TEXT
    if case == "curl-chunked-secure":
        assert told(found, "request body") == "from a pipe"


def test_no_credential_is_anywhere_in_what_the_gateway_keeps(land: Land) -> None:
    proxy = land.through["environment"]["http_proxy"]
    userinfo = proxy.removeprefix("http://").partition("@")[0]
    secret = userinfo.partition(":")[2]
    assert secret.startswith("bcr_")
    secrets = [secret, PASSWORD, "wrong-Pass.0815-w", QUERY_KEY, COOKIE, API_KEY, clients.TOKEN, clients.MODEL_KEY,
               clients.FORM["password"], "cookie-Val.4711-z"]  # fmt: skip
    pairs = [f"{USER}:{PASSWORD}", f"{USER}:wrong-Pass.0815-w", userinfo]
    hidden = [one.encode() for one in secrets] + [base64.b64encode(one.encode()) for one in pairs]
    kinds: dict[str, int] = {}
    for kind, where, content in decoded(land.gateway.folder):
        for one in hidden:
            assert one not in content, (
                f"{one!r} in {kind} {where}: {content[max(0, content.index(one) - 300) :][:500]!r}"
            )
        kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds[RECORDING] > 100, kinds
    assert JOURNAL in kinds
    shown = json.dumps(land.transcripts)
    assert "[redacted]" in shown
    assert LEAKED not in shown


REFUSED = {
    # what is asked, the answer's status, the rule that said so, and what is in the answer's text
    "metadata": ("403", "target-unreachable", "169.254.169.254"),
    "metadata-tls": ("403", "target-unreachable", "169.254.169.254"),
    "private": ("403", "target-unreachable", "localhost"),
    "redirect": ("403", "target-unreachable", "169.254.169.254"),
    "unknown-port": ("403", "access", "localhost:1"),
    "delete": ("403", "no-deletes", "records stay"),
    "model": ("403", "no-dear-models", "no-dear-models"),
    "tool": ("403", "no-removing", "no-removing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_be_is_refused_with_a_reason_and_on_the_record(land: Land, case: str) -> None:
    status, rule, text = REFUSED[case]
    said = land.through[case]
    head, problem = responses(said["out"])[-1][1:]
    assert ["content-type", "application/problem+json"] in head
    assert problem["status"] == int(status)
    assert problem["rule"] == rule
    assert text in problem["detail"]


@pytest.mark.parametrize("case", ["delete-other", "model-other", "tool-other"])
def test_what_no_rule_is_about_goes_through(land: Land, case: str) -> None:
    assert land.through[case]["out"].startswith("HTTP/1.1 200 OK")
    assert exchange(land, case)["status"] == "ok"


def test_a_tunnel_is_for_tls_and_http(land: Land) -> None:
    established, *rest = land.through["strange"]["out"].splitlines()
    assert established == "HTTP/1.1 200 Connection established"
    assert "400 Bad Request" in rest[0]


def test_a_release_waits_for_a_person_and_goes_through_when_asked_for_again(land: Land) -> None:
    gateway, run = land.gateway, land.gateway.run()
    proxy = f"http://{run.run}:{run.secret}@127.0.0.1:{land.port}"
    trusted = ["--cacert", str(gateway.folder / "keys" / "public" / "interception-ca.pem")]
    # the same each time: a pipe's length is not known, and a client that waits for 100 sends no content
    put = [*CURL, "-x", proxy, *trusted, "-T", "-", f"{land.url('guarded')}/release"]

    def ask() -> Any:
        done = subprocess.run(put, input=b"version 2", capture_output=True, timeout=60, check=True)
        return responses(done.stdout.decode())[-1]

    status, head, problem = ask()
    assert status == "HTTP/1.1 403 Forbidden"
    assert ["content-type", "application/problem+json"] in head
    assert "somebody has to look at a release" in problem["detail"]
    ann = {"BODYCAM_API_KEY": gateway.bodycam("accounts", "key", "ann", check=True).stdout.strip()}
    listed = gateway.bodycam("approvals", "list", environment=ann).stdout
    assert problem["approval"] in listed
    assert "PUT" in listed
    assert "/release" in listed
    approved = gateway.bodycam(
        "approvals", "approve", problem["approval"], "--reason", "fine", environment=ann
    )
    assert approved.returncode == 0, approved.stderr
    assert ask()[0] == "HTTP/1.1 200 OK"
    assert ask()[0] == "HTTP/1.1 403 Forbidden", "an approval is for once"
    gateway.end(run)
    assert [one["status"] for one in gateway.exchanges(run.run)] == ["denied", "ok", "denied"]


def test_what_people_read_names_what_was_asked(land: Land) -> None:
    gateway = land.gateway
    shown = gateway.bodycam("show", land.run).stdout
    assert f"GET {land.url('plain')}/echo?case=curl-get-plain" in shown
    assert " database " not in shown
    assert "0 rows" not in shown
    [found] = [
        one for one in gateway.bodycam("search", "curl-basic-wrong").stdout.splitlines() if "curl" in one
    ]
    assert "error" in found
    assert "401 Unauthorized" in found
    one = exchange(land, "model-other")["session"]
    replayed = gateway.bodycam("replay", "--no-wait", one).stdout
    assert f"#2  POST {land.url('guarded')}/v1/chat/completions?case=model-other" in replayed
    assert "-- model asked: small" in replayed
    assert f"model said| {ANSWER}" in replayed
    assert "Connection established" not in replayed
    exported = gateway.bodycam("export", "--format", "csv", one).stdout
    assert ",POST,https://localhost:" in exported
    assert "secrets.aws-access-token" in gateway.bodycam("leaks", "--run", land.run).stdout
    code, verified = gateway.verify()
    assert code == 0, verified


@pytest.mark.parametrize("case", ["key-json", "key-text", "key-gzip", "key-chunked"])
def test_a_key_that_an_api_prints_is_masked_for_curl_and_in_the_record(land: Land, case: str) -> None:
    said = land.through[case]["out"]
    body = responses(said)[-1][-1]
    recorded = told(entries(land, case), "response body")
    assert LEAKED not in said
    assert LEAKED not in recorded
    if case == "key-json":
        assert body == json.loads(recorded)
        assert body["owner"] == "ada"
        assert body["key"].startswith("[bodycam:secrets.")
        assert body["profile"] == {"phone": "[bodycam:json]", "city": "London"}
    else:
        assert body == recorded
        assert body.startswith("your key is [bodycam:secrets.")


PAGE = (HERE.parents[1] / "docs" / "http.md").read_text()


@pytest.mark.parametrize(
    "line", [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
)
def test_the_lines_of_the_page_on_http_work(land: Land, line: str) -> None:
    said = land.gateway.bodycam(*line.replace("model", "guarded").split()[1:], check=True).stdout
    assert {"search": "/v1/chat/completions", "sessions": "ses_", "leaks": "first"}[line.split()[1]] in said
