"""A provider's keys: kept, changed, bounded; and a provider that is slow, huge, or not there."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bodycam.config import parse
from bodycam.config.providers import Provider
from bodycam.identity.oidc import keys as module
from bodycam.identity.oidc.failure import ProviderAway, Reason, TokenRefused
from bodycam.identity.oidc.keys import (
    KEPT_SECONDS,
    RETRY_SECONDS,
    UNKNOWN_SECONDS,
    Keys,
    PublicKey,
    read_keys,
)
from bodycam.identity.oidc.providers import Providers, ask_for_keys
from tests.issuer import CLIENT, Issuer

ISSUED, LATER = Issuer(), Issuer()


class Desk:
    """Keys with a clock that the test turns and a provider that it plays."""

    def __init__(self) -> None:
        self.now, self.asked, self.answer = 1000.0, 0, ISSUED.jwks()
        self.away = False
        self.keys = Keys("corp", self.ask, monotonic=lambda: self.now)

    async def ask(self) -> tuple[PublicKey, ...]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ProviderAway("nobody answers")
        return read_keys(self.answer)

    async def knows(self, kid: str) -> bool:
        return await self.keys.find(kid, "RS256") is not None


async def test_keys_are_asked_for_once_and_again_when_they_are_old() -> None:
    desk = Desk()
    assert [await desk.knows("rsa") for _ in range(5)] == [True] * 5
    assert desk.asked == 1
    desk.now += KEPT_SECONDS
    assert await desk.knows("rsa")
    assert desk.asked == 2


async def test_many_at_once_ask_once() -> None:
    desk = Desk()
    assert all(await asyncio.gather(*(desk.knows("rsa") for _ in range(50))))
    assert desk.asked == 1


async def test_a_changed_key_is_found_at_once_and_the_old_one_is_gone() -> None:
    desk = Desk()
    assert await desk.knows("rsa")
    desk.answer = json.dumps({"keys": [{**LATER.published()[0], "kid": "new"}]}).encode()
    assert await desk.knows("new")
    assert not await desk.knows("rsa")


async def test_unknown_kids_make_us_ask_at_a_bounded_rate() -> None:
    desk = Desk()
    assert await desk.knows("rsa")
    for number in range(200):
        assert not await desk.knows(f"forged-{number}")
    assert desk.asked == 1 + module.UNKNOWN_AT_ONCE
    desk.now += UNKNOWN_SECONDS
    assert not await desk.knows("forged")
    assert not await desk.knows("forged")
    assert desk.asked == 2 + module.UNKNOWN_AT_ONCE
    assert await desk.knows("rsa")


async def test_while_the_provider_is_away_known_keys_count_until_they_are_old() -> None:
    desk = Desk()
    assert await desk.knows("rsa")
    desk.away = True
    desk.now += KEPT_SECONDS - 1
    assert await desk.knows("rsa")
    desk.now += 1
    for _ in range(20):
        with pytest.raises(ProviderAway, match="nobody answers"):
            await desk.knows("rsa")
    assert desk.asked == 2, "everybody gets the answer that the first one got"
    desk.away = False
    with pytest.raises(ProviderAway):
        await desk.knows("rsa")
    desk.now += RETRY_SECONDS
    assert await desk.knows("rsa")


async def test_who_gives_up_waiting_takes_nobody_elses_answer_away() -> None:
    desk = Desk()
    first, second = asyncio.create_task(desk.knows("rsa")), asyncio.create_task(desk.knows("rsa"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 9000, json.dumps({"keys": [{}] * 101}).encode()]
)  # fmt: skip
def test_what_is_no_key_set_is_refused(said: bytes) -> None:
    with pytest.raises(ProviderAway):
        read_keys(said)


class PlayedProvider:
    """A provider on a socket; each path has an answer: status, headers, body, and seconds to wait."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, bytes, float]] = {}
        self.asked: list[str] = []
        self.sent = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.answers["/jwks"] = ("200 OK", ISSUED.jwks(), 0)
        self.discovery()

    def discovery(self, **changed: Any) -> None:
        plain = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"} | changed
        self.answers["/.well-known/openid-configuration"] = ("200 OK", json.dumps(plain).encode(), 0)

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            status, body, wait = self.answers.get(path, ("404 Not Found", b"", 0))
            await asyncio.sleep(wait)
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            )
            for at in range(0, len(body), 65536):
                writer.write(body[at : at + 65536])
                await writer.drain()
                self.sent += 65536
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def played() -> AsyncIterator[PlayedProvider]:
    one = PlayedProvider()
    await one.start()
    yield one
    await one.stop()


