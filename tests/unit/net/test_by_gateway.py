"""Signing in through the gateway: what the browser brings is traded once, and what goes wrong is said."""

import json
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bodycam.cli import login
from bodycam.cli.main import build, invoke
from bodycam.net.openid import challenge_of, spoken
from bodycam.net.sign_in.by_gateway import by_gateway
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.kept import SignInFile

PAGE, GATEWAY = "https://gateway:7888/sign-in/start", "https://gateway:7888"
GOOD = {"token": "bcs_sgn_a_b", "principal": "ann@sso", "expires": time.time() + 86_400}


class Browser:
    """Comes back to where the page says, a moment later, with what it is told."""

    def __init__(self, **query: str) -> None:
        self.query, self.asked, self.code = query, dict[str, str](), ""

    def show(self, page: str, code: str) -> None:
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        self.code = code
        threading.Thread(target=self._come, daemon=True).start()

    def _come(self) -> None:
        query = {"state": self.asked["state"], **self.query}
        httpx.get(
            f"http://127.0.0.1:{self.asked['port']}/callback", params=query, trust_env=False, timeout=10
        )


def test_the_code_is_traded_together_with_the_verifier_that_the_page_knows_the_hash_of(
    tmp_path: Path,
) -> None:
    browser, traded = Browser(code="once"), []

    def redeem(body: Any) -> Any:
        traded.append(body)
        return GOOD

    kept = by_gateway("sso", PAGE, GATEWAY, redeem, browser.show, seconds=20)
    ((said),) = traded
    assert said["code"] == "once"
    assert challenge_of(said["verifier"]) == browser.asked["challenge"]
    assert (browser.asked["provider"], browser.asked["fresh"]) == ("sso", "true")
    assert browser.code == spoken(browser.asked["challenge"])
    assert (kept.id_token, kept.subject, kept.by_gateway, kept.refresh_token) == (
        "bcs_sgn_a_b",
        "ann@sso",
        True,
        None,
    )
    assert "bcs_" not in repr(kept)
    file = SignInFile(tmp_path, GATEWAY)
    file.write(kept)
    assert file.read() == kept


@pytest.mark.parametrize(
    ("query", "answer", "message"),
    [
        ({}, GOOD, "nobody came back"),
        ({"code": "c"}, {}, "is no sign-in"),
        ({"code": "c"}, GOOD | {"token": 1}, "is no sign-in"),
    ],
)
def test_what_can_not_be_used_is_said(query: dict[str, str], answer: dict[str, Any], message: str) -> None:
    with pytest.raises(SignInFailed, match=message):
        by_gateway("sso", PAGE, GATEWAY, lambda _body: answer, Browser(**query).show, seconds=20)


def test_nobody_who_comes_back_is_waited_for_so_long_only() -> None:
    with pytest.raises(SignInFailed, match="nobody came back"):
        by_gateway("sso", PAGE, GATEWAY, lambda _body: GOOD, lambda _page, _code: None, seconds=0.2)


def test_a_device_is_no_way_to_a_provider_of_the_gateways(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    listed = {
        "name": "sso",
        "type": "saml",
        "issuer": "",
        "client_id": "",
        "scopes": [],
        "ca_pem": None,
        "page": PAGE,
    }
    answer = httpx.Response(200, text=json.dumps({"providers": [listed]}))
    transport = httpx.MockTransport(lambda _request: answer)
    monkeypatch.setattr(login, "ControlClient", lambda access: Client(access, transport=transport))
    monkeypatch.setenv("BODYCAM_URL", GATEWAY)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert invoke(build(only="login"), ["login", "--device"]) == 1
    assert "for a browser on this machine only" in capsys.readouterr().err


Client = login.ControlClient
