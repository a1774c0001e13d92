"""A client, a target, and requests between them: what goes through as it came, and what is recorded of it."""

from collections.abc import Iterator

import pytest

from bodycam.model.target import Reach, TlsMode
from bodycam.policy.redaction import Redactor
from bodycam.session.grant import Refusal, RefusalCode
from bodycam.session.link import (
    AskChallenge,
    AskDial,
    AskLook,
    AskOpen,
    AskUpgrade,
    DialDone,
    DialFailed,
    Looked,
    Upgraded,
    UpgradeFailed,
)
from tests.playbook.http_stage import (
    BEARER,
    CHALLENGE,
    INJECTED,
    OK,
    PROVED,
    SECRET,
    HttpPlay,
    grant,
    request,
    response,
)


@pytest.fixture
def play() -> Iterator[HttpPlay]:
    made = HttpPlay()
    yield made
    made.check()


CONNECT = b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n" + PROVED + b"\r\n"
INNER = b"GET /in HTTP/1.1\r\nHost: api.test\r\n\r\n"


def test_a_get_goes_through(play: HttpPlay) -> None:
    play.sends(request("GET http://api.test/a?page=2", "Accept: */*"))

    assert play.target_sees() == b"GET /a?page=2 HTTP/1.1\r\nHost: api.test\r\nAccept: */*\r\n\r\n"

    play.target(response("Server: t", body=b"hello"))

    assert play.client_gets() == b"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 5\r\n\r\nhello"
    assert play.story() == [
        "opened", "GET http://api.test/a?page=2", "> GET /a?page=2 HTTP/1.1", "< HTTP/1.1 200 OK | hello",
        "finish ok 200",
    ]  # fmt: skip
    assert not play.closed


def test_who_it_is_is_asked_first_and_the_target_last(play: HttpPlay) -> None:
    play.client(request())
    assert play.needs == [AskChallenge("token")]
    play.answer(CHALLENGE)
    asked = play.needs[-1]
    assert isinstance(asked, AskOpen)
    assert (asked.proof, asked.wanted.host, asked.wanted.target) == (SECRET.encode(), "api.test:80", "")
    play.answer(play.given)
    assert isinstance(play.needs[-1], AskDial)
    assert play.target_sees() == b""
    play.answer(DialDone(secure=False))
    assert play.target_sees().startswith(b"GET /a ")


def test_one_without_a_credential_is_asked_for_it_and_comes_again(play: HttpPlay) -> None:
    play.sends(request(proved=False))
    said = play.client_gets()
    assert said.startswith(b"HTTP/1.1 407 ")
    assert b"\r\nProxy-Authenticate: Basic " in said
    assert not play.closed
    assert play.recorded() == []

    assert play.exchange().endswith(b"ok")
    assert play.story()[0] == "opened"