def setting(url: str) -> Provider:
    return Provider.model_validate({"name": "corp", "type": "oidc", "issuer": url, "client_id": CLIENT})


async def test_the_discovery_document_says_where_the_keys_are(played: PlayedProvider) -> None:
    assert len(await ask_for_keys(setting(played.url))) == 5
    assert played.asked == ["/.well-known/openid-configuration", "/jwks"]


async def test_a_key_set_of_ten_megabytes_is_refused_before_it_is_read(played: PlayedProvider) -> None:
    played.answers["/jwks"] = ("200 OK", b'{"keys": [' + b" " * 10_000_000, 0)
    with pytest.raises(ProviderAway, match="more than 262144 bytes"):
        await ask_for_keys(setting(played.url))
    assert played.sent < 9_000_000


BAD: dict[str, Callable[[PlayedProvider], None]] = {
    "another issuer": lambda one: one.discovery(issuer="https://evil.example"),
    "no keys": lambda one: one.discovery(jwks_uri=None),
    "keys in clear": lambda one: one.discovery(jwks_uri="http://keys.example/jwks"),
    "keys in a file": lambda one: one.discovery(jwks_uri="file:///etc/passwd"),
    "keys no address": lambda one: one.discovery(jwks_uri=7),
    "an error": lambda one: one.answers.update({"/jwks": ("500 Oops", b"{}", 0)}),
    "elsewhere": lambda one: one.answers.update(
        {"/jwks": ("302 Found\r\nLocation: http://127.0.0.1:1/", b"", 0)}
    ),
    "compressed": lambda one: one.answers.update(
        {"/jwks": ("200 OK\r\nContent-Encoding: gzip", b"\x1f\x8b", 0)}
    ),
    "no JSON": lambda one: one.answers.update({"/jwks": ("200 OK", b"<html>", 0)}),
    "no HTTP": lambda one: one.answers.update({"/jwks": ("", b"", 0)}),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_provider_that_answers_otherwise_is_refused(played: PlayedProvider, case: str) -> None:
    BAD[case](played)
    with pytest.raises(ProviderAway):
        await ask_for_keys(setting(played.url))


async def test_a_provider_that_nobody_listens_at_is_away() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ProviderAway, match="can't be asked"):
            await ask_for_keys(setting(f"http://127.0.0.1:{taken.getsockname()[1]}"))


async def test_a_provider_that_hangs_for_a_minute_is_given_up(
    played: PlayedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.DEADLINE_SECONDS < 5
    monkeypatch.setattr(module, "DEADLINE_SECONDS", 0.2)
    played.answers["/jwks"] = ("200 OK", ISSUED.jwks(), 60)
    text = (
        f"identity: {{providers: [{{name: corp, type: oidc, issuer: '{played.url}', client_id: {CLIENT}}}]}}"
    )
    providers = Providers(parse(text, file="x", folder=Path("/srv")))
    async with asyncio.timeout(30):
        with pytest.raises(TokenRefused) as caught:
            await providers.verify(ISSUED.token(iss=played.url))
    assert (caught.value.reason, caught.value.provider) == (Reason.PROVIDER_AWAY, "corp")


async def test_a_reload_keeps_the_keys_of_a_provider_that_is_the_same(played: PlayedProvider) -> None:
    text = (
        f"identity: {{providers: [{{name: corp, type: oidc, issuer: '{played.url}', client_id: {CLIENT}}}]}}"
    )
    tree = parse(text, file="x", folder=Path("/srv"))
    providers = Providers(tree)
    token = ISSUED.token(iss=played.url)
    await providers.verify(token)
    asked = len(played.asked)
    providers.adopt(parse(text + "\nworkers: 2", file="x", folder=Path("/srv")))
    await providers.verify(token)
    assert len(played.asked) == asked
    providers.adopt(parse("", file="x", folder=Path("/srv")))
    with pytest.raises(TokenRefused) as caught:
        await providers.verify(token)
    assert caught.value.reason is Reason.ISSUER
