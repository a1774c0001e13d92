"""Tokens that the gateway gets for itself, at a small server that says what a test has it say."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from bodycam.config import Settings, parse
from bodycam.targets.dials import Dials, TargetUnready
from bodycam.targets.oauth import MOST_BYTES, RENEWALS_APART, ClientTokens
from tests.made_up import WITH_WEB
from tests.unit.gateway.test_dialer import serving

GOOD = {"access_token": "tok-1", "token_type": "Bearer", "expires_in": 100}


@dataclass
class TokenServer:
    """Answers each question with the next of `answers`, a body and a status; the last one stays."""

    port: int = 0
    answers: list[tuple[bytes, int]] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    open_at_once: int = 0
    most_at_once: int = 0
    wait: float = 0.0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_at_once += 1
        self.most_at_once = max(self.most_at_once, self.open_at_once)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            body = await reader.readexactly(int(fields["content-length"]))
            self.forms.append(parse_qs(body.decode()))
            self.proofs.append(fields["authorization"])
            await asyncio.sleep(self.wait)
            answer, status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n" % (status, len(answer))
            )
            writer.write((b"Location: /elsewhere\r\n" if status == 302 else b"") + b"\r\n" + answer)
            await writer.drain()
        self.open_at_once -= 1


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    made = TokenServer(answers=[(json.dumps(GOOD).encode(), 200)])
    async with serving(made.talk) as listening:
        made.port = listening.port
        yield made


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYCAM_TEST_SECRET", "s3cret &+ü")
    monkeypatch.setenv("BODYCAM_TEST_KEY", "key-1")
    monkeypatch.setenv("BODYCAM_TEST_BAD", "a\r\nX-Evil: 1")


def settings(port: int, more: str = "") -> Settings:
    oauth = (
        f"oauth: {{token_url: 'http://127.0.0.1:{port}/token', client_id: 'my id', "
        "client_secret: {env: BODYCAM_TEST_SECRET}, scope: 'read write'}"
    )
    text = f"targets:\n  api: {{protocol: web, address: 'api:443', {oauth}}}\n{more}"
    return parse(text, file="f", folder=Path("/srv"), protocols=WITH_WEB)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def authorization(dials: Dials, read: Settings) -> str:
    return (await dials.resolve(read, "api", None)).headers["Authorization"]


async def test_a_token_is_asked_for_as_the_standard_has_it_and_goes_into_the_dial(
    server: TokenServer,
) -> None:
    dial = await Dials().resolve(settings(server.port), "api", None)

    assert dial.headers == {"Authorization": "Bearer tok-1"}
    assert "tok-1" not in repr(dial)
    assert server.forms == [{"grant_type": ["client_credentials"], "scope": ["read write"]}]
    # written in the small letters that the server reads fields in
    expected = base64.b64encode(b"my+id:s3cret+%26%2B%C3%BC").decode()
    assert server.proofs == [f"basic {expected}".lower()]


async def test_a_token_is_used_until_shortly_before_its_end(server: TokenServer) -> None:
    clock, read = Clock(), settings(server.port)
    dials = Dials(ClientTokens(clock))
    server.answers = [(json.dumps({**GOOD, "access_token": f"tok-{n}"}).encode(), 200) for n in (1, 2, 3)]

    said = [await authorization(dials, read)]
    for moment in (1074.0, 1076.0, 1150.0, 1152.0):
        clock.now = moment
        said.append(await authorization(dials, read))
    assert said == [f"Bearer tok-{n}" for n in (1, 1, 2, 2, 3)]


async def test_a_token_that_the_target_refused_is_renewed_and_not_again_and_again(
    server: TokenServer,
) -> None:
    clock, read = Clock(), settings(server.port)
    dials = Dials(ClientTokens(clock))
    server.answers = [(json.dumps({**GOOD, "access_token": f"tok-{n}"}).encode(), 200) for n in (1, 2, 3)]
    first = await dials.resolve(read, "api", None)

    second = await dials.renew(read, "api", None, None, "", first)
    assert second is not None
    assert second.headers["Authorization"] == "Bearer tok-2"
    assert await authorization(dials, read) == "Bearer tok-2"
    # who has the old one still gets what there is by now, without another question
    late = await dials.renew(read, "api", None, None, "", first)
    assert late is not None
    assert late.headers == second.headers
    clock.now += RENEWALS_APART - 1
    assert await dials.renew(read, "api", None, None, "", second) is None
    assert len(server.forms) == 2
    clock.now += 1
    third = await dials.renew(read, "api", None, None, "", second)
    assert third is not None
    assert third.headers["Authorization"] == "Bearer tok-3"


async def test_sessions_that_open_together_ask_once(server: TokenServer) -> None:
    server.wait = 0.05
    dials, read = Dials(), settings(server.port)
    said = await asyncio.gather(*(authorization(dials, read) for _ in range(20)))

    assert set(said) == {"Bearer tok-1"}
    assert len(server.forms) == server.most_at_once == 1


async def test_changed_settings_get_a_token_of_their_own(server: TokenServer) -> None:
    dials = Dials()
    await authorization(dials, settings(server.port))
    changed = settings(server.port).model_copy()
    target = changed.targets["api"]
    assert target.oauth is not None
    narrower = target.model_copy(update={"oauth": target.oauth.model_copy(update={"scope": "read"})})
    await authorization(dials, changed.model_copy(update={"targets": {"api": narrower}}))

    assert [form["scope"] for form in server.forms] == [["read write"], ["read"]]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b'{"error": "invalid_client"}', 401, "answered with status 401 (invalid_client)"),
        (b'{"error": "tell-all", "error_description": "s3cret"}', 400, "answered with status 400"),
        (b"", 302, "answered with status 302"),
        (b"gone", 500, "answered with status 500"),
        (b"not json", 200, "answered without a usable access_token"),
        (b"[" * 50_000, 200, "answered without a usable access_token"),
        (b"[]", 200, "answered without a usable access_token"),
        (b'{"access_token": "", "token_type": "bearer"}', 200, "answered without a usable access_token"),
        (
            b'{"access_token": "a\\r\\nb", "token_type": "bearer"}',
            200,
            "answered without a usable access_token",
        ),
        (b'{"access_token": "a", "token_type": "mac"}', 200, "gave a token of another type than Bearer"),
        (b"x" * (MOST_BYTES + 1), 200, f"answered with more than {MOST_BYTES} bytes"),
    ],
    ids=range(11),
)
async def test_no_token_no_session(server: TokenServer, body: bytes, status: int, why: str) -> None:
    server.answers = [(body, status)]
    with pytest.raises(TargetUnready) as refused:
        await authorization(Dials(), settings(server.port))
    assert str(refused.value) == f"the token of target api can't be had: the token server 127.0.0.1 {why}"


@pytest.mark.parametrize("seconds", [0, -5, "soon", None, True, float("nan"), 10**400, "3600"])
async def test_odd_lifetimes_are_bounded(server: TokenServer, seconds: object) -> None:
    server.answers = [(json.dumps({**GOOD, "expires_in": seconds}).encode(), 200)]
    clock, read = Clock(), settings(server.port)
    dials = Dials(ClientTokens(clock))
    await authorization(dials, read)
    await authorization(dials, read)
    clock.now += 24 * 3600
    await authorization(dials, read)

    assert len(server.forms) == 2


async def test_a_server_that_says_nothing_holds_nobody_longer_than_the_deadline(server: TokenServer) -> None:
    server.wait = 30.0
    dials, read = Dials(ClientTokens(deadline=0.1)), settings(server.port)
    said = await asyncio.gather(*(authorization(dials, read) for _ in range(5)), return_exceptions=True)

    assert {str(one) for one in said} == {
        "the token of target api can't be had: the token server 127.0.0.1 gave no token within 0.1 seconds"
    }


async def test_nobody_there() -> None:
    with pytest.raises(TargetUnready, match=r"the token server 127\.0\.0\.1 can't be asked: ConnectError"):
        await authorization(Dials(), settings(1))


async def test_headers_and_query_are_read_afresh_and_a_header_holds_no_line(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = settings(
        server.port,
        "  keys: {protocol: web, hosts: ['*'], query: {key: {env: BODYCAM_TEST_KEY}}, "
        "headers: {Authorization: {env: BODYCAM_TEST_KEY, prefix: 'Token '}}}\n"
        "  bad: {protocol: web, address: 'a:1', headers: {X-A: {env: BODYCAM_TEST_BAD}}}\n",
    )
    dial = await Dials().resolve(read, "keys", None, ("a.example", 443))
    monkeypatch.setenv("BODYCAM_TEST_KEY", "key-2")
    again = await Dials().resolve(read, "keys", None, ("a.example", 443))

    assert (dict(dial.headers), dict(dial.query)) == ({"Authorization": "Token key-1"}, {"key": "key-1"})
    assert (dict(again.headers), dict(again.query)) == ({"Authorization": "Token key-2"}, {"key": "key-2"})
    with pytest.raises(
        TargetUnready, match="the header X-A of target bad has characters that no header may have"
    ):
        await Dials().resolve(read, "bad", None)
    monkeypatch.delenv("BODYCAM_TEST_KEY")
    with pytest.raises(
        TargetUnready, match="the header Authorization of target keys can't be had: the gateway's"
    ):
        await Dials().resolve(read, "keys", None, ("a.example", 443))
