"""Credentials in the queries of URLs: never on the record, wherever the URL stands."""

import time

import pytest

from bodycam.policy.detectors import queries
from bodycam.policy.redaction import Redactor

REDACTOR = Redactor()
LONG = "AIzaNotAKeyAtAll0123456789"

CREDENTIALS = [
    "api_key", "apikey", "API-Key", "api%5Fkey", "access_token", "accessToken", "token", "sig", "Signature", "X-Amz-Signature",
    "X-Amz-Security-Token", "X-Goog-Signature", "client_secret", "password", "auth", "authkey", "refresh_token", "id_token",
    "code", "key", "jwt", "private_key", "subscription-key", "sessionid", "user[password]", "assertion", "AccessKey",
]  # fmt: skip
ORDINARY = ["page", "q", "X-Amz-Credential", "X-Amz-Date", "sort", "keyword", "monkey", "codec", "state", "design", "tokens",
            "max_tokens", "author"]  # fmt: skip


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize(
    "text",
    [
        "{}={}", "a=1&{}={}", "https://a.test/x?{}={}", "https://a.test/x?a=1&{}={}&b=2", "GET /x?{}={} HTTP/1.1\r\nHost: a",
        "HTTP/1.1 302 Found\r\nLocation: https://a.test/?b=2&{}={}\r\n\r\n", "Referer: http://a.test/#{}={}\r\n",
        "select http_get('https://a.test/?{}={}')", '<a href="https://a.test/?b=1&amp;{}={}">', '{{"next": "https://a.test/?{}={}"}}',
    ],
)  # fmt: skip
def test_a_credential_in_a_query_is_redacted(name: str, text: str) -> None:
    for put in (REDACTOR.redact(text.format(name, LONG))[0],
                REDACTOR.redact_bytes(text.format(name, LONG).encode())[0].decode()):  # fmt: skip
        assert LONG not in put
        assert put == text.format(name, "[redacted]")


@pytest.mark.parametrize("name", ORDINARY)
def test_what_is_none_can_be_read(name: str) -> None:
    text = f"GET /x?{name}={LONG}&page=2 HTTP/1.1"
    assert REDACTOR.redact(text) == (text, 0)


@pytest.mark.parametrize(
    "text",
    ["GET /x?key=name HTTP/1.1", "https://a.test/?code=404", "where a->>'key'=b", "token", "?sig=", "x?a"],
)
def test_a_choice_is_no_key(text: str) -> None:
    assert REDACTOR.redact(text) == (text, 0)


def test_a_value_ends_where_the_url_does() -> None:
    text = 'see <https://a.test/?sig=abc>, "https://a.test/?sig=def", https://a.test/?sig=ghi#top and drop table t'
    put, count = REDACTOR.redact(text)
    assert count == 3
    assert put == ('see <https://a.test/?sig=[redacted]>, "https://a.test/?sig=[redacted]", '
                   "https://a.test/?sig=[redacted]#top and drop table t")  # fmt: skip


def test_of_a_text_with_very_many_no_less_is_taken_out() -> None:
    text = "?" + "&".join(["sig=abc"] * (queries.MOST + 2)) + " and the rest"
    put, count = REDACTOR.redact(text)
    assert count == queries.MOST + 1
    assert put.endswith("&sig=[redacted][redacted from here on]")
    assert "abc" not in put


def test_the_time_grows_with_the_text_and_no_faster() -> None:
    def taken(size: int) -> float:
        text = b"&" * size + b"?" + b"a" * size + b"&sig" * size
        begun = time.perf_counter()
        queries.find(text)
        return time.perf_counter() - begun

    taken(1000)
    small = min(taken(5_000) for _ in range(5))
    # the square would be 256 times as much
    assert min(taken(80_000) for _ in range(3)) < 100 * small
