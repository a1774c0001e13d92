"""Signing in at a provider that a test plays, and what is kept of it."""

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from bodycam.net.control_access import NoAccess, find_access
from bodycam.net.control_client import ControlClient, ControlError
from bodycam.net.openid import Metadata
from bodycam.net.sign_in import provider as provider_module
from bodycam.net.sign_in.browser import by_browser
from bodycam.net.sign_in.device import by_device
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.kept import Kept, SignInFile, sign_in_file
from bodycam.net.sign_in.provider import Provider, discover, post
from bodycam.net.sign_in.signed_in import SignedIn
from tests.issuer import encoded

GATEWAY = "https://gateway.example:7888"


class Played:
    """A provider whose token endpoint answers what the test says, in order; the last answer stays."""

    def __init__(self) -> None:
        self.url, self.forms = "", list[dict[str, str]]()
        self.answers: list[tuple[int, Any]] = []
        self.device: dict[str, Any] = {
            "device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://x/device",
            "expires_in": 600, "interval": 2,
        }  # fmt: skip

    @property
    def provider(self) -> Provider:
        return Provider("corp", self.url, "cli", ("openid", "offline_access"))

    @property
    def metadata(self) -> Metadata:
        return Metadata(
            self.url, None, f"{self.url}/auth", f"{self.url}/token", f"{self.url}/device", None
        )  # fmt: skip

    def id_token(self, **changed: Any) -> str:
        claims = {"iss": self.url, "aud": "cli", "sub": "ann", "exp": time.time() + 600} | changed
        return f"{encoded({'alg': 'RS256'})}.{encoded(claims)}.x"

    def gives(self, *, refresh_token: str | None = "r2", **claims: Any) -> None:
        self.answers.append((200, {"id_token": self.id_token(**claims), "refresh_token": refresh_token}))

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        if path == "/device":
            return 200, self.device
        if path == "/token":
            self.forms.append(form)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return 200, {"issuer": self.url, "token_endpoint": f"{self.url}/token"}


@contextmanager
def serving(played: Played) -> Iterator[Played]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            status, plain = played.answer(urlsplit(self.path).path, dict(parse_qsl(body)))
            said = plain if isinstance(plain, bytes) else json.dumps(plain).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    played.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def played() -> Iterator[Played]:
    with serving(Played()) as one:
        yield one


def test_a_discovery_document_of_another_issuer_is_refused(played: Played) -> None:
    assert discover(played.provider).token == f"{played.url}/token"
    with pytest.raises(SignInFailed, match="another issuer"):
        discover(Provider("corp", f"{played.url}/", "cli"))


@pytest.mark.parametrize("how", ["head", "body", "never"])
def test_a_provider_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(provider_module, "SECONDS", 0.6)
    leave = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\n" + (b"content-length: 900\r\n\r\n" if how == "body" else b"")
            )
            while how != "never" and not leave.wait(0.1):
                connection.sendall(b"a: b\r\n" if how == "head" else b" ")
            leave.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with pytest.raises(SignInFailed, match=r"did not answer within 0\.6 seconds") as caught:
                post(Provider("corp", url, "cli"), f"{url}/token", {})
        finally:
            leave.set()
            thread.join()
    assert caught.value.for_now


# by device


