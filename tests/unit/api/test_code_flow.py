"""Signing in in the browser by an OpenID provider: the code is traded once, for the sign-in that was begun."""

import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bodycam.config.providers import Provider
from bodycam.identity.oidc import code_flow
from bodycam.identity.oidc.failure import ProviderAway, ProviderRefuses
from bodycam.identity.oidc.keys import PublicKey, read_keys
from bodycam.net.openid import challenge_of
from tests.issuer import CLIENT, ISSUER, Issuer
from tests.unit.api.test_sign_ins import URL, reasons
from tests.unit.api.world import SETTINGS, World, living

WITH_PROVIDER = (
    SETTINGS
    + f"""
identity:
  sign_ins: {{url: '{URL}'}}
  providers:
    - {{name: corp, type: oidc, issuer: '{ISSUER}', client_id: {CLIENT}, groups: groups}}
    - {{name: jobs, type: oidc, kind: workloads, issuer: 'https://ci.example', audience: [b],
       workloads: [{{when: {{a: b}}, agent: billing-bot}}]}}
"""
)
ISSUED = Issuer()
BACK = f"{URL}/sign-in/oidc/corp/callback"


class Played:
    """The provider's side: its pages are played, `claims` go into the token, `fails` is what it answers with."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.fails: Exception | None = None
        self.asked: list[tuple[str, Any]] = []
        self.ends_sessions = True

    async def keys(self, _provider: Provider) -> tuple[PublicKey, ...]:
        return read_keys(ISSUED.jwks())

    async def fetch(self, url: str, *, form: Any = None, **_: Any) -> bytes:
        self.asked.append((url, form))
        if self.fails is not None:
            raise self.fails
        if form is not None:
            return json.dumps({"id_token": ISSUED.token(**self.claims)}).encode()
        ends = {"authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token"}
        more = {"end_session_endpoint": f"{ISSUER}/bye"} if self.ends_sessions else {}
        return json.dumps({"issuer": ISSUER, **ends, **more}).encode()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    one = Played()
    monkeypatch.setattr(code_flow, "fetch", one.fetch)
    return one


@pytest.fixture
async def world(played: Played) -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="api"))
    try:
        async with living(folder, WITH_PROVIDER, source=played.keys) as one:
            yield one
    finally:
        shutil.rmtree(folder)


@pytest.fixture
async def browser(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=world.http._transport, base_url=URL) as one:
        yield one


async def begin(browser: httpx.AsyncClient, played: Played, **query: Any) -> dict[str, str]:
    answer = await browser.get("/sign-in/start", params={"provider": "corp", **query})
    assert answer.status_code == 303, answer.text
    page = urlsplit(answer.headers["location"])
    assert f"{page.scheme}://{page.netloc}{page.path}" == f"{ISSUER}/auth"
    asked = {name: values[0] for name, values in parse_qs(page.query).items()}
    played.claims = {"nonce": asked["nonce"]}
    return asked


async def test_a_code_becomes_a_sign_in_with_a_verifier_that_never_left_sealed(
    world: World, played: Played, browser: httpx.AsyncClient
) -> None:
    asked = await begin(browser, played)
    assert (asked["redirect_uri"], asked["scope"], asked["code_challenge_method"]) == (BACK, "openid", "S256")
    answer = await browser.get("/sign-in/oidc/corp/callback", params={"code": "c", "state": asked["state"]})
    answer = await browser.get(answer.headers["location"])
    assert answer.headers["location"] == "/sign-in"
    said = (await browser.get("/v1/whoami")).json()
    assert (said["principal"], said["groups"], said["provider"]) == ("ann@corp", ["devs"], "corp")
    url, form = played.asked[-1]
    assert (url, form["code"], form["redirect_uri"]) == (f"{ISSUER}/token", "c", BACK)
    assert challenge_of(form["code_verifier"]) == asked["code_challenge"]
    # it is the gateway's own, and lasts longer than the token
    assert said["sign_in"].startswith("sgn_")


async def test_a_fresh_one_is_asked_for_as_such(played: Played, browser: httpx.AsyncClient) -> None:
    asked = await begin(browser, played, fresh="true")
    assert (asked["max_age"], asked["prompt"]) == ("60", "login")
    # and with any bound the provider has to say when the person signed in
    asked = await begin(browser, played)
    assert (asked["max_age"], "prompt" in asked) == ("28800", False)


@pytest.mark.parametrize(("ago", "fresh"), [(3, True), (3600, False), (None, False)])
async def test_the_page_says_whether_the_provider_did_ask_anew(
    played: Played, browser: httpx.AsyncClient, ago: int | None, fresh: bool
) -> None:
    asked = await begin(browser, played, fresh="true")
    played.claims["auth_time"] = None if ago is None else int(time.time()) - ago
    answer = await browser.get("/sign-in/oidc/corp/callback", params={"code": "c", "state": asked["state"]})
    await browser.get(answer.headers["location"])
    page = (await browser.get("/sign-in")).text
    assert ("not now: corp says that you signed in there too long ago, or not when" in page) is not fresh
    assert (await browser.get("/v1/whoami")).json()["fresh"] is fresh


async def signed_in(played: Played, browser: httpx.AsyncClient) -> None:
    asked = await begin(browser, played)
    answer = await browser.get("/sign-in/oidc/corp/callback", params={"code": "c", "state": asked["state"]})
    await browser.get(answer.headers["location"])
    assert (await browser.get("/v1/whoami")).status_code == 200


OWN_PAGE = {"Origin": URL}


async def test_a_sign_out_goes_on_to_the_provider_without_a_token_in_the_address(
    played: Played, browser: httpx.AsyncClient
) -> None:
    await signed_in(played, browser)
    left = await browser.post("/sign-out", headers=OWN_PAGE)
    assert f'href="{ISSUER}/bye?client_id={CLIENT}"' in left.text, left.text
    assert (await browser.get("/v1/whoami")).status_code == 401
    await signed_in(played, browser)
    said = await browser.delete("/v1/sign-ins/own", headers=OWN_PAGE)
    assert said.json()["page"] == f"{ISSUER}/bye?client_id={CLIENT}"
    assert (await browser.get("/v1/whoami")).status_code == 401


@pytest.mark.parametrize("why", ["no such page", "away"])
async def test_a_sign_out_is_one_here_whatever_the_provider_has(
    world: World, played: Played, browser: httpx.AsyncClient, why: str
) -> None:
    played.ends_sessions = False
    await signed_in(played, browser)
    if why == "away":
        played.fails = ProviderAway("it is on fire")
        world.context.sign_ins.openid._found.clear()
    left = await browser.post("/sign-out", headers=OWN_PAGE)
    assert (left.status_code, "You are signed out here." in left.text) == (200, True)
    assert (await browser.get("/v1/whoami")).status_code == 401


async def test_each_bad_answer_is_refused_for_its_own_reason(
    world: World, played: Played, browser: httpx.AsyncClient
) -> None:
    rows: tuple[tuple[dict[str, str | None], dict[str, Any], str], ...] = (
        ({"code": "c", "state": "other"}, {}, "sign-in-browser"),
        ({"code": "c"}, {}, "sign-in-browser"),
        ({"error": "access_denied", "state": None}, {}, "sign-in-refused"),
        ({"state": None}, {}, "sign-in-refused"),
        ({"code": "c", "state": None, "iss": "https://evil.example"}, {}, "sign-in-refused"),
        ({"code": "c", "state": None}, {"nonce": "other"}, "token-nonce"),
        ({"code": "c", "state": None}, {"nonce": None}, "token-nonce"),
        ({"code": "c", "state": None}, {"aud": "other"}, "token-audience"),
        ({"code": "c", "state": None}, {"exp": 1}, "token-expired"),
        ({"code": "c", "state": None}, {"iss": "https://evil.example"}, "token-issuer"),
    )
    for query, claims, reason in rows:
        asked = await begin(browser, played)
        played.claims |= claims
        filled = {name: asked["state"] if value is None else value for name, value in query.items()}
        answer = await browser.get("/sign-in/oidc/corp/callback", params=filled)
        assert (answer.status_code, reason in answer.text) == (403, True), answer.text
        assert "evil" not in answer.text
    assert await reasons(world) == {
        "sign-in-browser": 2, "sign-in-refused": 3, "token-nonce": 2, "token-audience": 1, "token-expired": 1,
        "token-issuer": 1,
    }  # fmt: skip
    assert "__Host-bodycam-session" not in browser.cookies


async def test_a_provider_that_gives_nothing(played: Played, browser: httpx.AsyncClient) -> None:
    for fails, status, reason in (
        (ProviderRefuses("no"), 403, "token-code"),
        (ProviderAway("no"), 503, "provider-away"),
        (TimeoutError(), 503, "provider-away"),
    ):
        played.fails = None
        asked = await begin(browser, played)
        played.fails = fails
        answer = await browser.get(
            "/sign-in/oidc/corp/callback", params={"code": "c", "state": asked["state"]}
        )
        assert (answer.status_code, reason in answer.text) == (status, True)


async def test_a_provider_that_is_away_is_asked_now_and_then_only(
    played: Played, browser: httpx.AsyncClient
) -> None:
    played.fails = ProviderAway("nobody")
    for _ in range(5):
        answer = await browser.get("/sign-in/start?provider=corp")
        assert (answer.status_code, "provider-away" in answer.text) == (503, True)
    assert len(played.asked) == 1


async def test_workloads_do_not_sign_in_here(browser: httpx.AsyncClient) -> None:
    for path in ("/sign-in/start?provider=jobs", "/sign-in/oidc/jobs/callback?code=c&state=s"):
        assert (await browser.get(path)).status_code == 404
    assert "jobs" not in (await browser.get("/sign-in")).text