def test_a_body_behind_a_request_without_a_credential_is_passed_over(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/a", "Content-Length: 5", body=b"he", proved=False))
    assert play.client_gets().startswith(b"HTTP/1.1 407 ")
    play.sends(b"llo" + request("GET http://api.test/b"))
    assert play.target_sees().startswith(b"GET /b ")


def test_one_that_has_lost_its_credential_is_asked_again_on_the_record(play: HttpPlay) -> None:
    play.exchange()
    play.sends(request(proved=False))
    assert play.client_gets().startswith(b"HTTP/1.1 407 ")
    assert play.exchange() == OK
    assert "< HTTP/1.1 407 Proxy Authentication Required" in " ".join(play.story())


def test_a_wrong_credential_ends_it_off_the_record(play: HttpPlay) -> None:
    play.client(request())
    play.answer(CHALLENGE)
    play.answer(Refusal(RefusalCode.BAD_CREDENTIAL, "nobody known"))
    assert play.client_gets().startswith(b"HTTP/1.1 407 ")
    assert play.closed
    assert play.recorded() == []


def test_an_unknown_host_is_refused_on_the_record(play: HttpPlay) -> None:
    play.client(request("GET http://elsewhere.test/a"))
    play.answer(CHALLENGE)
    play.answer(Refusal(RefusalCode.UNKNOWN_TARGET, "no target is there", grant=grant()))
    assert play.client_gets().startswith(b"HTTP/1.1 403 ")
    assert play.closed
    assert play.story() == [
        "opened", "GET http://elsewhere.test/a deny by access", "< HTTP/1.1 403 Forbidden | "
        '{"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "no target is there", "rule": "access"}\n',
        "finish denied 403: no target is there", "closed failed: no target is there",
    ]  # fmt: skip


def test_a_named_target_gets_its_own_credential_and_nobody_else_does() -> None:
    play = HttpPlay(given=grant(headers={"X-Own": INJECTED}, query={"own": INJECTED}))
    key = b"X-Api-Key: " + SECRET.encode() + b"\r\n"
    play.sends(
        b"GET /t/api/v1?a=1&own=x HTTP/1.1\r\nHost: gate\r\nX-Own: theirs\r\nX_Own: too\r\n"
        + BEARER
        + key
        + b"\r\n"
    )

    assert play.target_sees().decode() == (
        f"GET /v1?a=1&own={INJECTED} HTTP/1.1\r\nHost: api.test\r\nX-Own: {INJECTED}\r\n\r\n"
    )
    play.target(OK)
    assert play.client_gets() == OK
    assert "> GET /v1?a=1&own=x HTTP/1.1" in play.story()
    play.check()


def test_a_credential_of_the_clients_own_goes_on_beside_ours(play: HttpPlay) -> None:
    play.sends(b"GET /t/api/ HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer theirs\r\n" + PROVED + b"\r\n")

    assert b"\r\nAuthorization: Bearer theirs\r\n" in play.target_sees()
    recorded = b"".join(body[2] for kind, _, body in play.recorded() if kind.name == "TO_TARGET")
    assert b"\r\nAuthorization: Bearer [redacted]\r\n" in recorded


def test_a_tunnel_is_read_through(play: HttpPlay) -> None:
    play.client(CONNECT)
    play.answer(CHALLENGE)
    play.answer(play.given)
    assert play.needs == [AskLook()]
    assert play.client_gets() == b"HTTP/1.1 200 Connection established\r\n\r\n"
    play.answer(Looked(tls=True))
    # the client is offered what the target speaks
    assert [type(need) for need in play.needs] == [AskDial]
    play.answer(DialDone(secure=True, alpn="http/1.1"))
    assert play.needs == [AskUpgrade("api.test", ("http/1.1",))]
    play.answer(Upgraded(alpn="http/1.1", server_name="api.test"))
    assert play.exchange(INNER) == OK
    assert play.story() == [
        "opened", "connect api.test:443", "< HTTP/1.1 200 Connection established", "finish ok 200",
        "GET https://api.test/in", "> GET /in HTTP/1.1", "< HTTP/1.1 200 OK | ok", "finish ok 200",
    ]  # fmt: skip


def test_plain_requests_go_through_a_tunnel_too(play: HttpPlay) -> None:
    play.client(CONNECT.replace(b":443", b":80"))
    play.answer(CHALLENGE)
    play.answer(play.given)
    play.answer(Looked(tls=False))
    play.client_gets()
    assert play.exchange(INNER) == OK
    assert "GET http://api.test/in" in play.story()


def test_a_request_for_another_host_within_a_tunnel_is_misdirected(play: HttpPlay) -> None:
    play.sends(CONNECT)
    play.client_gets()
    play.sends(INNER.replace(b"api.test", b"other.test"))
    assert play.client_gets().startswith(b"HTTP/1.1 421 ")
    assert play.target_sees() == b""
    assert play.closed


@pytest.mark.parametrize("intercept", [True, False])
def test_bytes_before_the_tunnel_stands_never_count_as_what_comes_through_it(intercept: bool) -> None:
    play = HttpPlay(given=grant(intercept=intercept))
    play.client(CONNECT + INNER)
    play.admit()
    assert b"HTTP/1.1 400 " in play.client_gets()
    assert play.target_sees() == b""
    assert play.closed
    play.check()


@pytest.mark.parametrize("intercept", [True, False])
def test_bytes_that_come_while_the_tunnel_is_asked_for_do_not_either(intercept: bool) -> None:
    play = HttpPlay(given=grant(intercept=intercept))
    play.client(CONNECT)
    play.client(INNER)
    play.admit()
    assert b"HTTP/1.1 400 " in play.client_gets()
    assert play.target_sees() == b""
    assert play.closed
    play.check()


def test_a_handshake_that_fails_ends_the_session(play: HttpPlay) -> None:
    play.client(CONNECT)
    play.answer(CHALLENGE)
    play.answer(play.given)
    play.answer(Looked(tls=True))
    play.answer(UpgradeFailed("it does not trust the certificate"))
    assert play.closed
    assert play.outcomes() == ["finish ok 200", "closed broken: it does not trust the certificate"]


def test_another_host_on_the_same_connection_is_another_session(play: HttpPlay) -> None:
    play.exchange()
    play.sends(request("GET http://other.test/b"))
    assert play.drops == 1
    assert play.target_sees().startswith(b"GET /b HTTP/1.1\r\nHost: other.test\r\n")
    play.target(OK)
    assert play.story().count("opened") == 2


def test_pipelined_requests_go_one_after_the_other(play: HttpPlay) -> None:
    play.sends(
        request("GET http://api.test/1"), request("GET http://api.test/2"), request("GET http://api.test/3")
    )
    for number in (b"1", b"2", b"3"):
        assert play.target_sees().split(b" ")[1] == b"/" + number
        play.target(response(body=number))
        assert play.client_gets().endswith(number)
    assert play.target_sees() == b""


def test_requests_ahead_are_bounded(play: HttpPlay) -> None:
    play.sends(request())
    for _ in range(40):
        play.client(request("POST http://api.test/1", "Content-Length: 10000", body=b"x" * 10000))
    assert play.held
    while play.target_sees():
        play.target(OK)
    assert not play.held


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_body_in_chunks_streams_in_chunks_of_ours(play: HttpPlay, cut: int) -> None:
    body = b"3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n"
    asked = request("PUT http://api.test/a", "Transfer-Encoding: chunked", body=body)
    for at in range(0, len(asked), cut):
        play.sends(asked[at : at + cut])
    head, _, sent = play.target_sees().partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert sent.endswith(b"\r\n0\r\nX-Sum: 1\r\n\r\n")
    content = b""
    while not sent.startswith(b"0\r\n"):
        size, _, sent = sent.partition(b"\r\n")
        content, sent = content + sent[: int(size, 16)], sent[int(size, 16) + 2 :]
    assert content == b"abc0123456789abcdef"
    play.target(OK)
    recorded = b"".join(line.partition("| ")[2].encode() for line in play.story() if line.startswith(">"))
    assert recorded == content


def test_an_upload_with_its_length_streams(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/a", "Content-Length: 6", body=b"abc"))
    assert play.target_sees().endswith(b"\r\n\r\nabc")
    play.client(b"de")
    assert play.target_sees() == b"de"
    play.client(b"f" + request("GET http://api.test/next"))
    assert play.target_sees() == b"f"
    play.target(OK)
    assert play.target_sees().startswith(b"GET /next ")


def test_hop_by_hop_fields_stay_behind(play: HttpPlay) -> None:
    play.sends(request("GET http://api.test/a", "Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: 5", "TE: gzip",
                       "Proxy-Connection: keep-alive", "Upgrade: h2c", "HTTP2-Settings: AAA", "X-End: 1"))  # fmt: skip
    assert play.target_sees() == b"GET /a HTTP/1.1\r\nHost: api.test\r\nX-End: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("reach", "headers", "goes"),
    [(Reach.PUBLIC, {}, True), (Reach.PUBLIC, {"X-Own": INJECTED}, False), (Reach.ANY, {}, False)],
)
def test_one_trusted_place_and_what_holds_secrets_are_asked_over_tls(
    reach: Reach, headers: dict[str, str], goes: bool
) -> None:
    play = HttpPlay(given=grant(reach=reach, headers=headers, tls=TlsMode.VERIFY_FULL))
    play.sends(request())
    assert bool(play.target_sees()) == goes
    assert play.client_gets().startswith(b"HTTP/1.1 403 ") != goes
    play.check()


def test_a_target_that_can_not_be_reached_is_said_and_the_connection_lives_on(play: HttpPlay) -> None:
    for refused, status in ((False, b"502"), (True, b"403")):
        play.client(request("POST http://api.test/a", "Content-Length: 3", body=b"abc"))
        while not isinstance(play.needs[-1], AskDial):
            play.answer(CHALLENGE if isinstance(play.needs[-1], AskChallenge) else play.given)
        play.answer(DialFailed("no way", refused=refused))
        assert play.client_gets().split(b" ")[1] == status
    assert play.exchange() == OK
    assert play.outcomes() == [
        "finish error 502: target api: no way", "finish denied 403: target api: no way", "finish ok 200",
    ]  # fmt: skip


def test_a_credential_in_a_url_is_on_no_record() -> None:
    play = HttpPlay(redaction=Redactor())
    url = f"http://api.test/a?page=2&api_key={INJECTED}&sig={INJECTED}"
    play.sends(request(f"GET {url}", f"Referer: {url}", f"Cookie: sid={INJECTED}", f"X-Api-Key: {INJECTED}"))
    assert play.target_sees().count(INJECTED.encode()) == 6
    play.target(response(f"Location: {url}", f"Set-Cookie: sid={INJECTED}", status="302 Found"))
    assert play.client_gets().count(INJECTED.encode()) == 3
    events = play.recorded()
    asked = next(body for kind, _, body in events if kind.name == "REQUEST")
    assert asked[1] == "http://api.test/a?page=2&api_key=[redacted]&sig=[redacted]"
    # pairs that stand alone may be libpq's, whose values end with a blank
    assert asked[3]["http.query"] == "page=2&api_key=[redacted]"
    head = next(body[2] for kind, _, body in events if kind.name == "TO_CLIENT")
    assert b"Location: http://api.test/a?page=2&api_key=[redacted]&sig=[redacted]\r\n" in head
    assert b"Set-Cookie: sid=[redacted]\r\n" in head
    play.check()