def device(played: Played, **more: Any) -> tuple[Any, list[float], list[str]]:
    pauses, said, now = list[float](), list[str](), [0.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    tokens = by_device(
        played.provider, played.metadata, said.append, max_age=60, sleep=sleep, monotonic=lambda: now[0], **more
    )  # fmt: skip
    return tokens, pauses, said


def test_a_device_waits_as_it_is_told_and_slows_down_when_it_is_asked_to(played: Played) -> None:
    for error in ("authorization_pending", "slow_down", "authorization_pending"):
        played.answers.append((400, {"error": error}))
    played.answers.append((503, {}))
    played.gives()
    tokens, pauses, said = device(played)
    assert (tokens.subject, tokens.refresh_token) == ("ann", "r2")
    assert pauses == [2, 2, 7, 7, 14]
    assert said == ["open https://x/device and type in the code WDJB-MJHT"]
    assert {form["device_code"] for form in played.forms} == {"d"}


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_client"])
def test_a_device_that_is_refused_says_so(played: Played, error: str) -> None:
    played.answers = [(400, {"error": error})]
    with pytest.raises(SignInFailed, match=error):
        device(played)


def test_a_device_gives_up_when_nobody_comes(played: Played) -> None:
    played.answers = [(400, {"error": "authorization_pending"})]
    with pytest.raises(SignInFailed, match="in time"):
        device(played)
    assert len(played.forms) == 300


@pytest.mark.parametrize(
    "said",
    [{}, {"device_code": 7}, {"device_code": "d", "user_code": "u"}, {"device_code": "d", "user_code": []}],
)
def test_a_device_answer_without_a_code_is_refused(played: Played, said: dict[str, Any]) -> None:
    played.device = said
    with pytest.raises(SignInFailed, match="no code"):
        device(played)


def test_what_a_provider_says_can_not_drive_a_terminal(played: Played) -> None:
    played.device["user_code"] = "A\x1b[2J\nB"
    played.gives()
    assert all(line.isprintable() for line in device(played)[2])


# by browser


def browse(
    played: Played,
    back: Callable[[dict[str, str]], Any],
    *,
    provider: Provider | None = None,
    **more: Any,
) -> Any:
    def show(page: str) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        threads.append(threading.Thread(target=back, args=(query,)))
        threads[-1].start()

    threads: list[threading.Thread] = []
    try:
        return by_browser(
            provider or played.provider, played.metadata, show, max_age=60, **({"seconds": 20} | more)
        )
    finally:
        for thread in threads:
            thread.join()


def test_the_browser_brings_the_code_back_and_the_verifier_fits_the_challenge(played: Played) -> None:
    asked: dict[str, str] = {}

    def back(query: dict[str, str]) -> None:
        asked.update(query)
        played.gives(nonce=query["nonce"])
        good = {"code": "c", "state": query["state"], "iss": played.url}
        with httpx.Client(trust_env=False) as http:
            # what anybody on this machine could send changes nothing
            for wrong in (
                {},
                {"code": "x"},
                {"code": "x", "state": "guessed"},
                {**good, "state": ["a", "b"]},
            ):
                assert http.get(query["redirect_uri"], params=wrong).status_code == 404
            assert http.get(f"{query['redirect_uri']}/more", params=good).status_code == 404
            assert http.get(query["redirect_uri"], params=good).status_code == 200

    assert browse(played, back).subject == "ann"
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    assert (asked["code_challenge_method"], asked["max_age"], asked["prompt"]) == ("S256", "60", "consent")
    (form,) = played.forms
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    assert form["code"] == "c"
    assert form["redirect_uri"] == asked["redirect_uri"]


def test_where_no_consent_is_needed_a_sign_in_is_asked_for_whatever_session_there_is(played: Played) -> None:
    asked: dict[str, str] = {}

    def back(query: dict[str, str]) -> None:
        asked.update(query)
        played.gives(nonce=query["nonce"], refresh_token=None)
        httpx.get(query["redirect_uri"], params={"state": query["state"], "code": "c"}, trust_env=False)

    plain = Provider("corp", played.url, "cli", ("openid",))
    assert browse(played, back, provider=plain).refresh_token is None
    # one value at a time: some providers take no two
    assert (asked["prompt"], asked["max_age"]) == ("login", "60")


def test_who_connects_and_says_nothing_holds_nobody_up(played: Played) -> None:
    def back(query: dict[str, str]) -> None:
        played.gives(nonce=query["nonce"])
        where = urlsplit(query["redirect_uri"])
        good = {"code": "c", "state": query["state"]}
        with (
            socket.create_connection((where.hostname, where.port)),
            socket.create_connection((where.hostname, where.port)) as slow,
            httpx.Client(trust_env=False, timeout=3) as http,
        ):
            slow.sendall(b"GET /callback?")
            assert http.get(query["redirect_uri"], params=good).status_code == 200

    assert browse(played, back).subject == "ann"


def comes_back(**more: str) -> Callable[[dict[str, str]], Any]:
    def back(query: dict[str, str]) -> None:
        httpx.get(query["redirect_uri"], params={"state": query["state"], **more}, trust_env=False)

    return back


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"error": "access_denied", "error_description": "No.\x1b[2J"}, r"refused the sign-in: No\.\?"),
        ({}, "it gave no code"),
        ({"code": "c", "iss": "https://evil.example"}, "not one of corp"),
        ({"code": "c"}, "of another sign-in"),
    ],
)
def test_an_answer_that_is_not_the_right_one_ends_the_sign_in(
    played: Played, more: dict[str, str], said: str
) -> None:
    played.gives(nonce="of another sign-in")
    with pytest.raises(SignInFailed, match=said):
        browse(played, comes_back(**more))


def test_nobody_who_comes_back_is_given_up(played: Played) -> None:
    with pytest.raises(SignInFailed, match="in time"):
        browse(played, lambda _query: None, seconds=0.1)


@pytest.mark.parametrize(
    "claims",
    [{"iss": "https://evil"}, {"aud": "other"}, {"aud": None}, {"sub": None}, {"exp": "soon"}, {"exp": True}],
)
def test_an_id_token_that_is_not_for_us_is_not_taken(played: Played, claims: dict[str, Any]) -> None:
    played.gives(**claims)
    with pytest.raises(SignInFailed, match="can't be used"):
        device(played)


# what is kept


def kept(played: Played, **changed: Any) -> Kept:
    now = time.time()
    plain: dict[str, Any] = {
        "gateway": GATEWAY, "provider": "corp", "issuer": played.url, "client_id": "cli", "ca_pem": None,
        "token_endpoint": f"{played.url}/token", "revocation_endpoint": None, "subject": "ann", "since": now - 300,
        "expires": now + 300, "id_token": "first", "refresh_token": "r1",
    }  # fmt: skip
    return Kept(**(plain | changed))


