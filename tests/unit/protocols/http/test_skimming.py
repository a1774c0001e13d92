"""What the index reads of an exchange at one look is what its entries say, and what is bundled has one shape."""

from collections.abc import Sequence
from typing import Any

import pytest

from bodycam.archive import gist
from bodycam.archive.gist import Exchange, Pieces
from bodycam.model.event import Flavor, Kind
from bodycam.model.transcript import Glancer
from bodycam.protocols.http.skimming import shape
from bodycam.protocols.http.transcript import HttpReader
from bodycam.session.record import encode

MOST = 2000
ASKED = b"GET /a/7 HTTP/1.1\r\nHost: api.test\r\n\r\n"
POSTED = b"POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Type: text/plain\r\n\r\nsent"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: x\r\n\r\n"
TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
HEAD, CHUNK, MESSAGE = int(Flavor.HEAD), int(Flavor.CHUNK), int(Flavor.MESSAGE)
Move = tuple[Kind, int, bytes]


def sent(data: bytes, flavor: int = HEAD) -> Move:
    return Kind.TO_TARGET, flavor, data


def came(data: bytes, flavor: int = HEAD) -> Move:
    return Kind.TO_CLIENT, flavor, data


def both(moves: Sequence[Move], path: str = "/a/7", verb: str = "GET") -> tuple[str | None, str]:
    """The output at one look, and as the entries say it."""
    facts = {"http.path": path, "http.query": "q=models"}
    data = Pieces([int(kind) for kind, _, _ in moves], [encode([f, 0, d]) for _, f, d in moves], 0)
    request: list[Any] = [verb, f"http://api.test{path}", [], facts, "statement", None, 0]
    finish = encode(["ok", 0, 1, 1, "200", None])
    reader = HttpReader()
    assert isinstance(reader, Glancer)
    seen = gist.glanced(reader, verb, facts, data, MOST)
    whole = Exchange(1, 0, encode(request), data, 9, finish)
    return seen, gist.read(reader, whole, MOST, MOST)[1]


@pytest.mark.parametrize(
    "moves",
    [
        [sent(ASKED), came(OK + b'{"note": "stra\xc3\x9fe"}')],
        [sent(POSTED), came(OK), came(b'{"a": 1', CHUNK), came(b"}", CHUNK)],
        [sent(POSTED), sent(b" and more", CHUNK), came(b"HTTP/1.1 100 Continue\r\n\r\n"), came(OK + b"[]")],
        [sent(ASKED), came(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + bytes(99))],
        [sent(ASKED), came(b"HTTP/1.1 200 OK\r\n\r\n" + b"\xff\xfe no text")],
        [
            sent(ASKED),
            came(
                b"HTTP/1.1 200 OK\r\ncontent-type:text/plain; charset=utf-16\r\n\r\n" + "hé".encode("utf-16")
            ),
        ],
        [sent(ASKED), came(OK + b"x" * 3 * MOST)],
        [came(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/problem+json\r\n\r\n{}")],
        [sent(POSTED), sent(b"iment", CHUNK), came(OK + b'{"a": "bella', HEAD), came(b'donna"}', CHUNK)],
        [sent(ASKED), came(TEXT + b"stra\xc3"), came(b"\x9fe, wide and lo", CHUNK), came(b"ng", CHUNK)],
        [sent(ASKED), came(TEXT + b"w" * 300), came(b"w" * 300, CHUNK), came(b"w", CHUNK)],
        [sent(ASKED), came(b"HTTP/1.1 200 OK\r\n\r\nno ki"), came(b"nd\xff", CHUNK), came(b"\xc3", CHUNK)],
        [sent(ASKED), came(b"HTTP/1.1 103 Early Hints\r\n\r\n"), came(TEXT), came(b"x" * 3 * MOST, CHUNK)],
        [came(b"of no he", CHUNK), came(b"ad", CHUNK), came(TEXT + b"x", HEAD), came(b"y", CHUNK)],
        [sent(ASKED)],
        [],
    ],
)
def test_one_look_says_what_the_entries_say(moves: list[Move]) -> None:
    seen, read = both(moves)
    assert seen == read
    assert bool(read) == bool(moves)


def test_a_word_is_found_wherever_a_body_was_cut() -> None:
    body = "from stra\u00dfe 7 to belladonna".encode()
    for split in range(1, len(body)):
        seen, read = both([sent(ASKED), came(TEXT + body[:split]), came(body[split:], CHUNK)])
        assert seen == read
        assert {"stra\u00dfe", "7", "belladonna"} <= set(read.split())


@pytest.mark.parametrize(
    ("moves", "path"),
    [
        ([sent(ASKED), came(OK + b"{}")], "/v1/models"),
        ([sent(ASKED), came(OK + b"{}")], "/v1/m%6fdels"),
        ([sent(ASKED[:-2] + b"MCP-Session-Id: 1\r\n\r\n"), came(OK)], "/a"),
        ([sent(ASKED[:-2] + b"Accept: application/json, text/event-stream\r\n\r\n"), came(OK)], "/a"),
        ([sent(ASKED), came(OK), came(b"\x81\x02hi", MESSAGE)], "/a"),
    ],
    ids=["a model's API", "an escaped path", "MCP by a field", "MCP by what is accepted", "WebSocket"],
)
def test_what_may_say_more_is_read_in_full(moves: list[Move], path: str) -> None:
    assert both(moves, path)[0] is None


@pytest.mark.parametrize(
    ("text", "shaped"),
    [
        ("http://api.test/item/7.json", "http://api.test/item/*.json"),
        (
            "http://10.0.0.1:8080/v1/users/ab12-cd?page=2&q=red+shoes",
            "http://10.0.0.1:8080/*/users/*?page=*&q=*",
        ),
        ("https://api.test/u/6fa459ea-ee8a-3ca4-894e-db77e160355e/", "https://api.test/u/*/"),
        ("https://api.test/?q=", None),
        ("https://api.test/about", None),
        ("https://api.test7", None),
        ("api.test:443", None),
    ],
)
def test_numbers_and_values_are_left_out_of_a_shape(text: str, shaped: str | None) -> None:
    assert shape(text) == shaped
