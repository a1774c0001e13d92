"""The head for the target, and what of it nobody reads later."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.model.target import Dial
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.forwarding import (
    REDACTED,
    Forwarding,
    forwarded,
    hidden,
    recorded,
    secretive,
    upgrade_wanted,
)
from bodycam.protocols.http.head import request_head

SECRET = b"tH3s3cr3t0fThem=="

SECRETIVE = [
    "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Set-Cookie2", "Authentication-Info", "X-Auth-Token",
    "X-Api-Key", "X-API-KEY", "api-key", "ApiKey", "X-ApiKey", "x-goog-api-key", "x-goog-iam-authorization-token",
    "Ocp-Apim-Subscription-Key", "x-functions-key", "x-ms-authorization-auxiliary", "x-ms-encryption-key",
    "X-Amz-Security-Token", "X-Amz-Server-Side-Encryption-Customer-Key", "x-goog-encryption-key", "X-Vault-Token",
    "Private-Token", "Job-Token", "Deploy-Token", "DD-API-KEY", "DD-APPLICATION-KEY", "X-Slack-Signature",
    "X-Hub-Signature-256", "Stripe-Signature", "X-Shopify-Access-Token", "X-Figma-Token", "X-Consul-Token", "Fastly-Key",
    "X-RapidAPI-Key", "CF-Access-Client-Secret", "X-Auth-Key", "CB-ACCESS-KEY", "CB-ACCESS-SIGN", "CB-ACCESS-PASSPHRASE",
    "X-MBX-APIKEY", "X-Parse-Master-Key", "X-Csrf-Token", "X-Xsrf-Token", "Mcp-Session-Id", "X-Session-Token", "X-Password",
    "X-Jwt-Assertion", "X-Access-Key", "X-Algolia-API-Key", "X-Honeycomb-Team-Key", "X-SAML-Response", "Key",
]  # fmt: skip
READABLE = [
    "Host", "Accept", "Content-Type", "Content-Length", "User-Agent", "Location", "Referer", "ETag", "Date", "Server", "Via",
    "WWW-Authenticate", "Proxy-Authenticate", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
    "x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-limit", "X-RateLimit-Limit", "Idempotency-Key",
    "Surrogate-Key", "Sec-WebSocket-Key", "Sec-WebSocket-Accept", "Traceparent", "X-Request-Id", "X-Author", "Author",
    "X-GitHub-Request-Id", "x-amz-date", "x-amz-content-sha256", "anthropic-version", "openai-organization", "Cache-Control",
    "X-Keyboard", "Monkey", "X-Design", "Content-Security-Policy", "Keep-Alive", "Authority", "X-Partition-Key",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETIVE)
def test_a_credential_is_known_by_its_name(name: str) -> None:
    listed = [(name.encode(), SECRET)]
    assert hidden(listed) == [(name.encode(), REDACTED)]


@pytest.mark.parametrize("name", READABLE)
def test_what_is_none_can_be_read(name: str) -> None:
    assert not secretive(name.encode())
    assert hidden([(name.encode(), SECRET)]) == [(name.encode(), SECRET)]


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("Authorization", "Bearer abc", "Bearer [redacted]"), ("Authorization", "bAsIc abc=", "bAsIc [redacted]"),
        ("Authorization", "token abc", "token [redacted]"), ("Authorization", "abc", "[redacted]"),
        ("Authorization", "dGhlIGtleQ==", "[redacted]"), ("X-Api-Key", "dGhlIGtleQ=", "[redacted]"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/2/us/s3/aws4_request, SignedHeaders=host, Signature=fe5f",
         "[redacted]"),
        ("Authorization", "SharedKey account:sig==", "[redacted]"), ("Authorization", "Bearer", "[redacted]"),
        ("Cookie", "sid=abc; other=def", "sid=[redacted]"), ("Cookie", "dGhlIGtleQ==", "[redacted]"),
        ("Cookie", "dGhlIGtleQ=", "[redacted]"), ("Set-Cookie", "__Host-id=abc; Path=/", "__Host-id=[redacted]"),
        ("Set-Cookie", "a b=c", "[redacted]"), ("Cookie", "=abc", "[redacted]"), ("X-Auth", "key=abc", "[redacted]"),
    ],
)  # fmt: skip
def test_of_a_credential_the_scheme_is_kept_and_of_a_cookie_the_name(
    name: str, value: str, kept: str
) -> None:
    assert hidden([(name.encode(), value.encode())]) == [(name.encode(), kept.encode())]


def asked(*fields: str, line: str = "GET /t/api/x HTTP/1.1"):  # type: ignore[no-untyped-def]
    return request_head("\r\n".join((line, "Host: gate", *fields, "", "")).encode())


def test_nothing_that_the_gateway_adds_is_on_the_record() -> None:
    dial = Dial(
        "api.test",
        443,
        "app",
        "",
        "hunter2",
        headers={"X-Team": "own", "Cookie2": "own"},
        query={"k": "own&"},
    )
    head = asked("X-Team: theirs", "Authorization: theirs", "X_Team: theirs")
    line, listed = forwarded(head, b"/x?k=1&a=2&k=3", "api.test", dial, frozenset(), whole=False)
    assert line == b"GET /x?a=2&k=own%26 HTTP/1.1\r\n"
    assert listed == [
        (b"Host", b"api.test"), (b"X-Team", b"own"), (b"Cookie2", b"own"), (b"Authorization", b"Basic YXBwOmh1bnRlcjI="),
    ]  # fmt: skip
    kept = recorded(head, b"/x?k=1&a=2&k=3", listed, dial)
    assert b"own" not in kept
    assert b"YXBw" not in kept
    assert kept.startswith(b"GET /x?k=1&a=2&k=3 HTTP/1.1\r\nHost: api.test\r\nX-Team: [redacted]\r\n")


@pytest.mark.parametrize("name", ["api-key", "%61pi-key", "api%2Dkey", "api%2dke%79"])
def test_a_clients_own_parameter_gives_way_however_its_name_is_written(name: str) -> None:
    dial = Dial("api.test", 443, "", "", query={"api-key": "own"})
    path = f"/x?a=1&{name}=theirs&{name}".encode()
    line, _ = forwarded(asked(), path, "api.test", dial, frozenset(), whole=False)
    assert line == b"GET /x?a=1&api-key=own HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "HOST", "Authorization", "Cookie", "X-Api-Key", "Range"]
)
def test_a_connection_field_takes_nothing_away_that_has_to_stay(name: str) -> None:
    with pytest.raises(BadMessage) as told:
        forwarded(
            asked(f"Connection: close, {name}"), b"/", "a", Dial("a", 1, "", ""), frozenset(), whole=False
        )
    assert told.value.status == 400


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (["Connection: keep-alive, Upgrade", "Upgrade: WebSocket"], True), (["Upgrade: websocket"], False),
        (["Connection: Upgrade", "Upgrade: h2c"], False), (["Connection: Upgrade", "Upgrade: websocket, h2c"], False),
        (["Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"], False),
        (["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"], False),
        (["Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"], False),
    ],
)  # fmt: skip
def test_the_only_other_protocol_is_websocket(fields: list[str], wanted: bool) -> None:
    assert upgrade_wanted(asked(*fields)) == wanted
    assert not upgrade_wanted(asked(*fields, line="POST / HTTP/1.1"))
    assert not upgrade_wanted(asked(*fields, line="GET / HTTP/1.0"))
    _, listed = forwarded(asked(*fields), b"/", "a", Dial("a", 1, "", ""), frozenset(), whole=False)
    assert ((b"Upgrade", b"websocket") in listed) == wanted


HEADS = [
    b"GET /1 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"POST /1 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"GET /1 HTTP/1.0\r\nHost: a\r\nAccept-Encoding: br, x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"GET /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nRange: bytes=0-1\r\nCookie: a=b\r\n\r\n",
    b"GET /3 HTTP/1.1\r\nHost: a\r\nX-Api-Key: k\r\nConnection: close, x\r\nX: 1\r\n\r\n",
]
DIALS = [Dial("a", 80, "", ""), Dial("a", 80, "u", "", "p", headers={"X-Api-Key": "ours"})]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(HEADS),
            st.sampled_from(["a", "b"]),
            st.sampled_from(DIALS),
            st.sampled_from([frozenset[bytes](), frozenset((b"x-api-key",))]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=8,
    )
)
def test_what_went_before_changes_nothing_of_a_head(
    asked: list[tuple[bytes, str, Dial, frozenset[bytes], bool, bool]],
) -> None:
    forwarding, before = Forwarding(), None
    for raw, host, dial, drops, whole, continued in asked:
        head = request_head(raw, before)
        before = head.fields
        found = forwarding.onward(head, host, dial, drops, whole=whole, continued=continued)
        _, listed = forwarded(request_head(raw), b"/", host, dial, drops, whole=whole, continued=continued)

        assert found.listed == listed
        assert found.wire == b"".join(b"%b: %b\r\n" % one for one in listed) + b"\r\n"
        assert found.secretive == any(secretive(name) for name, _ in listed)