@pytest.fixture
def file(tmp_path: Path) -> SignInFile:
    return sign_in_file({"XDG_STATE_HOME": str(tmp_path)}, GATEWAY)


def signed_in(file: SignInFile, one: Kept) -> SignedIn:
    file.write(one)
    return SignedIn(file, one)


def test_a_sign_in_is_kept_for_its_gateway_alone_and_for_nobody_else(
    tmp_path: Path, played: Played, file: SignInFile
) -> None:
    file.write(kept(played))
    (path,) = (tmp_path / "bodycam" / "sign-ins").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    assert sign_in_file(environ, "HTTPS://Gateway.example:7888/").read() == file.read() is not None
    assert sign_in_file(environ, "https://gateway.example:7889").read() is None
    assert "first" not in repr(file.read())
    assert "r1" not in repr(file.read())
    path.chmod(0o640)
    assert file.read() is None
    path.chmod(0o600)
    path.write_text("{")
    assert file.read() is None


def test_a_sign_in_is_used_where_no_key_is_given(tmp_path: Path, played: Played, file: SignInFile) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path), "BODYCAM_URL": GATEWAY}
    with pytest.raises(NoAccess, match="no API key and no sign-in") as caught:
        find_access(environ, folder=tmp_path)
    assert "bodycam login" in caught.value.hint
    file.write(kept(played))
    access = find_access(environ, folder=tmp_path)
    assert access.sign_in is not None
    assert (access.sign_in.token(), access.key) == ("first", "")
    given = find_access({**environ, "BODYCAM_API_KEY": "bca_key"}, folder=tmp_path)
    assert (given.key, given.sign_in) == ("bca_key", None)


def test_a_token_that_soon_ends_is_renewed_and_the_new_one_kept(played: Played, file: SignInFile) -> None:
    played.gives()
    one = signed_in(file, kept(played, expires=time.time() + 30))
    assert one.token() == played.answers[0][1]["id_token"]
    again = file.read()
    assert again is not None
    assert (again.id_token, again.refresh_token) == (one.token(), "r2")
    (form,) = played.forms
    assert form == {"grant_type": "refresh_token", "refresh_token": "r1", "client_id": "cli"}


def test_what_another_command_renewed_is_used_and_not_renewed_again(played: Played, file: SignInFile) -> None:
    one = signed_in(file, kept(played, expires=time.time() + 30))
    file.write(kept(played, id_token="second", refresh_token="r2"))
    assert one.token() == "second"
    assert played.forms == []


def test_many_threads_use_a_refresh_token_once(played: Played, file: SignInFile) -> None:
    played.gives()
    old = kept(played, expires=time.time() + 30)
    several = [signed_in(file, old) for _ in range(4)]
    got: list[str] = []
    threads = [threading.Thread(target=lambda one=one: got.append(one.token())) for one in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(played.forms) == 1
    assert len(set(got)) == 1


def test_while_the_provider_is_away_a_token_counts_to_its_end(played: Played, file: SignInFile) -> None:
    played.answers = [(500, {})]
    assert signed_in(file, kept(played, expires=time.time() + 30)).token() == "first"
    with pytest.raises(SignInFailed) as caught:
        signed_in(file, kept(played, expires=time.time() - 1)).token()
    assert caught.value.for_now
    assert file.read() is not None


def test_a_sign_in_that_the_provider_took_back_is_forgotten(played: Played, file: SignInFile) -> None:
    played.answers = [(400, {"error": "invalid_grant"})]
    with pytest.raises(SignInFailed, match="has ended") as caught:
        signed_in(file, kept(played, expires=time.time() - 1)).token()
    assert "bodycam login" in caught.value.hint
    assert file.read() is None


def test_a_renewal_that_names_somebody_else_is_not_taken(played: Played, file: SignInFile) -> None:
    played.gives(sub="eve")
    with pytest.raises(SignInFailed, match="has ended"):
        signed_in(file, kept(played, expires=time.time() - 1)).token()


def test_without_a_refresh_token_a_sign_in_ends_with_its_token(played: Played, file: SignInFile) -> None:
    assert signed_in(file, kept(played, expires=time.time() + 5, refresh_token=None)).token() == "first"
    with pytest.raises(SignInFailed, match="has ended"):
        signed_in(file, kept(played, expires=time.time() - 1, refresh_token=None)).token()


def test_a_call_with_a_sign_in_that_ended_fails_as_signed_out(
    tmp_path: Path, played: Played, file: SignInFile
) -> None:
    file.write(kept(played, expires=time.time() - 1, refresh_token=None))
    access = find_access({"XDG_STATE_HOME": str(tmp_path), "BODYCAM_URL": GATEWAY}, folder=tmp_path)
    with ControlClient(access) as client, pytest.raises(ControlError) as caught:
        client.get("/v1/whoami")
    assert (caught.value.status, caught.value.code) == (401, "signed-out")
    assert "bodycam login" in caught.value.hint
