"""Where requests go: hosts, the forms of a request's target, named targets, and what is for nobody."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.protocols.http.authority import Absolute, Authority, Origin, Tunnel, authority, form, host_of
from bodycam.protocols.http.destination import Place, Wayfinder, destination, tunnelled, url
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import request_head
from bodycam.protocols.http.proof import PROOF_MOST, Credential


def parts(value: object) -> object:
    """A value of a plain class as something that can be compared: its class's name and its attributes."""
    kind = type(value)
    # compiled, a class names them in another way
    slots = getattr(kind, "__slots__", None) or getattr(kind, "__mypyc_attrs__", None)
    if slots is None or isinstance(value, str | bytes | int):
        return value
    return kind.__name__, tuple(parts(getattr(value, name)) for name in slots)


def head(line: str, *fields: str):  # type: ignore[no-untyped-def]
    return request_head("\r\n".join((line, *fields, "", "")).encode("latin-1"))


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("api.test", "api.test", 80), ("API.Test:8080", "api.test", 8080), ("api.test.", "api.test", 80),
        ("a_b-c.test", "a_b-c.test", 80), ("127.0.0.1:1", "127.0.0.1", 1), ("[::1]", "::1", 80),
        ("[0:0::1]:443", "::1", 443), ("[::FFFF:127.0.0.1]:65535", "::ffff:7f00:1", 65535), ("x", "x", 80),
    ],
)  # fmt: skip
def test_a_host_and_its_port(text: str, host: str, port: int) -> None:
    found = authority(text.encode(), 80)
    assert (found.host, found.port) in ((host, port), (host.replace("7f00:1", "127.0.0.1"), port))


@pytest.mark.parametrize(
    "text",
    [
        "", ":80", "api.test:", "api.test:0", "api.test:65536", "api.test:-1", "api.test:+1", "api.test:8 0", "api.test:0x50",
        "api.test:80:80", "u@api.test", "u:p@api.test", "api.test/x", "api.test?x", "api.test#x", "a b", " api.test", "a,b",
        "a..b", ".a", ".", "-a.test", "a-", "[::1", "::1", "[::1]x", "[::1]:", "[zz]", "[::1%25eth0]", "[1.2.3.4]", "[]",
        "\xe9.test", "a%2eb", "a\\b", "a'b", "a\tb", "a" * 254, "api.test:000080",
    ],
)  # fmt: skip
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(BadMessage) as told:
        authority(text.encode("latin-1"), 80)
    assert told.value.status == 400


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("GET /a?b", Origin(b"/a?b")), ("GET //a", Origin(b"//a")), ("OPTIONS *", Origin(b"*")),
        ("GET http://a.test", Absolute("http", Authority("a.test", 80), b"/")),
        ("GET HTTP://A.test:80/b", Absolute("http", Authority("a.test", 80), b"/b")),
        ("GET https://a.test?b", Absolute("https", Authority("a.test", 443), b"/?b")),
        ("GET http://a.test/http://b.test/", Absolute("http", Authority("a.test", 80), b"/http://b.test/")),
        ("CONNECT a.test:443", Tunnel(Authority("a.test", 443))), ("CONNECT [::1]:443", Tunnel(Authority("::1", 443))),
    ],
)  # fmt: skip
def test_the_four_forms(line: str, found: object) -> None:
    assert parts(form(head(f"{line} HTTP/1.1"))) == parts(found)


@pytest.mark.parametrize(
    "line",
    [
        "GET *", "GET a.test", "GET a", "GET ?a", "GET ftp://a.test/", "GET ws://a.test/", "GET http:/a", "GET http:a",
        "GET http://", "GET http:///a", "GET http://u@a.test/", "GET http://u:p@a.test/", "GET http://a.test:0/",
        "GET /a#b", "GET http://a.test/#b", "GET http://a.test#b", "GET http://a.test\\@b.test/", "GET http://a b",
        "CONNECT a.test", "CONNECT a.test:", "CONNECT a.test:0", "CONNECT /", "CONNECT http://a.test:443", "CONNECT *",
        "CONNECT u@a.test:443", "CONNECT a.test:443/", "CONNECT :443", "CONNECT a.test:https",
    ],
)  # fmt: skip
def test_a_target_of_no_form(line: str) -> None:
    with pytest.raises(BadMessage) as told:
        form(head(f"{line} HTTP/1.1"))
    assert told.value.status == 400


