"""`bodycam login` and `logout` against a control API on loopback, at a provider that is played."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.cli import login, logout
from bodycam.cli.main import build, invoke
from bodycam.net.openid import Metadata
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.provider import Answered
from bodycam.net.sign_in.tokens import Tokens
from tests.unit.cli.fake_control import FakeControl, fake_control

ISSUER = "https://idp.example"
WHO: dict[str, Any] = {"principal": "ann@corp", "groups": ["devs"], "roles": ["user"], "fresh": True}
PROVIDER = {
    "name": "corp", "type": "oidc", "issuer": ISSUER, "client_id": "cli", "page": None,
    "scopes": ["openid", "offline_access"], "ca_pem": None,
}  # fmt: skip


class Played:
    """The provider: what it has, what it gives, and how it answers when a token is to be taken back."""

    def __init__(self) -> None:
        self.revocation: str | None = f"{ISSUER}/revoke"
        self.end_session: str | None = f"{ISSUER}/bye?a=b"
        self.refresh_token: str | None = "r1"
        self.expires = time.time() + 600
        self.answer: Answered | SignInFailed = Answered(200, {})
        self.forms: list[tuple[str, Any]] = []

    def metadata(self, *_: Any) -> Metadata:
        return Metadata(
            ISSUER, None, f"{ISSUER}/auth", f"{ISSUER}/token", None, self.revocation, self.end_session
        )

    def signed_in(self, *_: Any, **__: Any) -> Tokens:
        return Tokens("eyJ.id.token", "ann", self.expires, self.refresh_token)

    def post(self, _: Any, url: str, form: Any) -> Answered:
        self.forms.append((url, form))
        if isinstance(self.answer, SignInFailed):
            raise self.answer
        return self.answer


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    one = Played()
    monkeypatch.setattr(login, "discover", one.metadata)
    monkeypatch.setattr(login, "by_browser", one.signed_in)
    monkeypatch.setattr(logout, "post", one.post)
    return one


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeControl]:
    routes = {"GET /v1/providers": {"providers": [PROVIDER]}, "GET /v1/whoami": WHO}
    with fake_control(routes) as control:
        for name in ("BODYCAM_API_KEY", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("BODYCAM_URL", control.url)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        yield control


def bodycam(*arguments: str) -> int:
    return invoke(build(only=arguments[0]), list(arguments))


def test_a_provider_that_did_not_ask_anew_is_told_of_at_once(
    played: Played, control: FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodycam("login") == 0
    assert "did not have you sign in anew" not in capsys.readouterr().err
    control.routes["GET /v1/whoami"] = WHO | {"fresh": False}
    assert bodycam("login") == 0
    assert "corp did not have you sign in anew" in capsys.readouterr().err


def test_a_sign_out_takes_the_token_back_and_shows_the_page_that_ends_the_session_there(
    played: Played, control: FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    bodycam("login")
    capsys.readouterr()
    assert bodycam("logout") == 0
    told = capsys.readouterr().err
    assert "signed out; corp took the refresh token back\n" in told
    assert "the token that was last given: it ends at" in told
    assert f"{ISSUER}/bye?a=b&client_id=cli\n" in told
    assert "eyJ" not in told
    assert played.forms == [(f"{ISSUER}/revoke", {"token": "r1", "token_type_hint": "refresh_token"})]
    assert bodycam("logout") == 0
    assert "you were not signed in here" in capsys.readouterr().err
    assert len(played.forms) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"refresh_token": None}, "corp had given nothing that renews it"),
        ({"revocation": None}, "corp has no way to take the refresh token back"),
        ({"answer": Answered(400, {"error": "no"})}, "corp did not take the refresh token back: no"),
        ({"answer": SignInFailed("it is away", "")}, "the refresh token was not taken back: it is away"),
    ],
    ids=["nothing to take", "no way", "refused", "away"],
)
def test_what_was_not_taken_back_is_said_and_it_is_forgotten_all_the_same(
    played: Played,
    control: FakeControl,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, Any],
    said: str,
) -> None:
    played.end_session, played.expires = None, time.time() + 0.5
    for name, value in changed.items():
        setattr(played, name, value)
    bodycam("login")
    capsys.readouterr()
    while time.time() < played.expires:
        time.sleep(0.05)
    assert bodycam("logout") == 0
    # what has ended needs no taking back
    assert capsys.readouterr().err == f"signed out; {said}\n"
    bodycam("login")
    capsys.readouterr()
    assert bodycam("logout", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"signed_out": True, "revoked": False, "page": None, "token_until": None}
