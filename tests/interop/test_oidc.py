"""People sign in at a certified identity provider, by browser and by device, and their runs bear their names."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from tests import stage
from tests.browser import HOST, Browser, settings_of
from tests.interop.identity_provider import IdentityProvider, Unavailable, claims_of, installed

SECONDS = 60


@pytest.fixture(scope="module")
def control() -> int:
    """The port of the control API, which the provider has to know beforehand."""
    return stage.free_port()


@pytest.fixture(scope="module")
def provider(control: int) -> Iterator[IdentityProvider]:
    try:
        installed()
    except Unavailable as error:
        pytest.skip(str(error))
    with stage.folder() as folder:
        one = IdentityProvider(folder, back=(f"https://{HOST}:{control}/sign-in/oidc/corp/callback",))
        one.start()
        yield one
        one.stop()


@pytest.fixture(scope="module")
def quick(provider: IdentityProvider) -> Iterator[IdentityProvider]:
    """Another provider, whose ID tokens last a few seconds."""
    with stage.folder() as folder:
        one = IdentityProvider(folder, id_token_seconds=6)
        one.start()
        yield one
        one.stop()


def setting(one: IdentityProvider, name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "oidc",
        "issuer": one.issuer,
        "client_id": "bodycam-cli",
        "groups": "realm_access.roles",
        "ca_file": str(one.ca_file),
        **more,
    }


@pytest.fixture(scope="module")
def gateway(
    server: stage.Postgres, provider: IdentityProvider, quick: IdentityProvider, control: int
) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        one = stage.Gateway(
            folder / "g",
            {"shop": stage.shop(server)},
            roles={"admin": {"groups": ["admins"]}},
            agents={
                "billing-bot": {"owner": "payments", "may_start": {"groups": ["admins", "devs"]}},
                "idle-bot": {"may_start": {"groups": ["admins"]}},
            },
        )
        one.control = control
        one.more(**settings_of(one, [setting(provider, "corp"), setting(quick, "quick")]))
        one.init()
        one.start()
        try:
            yield one
        finally:
            one.stop()


@dataclass
class Person:
    """Somebody at a terminal of their own, with the gateway's URL and CA and no key."""

    name: str
    gateway: stage.Gateway
    home: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            name: value
            for name, value in stage.clean_environment().items()
            if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
        } | {
            "BODYCAM_URL": f"https://127.0.0.1:{self.gateway.control}",
            "BODYCAM_CA_FILE": str(self.gateway.listener_ca),
            "XDG_STATE_HOME": str(self.home / "state"),
            "HOME": str(self.home),
            **self.more,
        }

    def bodycam(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bodycam", *arguments],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def said(self, *arguments: str) -> dict[str, Any]:
        done = self.bodycam(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def login(self, provider: IdentityProvider, *options: str) -> dict[str, Any]:
        """Sign in: the command in one hand, the browser in the other."""
        command = [sys.executable, "-m", "bodycam", "login", *options, "--json"]
        with (
            subprocess.Popen(
                command, cwd=self.home, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            ) as process,
            provider.browser() as browser,
        ):  # fmt: skip
            assert process.stderr is not None
            said = ""
            for line in process.stderr:
                said += line
                page = re.search(r"(https://\S+/(?:auth|device)\?\S+)", line)
                if page is not None:
                    last = provider.sign_in(page[1], self.name, browser)
                    assert last.status_code == 200, last.text
                    break
            out, rest = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said + rest
        answer: dict[str, Any] = json.loads(out)
        return answer

    def kept(self) -> dict[str, Any]:
        (file,) = (self.home / "state" / "bodycam" / "sign-ins").glob("*.json")
        assert file.stat().st_mode & 0o777 == 0o600
        plain: dict[str, Any] = json.loads(file.read_text())
        return plain

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.gateway.api(method, path, key=self.kept()["id_token"], **more)


@pytest.fixture
def ann(gateway: stage.Gateway, tmp_path: Path) -> Person:
    (tmp_path / "ann").mkdir()
    return Person("ann", gateway, tmp_path / "ann")


@pytest.fixture
def bob(gateway: stage.Gateway, tmp_path: Path) -> Person:
    (tmp_path / "bob").mkdir()
    return Person("bob", gateway, tmp_path / "bob")


def test_a_run_after_a_sign_in_by_browser_shows_the_person_and_the_agent(
    provider: IdentityProvider, server: stage.Postgres, ann: Person
) -> None:
    nobody = ann.bodycam("runs", "list")
    assert (nobody.returncode, "bodycam login" in nobody.stderr) == (3, True)
    signed_in = ann.login(provider)
    assert (signed_in["principal"], signed_in["kind"], signed_in["provider"]) == ("ann@corp", "human", "corp")
    assert signed_in["groups"] == ["admins", "devs"]
    assert time.time() - signed_in["signed_in"] < 60
    ran = ann.bodycam("run", "--agent", "billing-bot", "--", str(server.bin / "psql"), "-Xc", "select 4711")
    assert ran.returncode == 0, ran.stderr
    assert "4711" in ran.stdout
    run = re.search(r"run_\w+", ran.stderr)
    assert run is not None
    for command in (("show", run[0]), ("runs", "show", run[0]), ("runs", "list"), ("sessions",)):
        shown = ann.bodycam(*command)
        assert shown.returncode == 0, shown.stderr
        assert "billing-bot" in shown.stdout
        if command[0] != "sessions":
            assert "ann@corp" in shown.stdout
    (session,) = ann.said("sessions", "--run", run[0])["sessions"]
    assert (session["principal"], session["agent"]) == ("ann@corp", "billing-bot")
    # freshly signed in, she may view it
    assert "4711" in ann.bodycam("show", session["id"]).stdout


def test_somebody_else_who_signed_in_by_device_sees_nothing_of_it(
    provider: IdentityProvider, ann: Person, bob: Person
) -> None:
    ann.login(provider)
    started = ann.call("POST", "/v1/runs", json={"agent": "billing-bot"}).json()["run"]["id"]
    signed_in = bob.login(provider, "--device", "--provider", "corp")
    assert (signed_in["principal"], signed_in["groups"], signed_in["role"]) == ("bob@corp", ["dba"], "user")
    assert bob.said("runs", "list")["runs"] == []
    refused = bob.bodycam("show", started)
    assert (refused.returncode, "there is no run" in refused.stderr) == (1, True)
    refused = bob.bodycam("run", "--agent", "billing-bot", "--", "true")
    assert (refused.returncode, "bob@corp may not start agent" in refused.stderr) == (125, True)


def test_a_person_signs_in_in_the_browser_by_authorization_code(
    gateway: stage.Gateway, provider: IdentityProvider
) -> None:
    with Browser(gateway, "ann", provider.ca_file) as browser, Browser(gateway, "eve") as other:
        page = browser.go("/sign-in/start?provider=corp")
        assert "You are signed in" in page.text, page.text
        # where it comes back to is good in the browser that began it alone
        stolen = next(one for one in browser.seen if "/callback?" in one)
        assert "sign-in-browser" in other.get(stolen).text
        said = browser.get("/v1/whoami").json()
        assert (said["principal"], said["role"], said["provider"]) == ("ann@corp", "admin", "corp")
        assert time.time() - said["signed_in"] < SECONDS
        assert said["expires"] - time.time() > 3600
        # and once
        again = browser.get(stolen)
        assert (again.status_code, "sign-in-browser" in again.text) == (403, True)
        # signed out here, and after a question of the provider's there too
        asked = browser.on(browser.send(page), until="Do you want to sign-out from")
        assert browser.get("/v1/whoami").status_code == 401
        assert str(asked.url) == f"{provider.issuer}/session/end?client_id=bodycam-cli"
        browser.on(browser.send(asked, logout="yes"))
        again = browser.go("/sign-in/start?provider=corp", until='name="login"')
        assert again.url.host == "127.0.0.1", again.text


def test_a_sign_in_afresh_is_asked_of_the_provider_whatever_session_there_is(
    gateway: stage.Gateway, provider: IdentityProvider
) -> None:
    with Browser(gateway, "ann", provider.ca_file) as browser:
        browser.go("/sign-in/start?provider=corp")
        first = browser.get("/v1/whoami").json()
        time.sleep(1.1)
        browser.go("/sign-in/start?provider=corp")
        again = browser.get("/v1/whoami").json()
        # the provider knew her: a sign-in of ours, and none of hers there
        assert (again["sign_in"] != first["sign_in"], again["signed_in"]) == (True, first["signed_in"])
        asked = browser.go("/sign-in/start?provider=corp&fresh=true", until='name="login"')
        assert asked.url.host == "127.0.0.1", asked.text
        browser.on(browser.send(asked))
        newer = browser.get("/v1/whoami").json()
        assert (newer["principal"], newer["fresh"]) == ("ann@corp", True)
        assert newer["signed_in"] > first["signed_in"]


def test_a_token_that_ends_is_renewed_by_the_command_that_needs_it_until_the_sign_out(
    quick: IdentityProvider, ann: Person
) -> None:
    ann.login(quick, "--provider", "quick")
    first = ann.kept()
    while time.time() < first["expires"]:
        time.sleep(0.2)
    assert (
        ann.gateway.api("GET", "/v1/whoami", key=first["id_token"]).json()["error"]["code"] == "token-expired"
    )
    assert ann.said("whoami")["principal"] == "ann@quick"
    second = ann.kept()
    assert second["id_token"] != first["id_token"]
    assert second["refresh_token"] != first["refresh_token"]
    # the time of the sign-in is that of the first one: a renewed token is no fresher
    assert claims_of(second["id_token"])["auth_time"] == claims_of(first["id_token"])["auth_time"]
    out = ann.said("logout")
    assert (out["signed_out"], out["revoked"]) == (True, True)
    # an address is kept wherever it goes: what people call the gateway with is not in it
    assert out["page"] == f"{quick.issuer}/session/end?client_id=bodycam-cli"
    assert ann.bodycam("whoami").returncode == 3
    form = {
        "grant_type": "refresh_token", "refresh_token": second["refresh_token"], "client_id": "bodycam-cli"
    }  # fmt: skip
    with quick.browser() as browser:
        assert browser.post(second["token_endpoint"], data=form).json()["error"] == "invalid_grant"


def test_a_long_run_renews_the_sign_in_and_the_lease(
    quick: IdentityProvider, server: stage.Postgres, ann: Person
) -> None:
    ann.login(quick, "--provider", "quick")
    psql = str(server.bin / "psql")
    ran = ann.bodycam(
        "run", "--agent", "billing-bot", "--ttl", "10s", "--", psql, "-Xqtc", "select pg_sleep(14)", "-c", "select 4712"
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "4712" in ran.stdout


def test_after_a_change_of_keys_new_tokens_are_taken_and_old_ones_are_not(
    provider: IdentityProvider, ann: Person
) -> None:
    ann.login(provider)
    old = ann.kept()["id_token"]
    provider.rotate()
    assert ann.login(provider)["principal"] == "ann@corp"
    refused = ann.gateway.api("GET", "/v1/whoami", key=old)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "token-unknown-key")


def test_while_the_provider_hangs_what_runs_goes_on_and_new_runs_are_refused_clearly(
    provider: IdentityProvider, ann: Person
) -> None:
    ann.login(provider)
    said = ann.call("POST", "/v1/runs", json={"agent": "billing-bot"}).json()
    login = {
        "host": "127.0.0.1", "port": ann.gateway.port, "sslmode": "disable", "dbname": "shop",
        "user": said["credential"]["user"], "password": said["credential"]["secret"],
    }  # fmt: skip
    with psycopg.connect(**login, autocommit=True) as connection:
        with provider.hanging():
            forget_keys(ann.gateway)
            begun = time.monotonic()
            refused = ann.call("POST", "/v1/runs", json={"agent": "billing-bot"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "provider-away")
            assert time.monotonic() - begun < 20
            assert connection.execute("select 1").fetchone() == (1,)
            ran = ann.bodycam("run", "--agent", "billing-bot", "--", "true")
            assert (ran.returncode, "identity provider can't be reached" in ran.stderr) == (125, True)
            # with a key of its own, an account needs no provider
            assert ann.gateway.api("GET", "/v1/runs").status_code == 200
        deadline = time.monotonic() + SECONDS
        while ann.call("GET", "/v1/whoami").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert connection.execute("select 2").fetchone() == (2,)


def forget_keys(gateway: stage.Gateway) -> None:
    """Reload with a provider that differs a little, so that its keys are asked for anew."""
    file = gateway.folder / "bodycam.yaml"
    plain = yaml.safe_load(file.read_text())
    plain["identity"]["providers"][0]["scopes"] = ["openid", "offline_access", "profile"]
    file.write_text(yaml.safe_dump(plain))
    gateway.signal(1)
    deadline = time.monotonic() + SECONDS
    while "profile" not in gateway.api("GET", "/v1/providers").json()["providers"][0]["scopes"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