@pytest.mark.parametrize("fields", [[], ["Host: a", "Host: a"], ["Host: a", "host: b"], ["Host:"], ["Host: a, b"], ["Host: u@a"],
                                    ["Host: a/b"], ["Host: http://a"], ["Host: a b"]])  # fmt: skip
def test_a_request_has_one_host(fields: list[str]) -> None:
    for line in ("GET / HTTP/1.1", "GET http://a.test/ HTTP/1.1"):
        with pytest.raises(BadMessage) as told:
            destination(head(line, *fields))
        assert told.value.status == 400
    with pytest.raises(BadMessage):
        tunnelled(head("GET / HTTP/1.1", *fields), Place(Authority("a", 80), scheme="http"))


def test_one_of_http_1_0_needs_none() -> None:
    assert host_of(head("GET / HTTP/1.0"), "http") is None


# -- where it goes ---------------------------------------------------------------------------------------


def test_a_url_counts_and_not_the_host_beside_it() -> None:
    where = destination(head("GET http://a.test/x HTTP/1.1", "Host: b.test"))
    assert (where.place, where.path) == (Place(Authority("a.test", 80), scheme="http"), b"/x")
    assert where.proxied


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [("/t/api", "api", b"/"), ("/t/api/", "api", b"/"), ("/t/a.b-c_1/x?y", "a.b-c_1", b"/x?y"), ("/t/api?x=1", "api", b"/?x=1"),
     ("/t/api//x", "api", b"//x")],
)  # fmt: skip
def test_a_target_by_its_name(path: str, name: str, rest: bytes) -> None:
    where = destination(head(f"GET {path} HTTP/1.1", "Host: gate"))
    assert (where.place, where.path) == (Place(target=name), rest)
    assert not where.proxied


@pytest.mark.parametrize(
    "path", ["/", "/x", "/t", "/t/", "/t//x", "/t/a%62c/x", "/t/\xe9/x", "/t/a:b", "/T/api", "/t/" + "a" * 64]
)
def test_a_path_that_is_nowhere(path: str) -> None:
    with pytest.raises(BadMessage) as told:
        destination(head(f"GET {path} HTTP/1.1", "Host: gate"))
    assert told.value.status == 404


@pytest.mark.parametrize(
    ("line", "fields", "status"),
    [
        ("GET https://a.test/", [], 400),
        ("CONNECT a.test:443", ["Content-Length: 0"], 400),
        ("CONNECT a.test:443", ["Transfer-Encoding: chunked"], 400),
    ],
)
def test_what_no_proxy_is_asked(line: str, fields: list[str], status: int) -> None:
    with pytest.raises(BadMessage) as told:
        destination(head(f"{line} HTTP/1.1", "Host: a.test", *fields))
    assert told.value.status == status


INSIDE = Place(Authority("a.test", 443), scheme="https")


@pytest.mark.parametrize(
    ("line", "host", "status"),
    [
        ("GET /x", "a.test", 0), ("GET /x", "A.TEST:443", 0), ("GET https://a.test/x", "b.test", 0), ("GET /x", "a.test.", 0),
        ("GET /x", "b.test", 421), ("GET /x", "a.test:80", 421), ("GET http://a.test/x", "a.test", 421),
        ("GET https://b.test/x", "a.test", 421), ("CONNECT a.test:443", "a.test", 400), ("GET /x", "a.test@b", 400),
    ],
)  # fmt: skip
def test_what_comes_through_a_tunnel_is_for_its_host(line: str, host: str, status: int) -> None:
    asked = head(f"{line} HTTP/1.1", f"Host: {host}")
    if not status:
        assert tunnelled(asked, INSIDE).path == b"/x"
        return
    with pytest.raises(BadMessage) as told:
        tunnelled(asked, INSIDE)
    assert told.value.status == status


def test_a_url_is_shown_in_ascii() -> None:
    assert url("https", Authority("::1", 443), b"/\xc3\xa9?a=%20") == "https://[::1]/%C3%A9?a=%20"
    assert url("http", Authority("a", 8080), b"/") == "http://a:8080/"


