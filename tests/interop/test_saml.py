"""People sign in at a real SAML provider, in the browser and for the command line, and runs bear their names."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import stage
from tests.browser import Browser, settings_of
from tests.interop.saml_provider import GROUPS, SamlProvider, Unavailable, installed, key_pair
from tests.interop.test_oidc import Person

SECONDS = 60


@pytest.fixture(scope="module")
def provider() -> Iterator[SamlProvider]:
    try:
        installed()
    except Unavailable as error:
        pytest.skip(str(error))
    with stage.folder() as folder:
        one = SamlProvider(folder)
        one.start()
        try:
            yield one
        finally:
            one.stop()


@pytest.fixture(scope="module")
def gateway(server: stage.Postgres, provider: SamlProvider) -> Iterator[stage.Gateway]:
    key, certificate = key_pair(provider.folder, "gateway")
    pair = {"key": str(key), "certificate": str(certificate)}
    with stage.folder() as folder:
        one = stage.Gateway(folder / "g", {"shop": stage.shop(server)})
        providers = [
            setting("sso", f"{provider.url}/metadata", **pair),
            setting("post", f"{provider.url}/metadata", **pair, binding="post", subject=MAIL),
            setting("gone", f"http://127.0.0.1:{stage.free_port()}/metadata"),
        ]
        one.more(
            **settings_of(one, providers),
            roles={"admin": {"groups": ["admins"]}},
            agents={"billing-bot": {"owner": "payments", "may_start": {"groups": ["admins", "devs"]}}},
        )
        one.init()
        one.start()
        try:
            provider.meets(one, "sso")
            provider.meets(one, "post")
            yield one
        finally:
            one.stop()


MAIL = "urn:oid:0.9.2342.19200300.100.1.3"


def setting(name: str, metadata: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "saml", "metadata_url": metadata, "groups": GROUPS, **more}


@pytest.fixture
def ann(gateway: stage.Gateway, tmp_path: Path) -> Person:
    (tmp_path / "ann").mkdir()
    return Person("ann", gateway, tmp_path / "ann")


def login(person: Person, provider: str = "sso") -> dict[str, Any]:
    """`bodycam login` in one hand, the browser in the other."""
    command = [sys.executable, "-m", "bodycam", "login", "--provider", provider, "--json"]
    with (
        subprocess.Popen(
            command, cwd=person.home, env=person.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process,
        Browser(person.gateway, person.name) as browser,
    ):  # fmt: skip
        assert process.stderr is not None
        page = code = None
        while page is None or code is None:
            line = process.stderr.readline()
            assert line, "it ended"
            page = page or re.search(r"https://\S+/sign-in/start\?\S+", line)
            code = code or re.search(r"code is (\w{4}-\w{4})", line)
        asked = browser.go(page[0], until="Sign in the command line?")
        assert code[1] in asked.text
        assert person.name in asked.text
        last = browser.on(browser.send(asked))
        assert "go back to the terminal" in last.text, last.text
        out, rest = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, rest
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_a_person_signs_in_in_the_browser_and_out_again_everywhere(
    gateway: stage.Gateway, provider: SamlProvider
) -> None:
    with Browser(gateway, "ann") as browser:
        assert "Sign in with sso" in browser.get("/sign-in").text
        page = browser.go("/sign-in/start?provider=sso")
        assert "You are signed in" in page.text, page.text
        assert "ann@sso" in page.text
        cookie = next(one for one in browser.http.cookies.jar if one.name == "__Host-bodycam-session")
        assert (cookie.secure, cookie.path, cookie.domain_specified) == (True, "/", False)
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") == "lax"
        said = browser.get("/v1/whoami").json()
        assert (said["principal"], said["kind"], said["role"]) == ("ann@sso", "human", "admin")
        assert said["groups"] == ["admins", "devs"]
        assert time.time() - said["signed_in"] < SECONDS
        # another site can't make the browser do anything with it, and neither can one that says nothing
        foreign: dict[str, str]
        for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
            refused = browser.http.post(
                f"{browser.home}/v1/runs", json={"agent": "billing-bot"}, headers=foreign
            )
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cross-site")
        own = browser.http.post(
            f"{browser.home}/v1/runs", json={"agent": "billing-bot"}, headers={"Origin": browser.home}
        )
        assert own.json()["run"]["principal"] == "ann@sso", own.text
        token = browser.token
        assert gateway.api("GET", "/v1/whoami", key=token).status_code == 200
        last = browser.on(browser.send(page))
        assert "You are signed out" in last.text, last.text
        assert any("/slo?" in one for one in browser.seen)
        assert "__Host-bodycam-session" not in browser.http.cookies
        refused = gateway.api("GET", "/v1/whoami", key=token)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "signed-out")


def test_a_run_after_a_sign_in_shows_the_person_and_the_agent(
    gateway: stage.Gateway, server: stage.Postgres, ann: Person
) -> None:
    signed_in = login(ann)
    assert (signed_in["principal"], signed_in["provider"]) == ("ann@sso", "sso")
    assert signed_in["sign_in"].startswith("sgn_")
    kept = ann.kept()
    assert kept["id_token"].startswith("bcs_sgn_")
    ran = ann.bodycam("run", "--agent", "billing-bot", "--", str(server.bin / "psql"), "-Xc", "select 4711")
    assert ran.returncode == 0, ran.stderr
    assert "4711" in ran.stdout
    run = re.search(r"run_\w+", ran.stderr)
    assert run is not None
    (session,) = ann.said("sessions", "--run", run[0])["sessions"]
    assert (session["principal"], session["agent"]) == ("ann@sso", "billing-bot")
    (listed,) = ann.said("sign-ins", "list")["sign_ins"]
    assert (listed["id"], listed["use"]) == (signed_in["sign_in"], "command")
    assert gateway.bodycam("sign-ins", "end", "sgn_none").returncode == 1
    # freshly signed in, she may view it
    assert "4711" in ann.bodycam("show", session["id"]).stdout
    out = ann.said("logout")
    assert (out["signed_out"], out["revoked"]) == (True, True)
    with Browser(gateway, "ann") as browser:
        # the provider takes the request, and sends the browser back with its answer
        last = browser.go(out["page"])
        assert "You are signed out" in last.text, last.text
        assert any("/slo?" in one for one in browser.seen)
    assert ann.bodycam("whoami").returncode == 3
    refused = gateway.api("GET", "/v1/whoami", key=kept["id_token"])
    assert refused.json()["error"]["code"] == "signed-out"
    over = gateway.bodycam("sign-ins", "list", "--all", "--principal", "ann@sso")
    assert (over.returncode, listed["id"] in over.stdout, "signed out" in over.stdout) == (0, True, True)


@pytest.mark.parametrize(
    "how",
    [
        {"assertion": True, "response": False, "encrypt": True},
        {"assertion": False, "response": True, "encrypt": False},
        {"assertion": True, "response": True, "encrypt": True},
    ],
    ids=["signed, then encrypted", "the response signed", "all of it"],
)
def test_what_is_signed_and_encrypted_is_up_to_the_provider(
    gateway: stage.Gateway, provider: SamlProvider, how: dict[str, bool]
) -> None:
    provider.answers(**how)
    try:
        with Browser(gateway, "bob") as browser:
            page = browser.go("/sign-in/start?provider=sso")
            assert "bob@sso" in page.text, page.text
    finally:
        provider.answers(assertion=True, response=False, encrypt=False)


def test_requests_go_by_post_too_and_an_attribute_names_the_person(gateway: stage.Gateway) -> None:
    with Browser(gateway, "bob") as browser:
        page = browser.go("/sign-in/start?provider=post")
        assert "bob@corp.example@post" in page.text, page.text
        assert any(one.endswith("/sso") for one in browser.seen), browser.seen


def test_a_sign_in_afresh_is_asked_of_the_provider_and_is_newer(gateway: stage.Gateway) -> None:
    with Browser(gateway, "ann") as browser:
        browser.go("/sign-in/start?provider=sso")
        first, token = browser.get("/v1/whoami").json(), browser.token
        time.sleep(1.1)
        browser.go("/sign-in/start?provider=sso")
        again = browser.get("/v1/whoami").json()
        # the provider knew her: a sign-in of ours, and none of hers there
        assert again["sign_in"] != first["sign_in"]
        assert again["signed_in"] == first["signed_in"]
        browser.go("/sign-in/start?provider=sso&fresh=true")
        assert browser.get("/v1/whoami").json()["signed_in"] > first["signed_in"]
        # what the browser had before is over
        assert gateway.api("GET", "/v1/whoami", key=token).status_code == 401


def test_a_sign_in_lasts_no_longer_than_the_provider_wants(
    gateway: stage.Gateway, provider: SamlProvider
) -> None:
    provider.answers(lasts=8)
    try:
        with Browser(gateway, "bob") as browser:
            browser.go("/sign-in/start?provider=sso")
            until, token = browser.get("/v1/whoami").json()["expires"], browser.token
            assert until - time.time() < 9
            while time.time() < until:
                time.sleep(0.2)
            assert gateway.api("GET", "/v1/whoami", key=token).json()["error"]["code"] == "signed-out"
            assert "Sign in with sso" in browser.get("/sign-in").text
    finally:
        provider.answers(lasts=None)


@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_a_logout_at_the_provider_ends_every_sign_in_of_that_person_here(
    gateway: stage.Gateway, provider: SamlProvider, binding: str, tmp_path: Path
) -> None:
    with Browser(gateway, "ann") as first, Browser(gateway, "bob") as other:
        first.go("/sign-in/start?provider=sso")
        other.go("/sign-in/start?provider=sso")
        last = first.go(f"{provider.url}/test/logout?person=ann&binding={binding}")
        assert "the gateway answered" in last.text, last.text
        assert first.get("/v1/whoami").status_code == 401
        assert other.get("/v1/whoami").status_code == 200


def test_a_response_is_good_once_and_in_the_browser_that_asked(gateway: stage.Gateway) -> None:
    with Browser(gateway, "ann") as browser, Browser(gateway, "bob") as other:
        page = browser.go("/sign-in/start?provider=sso", until="SAMLResponse")
        # somebody else's browser gets as far as the question who began it
        stolen = other.on(other.send(page))
        assert "sign-in-browser" in stolen.text, stolen.text
        again = browser.on(browser.send(page))
        assert "saml-replayed" in again.text, again.text
        # also when the control process was lost meanwhile, and what is signed in stays so
        other.go("/sign-in/start?provider=sso")
        (control,) = gateway.children()["control"]
        os.kill(control, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS
        while gateway.children()["control"] in ([], [control]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        gateway.wait_ready()
        assert "saml-replayed" in browser.on(browser.send(page)).text
        assert other.get("/v1/whoami").status_code == 200


def test_a_provider_that_is_away_is_said_so_and_who_is_signed_in_stays_so(
    gateway: stage.Gateway, provider: SamlProvider
) -> None:
    with Browser(gateway, "ann") as browser:
        browser.go("/sign-in/start?provider=sso")
        refused = browser.get("/sign-in/start?provider=gone")
        assert refused.status_code == 503
        assert "provider-away" in refused.text
        assert browser.get("/v1/whoami").status_code == 200