# -- whose it is -----------------------------------------------------------------------------------------


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (basic("run_a:secret"), Credential("token", b"secret")), (basic("secret:"), Credential("token", b"secret")),
        (basic("token/bot:a:b"), Credential("token/bot", b"a:b")), ("bearer  secret ", Credential("token", b"secret")),
        ("BASIC " + basic("a:b")[6:], Credential("token", b"b")), ("", None),
    ],
)  # fmt: skip
def test_what_a_client_proves_itself_by(said: str, found: Credential | None) -> None:
    where = destination(head("GET http://a.test/ HTTP/1.1", "Host: a", f"Proxy-Authorization: {said}"))
    assert parts(where.credential) == parts(found)
    assert "secret" not in repr(where.credential)
    named = destination(head("GET /t/api/ HTTP/1.1", "Host: a", f"Authorization: {said}"))
    assert parts(named.credential) == parts(found)


@pytest.mark.parametrize("said", ["Basic", "Basic !", "Basic YTpi YTpi", "Basic " + base64.b64encode(b"no-colon").decode(),
                                  "Basic " + base64.b64encode(b"\xff:x").decode(), "Bearer", "Bearer ", "Digest x", "secret",
                                  "Bearer " + "x" * (PROOF_MOST + 1)])  # fmt: skip
def test_what_proves_nothing(said: str) -> None:
    with pytest.raises(BadMessage) as told:
        destination(head("GET http://a.test/ HTTP/1.1", "Host: a", f"Proxy-Authorization: {said}"))
    assert told.value.status == 400
    assert "secret" not in told.value.reason


@pytest.mark.parametrize(
    ("fields", "drops"),
    [
        (["Authorization: Bearer s"], {b"authorization"}), (["X-Api-Key: s"], {b"x-api-key"}), (["Api-Key: s"], {b"api-key"}),
        (["Authorization: Bearer s", "X-Api-Key: s"], {b"authorization", b"x-api-key"}),
        (["Authorization: Bearer theirs", f"Proxy-Authorization: {basic('r:s')}"], {b"proxy-authorization"}),
        ([f"Authorization: {basic('r:s')}", "X-Goog-Api-Key: s", "X-Api-Key: theirs"], {b"authorization", b"x-goog-api-key"}),
    ],
)  # fmt: skip
def test_our_credential_stays_here_wherever_it_stands(fields: list[str], drops: set[bytes]) -> None:
    where = destination(head("GET /t/api/ HTTP/1.1", "Host: a", *fields))
    assert parts(where.credential) == parts(Credential("token", b"s"))
    assert where.drops == drops


LINES = [
    "GET http://a.test/1", "GET http://a.test/2?x", "GET http://a.test", "GET http://a.test?x", "GET http://a.tester/",
    "GET http://a.test:80/", "GET http://a.test.evil/", "GET http://a.test@b.test/", "GET http://b.test/", "GET http://a.test/#x",
    "GET https://a.test/", "GET HTTP://A.test/1", "CONNECT a.test:443", "CONNECT http://a.test/1", "OPTIONS *", "GET *", "GET /t/a/b",
    "GET /t/b/b", "GET /", "GET //x", "GET /#x", "GET x",
]  # fmt: skip
FIELDS = [
    ("Host: a.test",),
    ("Host: b.test",),
    ("Host: a.test", "Proxy-Authorization: Bearer one"),
    ("Host: a.test", "Proxy-Authorization: Bearer two"),
    ("Host: a.test", "Authorization: Bearer one"),
    ("Host: a.test", "Host: a.test"),
    (),
]


@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(FIELDS), st.sampled_from("01")), max_size=6),
    st.booleans(),
)
def test_what_went_before_changes_no_request_s_way(
    asked: list[tuple[str, tuple[str, ...], str]], through_a_tunnel: bool
) -> None:
    place = Place(authority(b"a.test", 80), scheme="http") if through_a_tunnel else None
    ways, before = Wayfinder(), None
    for line, listed, minor in asked:
        raw = "\r\n".join((f"{line} HTTP/1.{minor}", *listed, "", "")).encode()
        alone = request_head(raw)
        try:
            expected = parts(destination(alone) if place is None else tunnelled(alone, place))
        except BadMessage as error:
            expected = error.status, error.reason
        one = request_head(raw, before)
        before = one.fields
        try:
            found = parts(ways.find(one, place))
        except BadMessage as error:
            found = error.status, error.reason
        assert found == expected
