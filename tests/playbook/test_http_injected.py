"""A target that prints the gateway's own credential: neither the client nor the record gets to see it."""

import gzip
import json
import zlib
from dataclasses import replace

import pytest

from bodycam.model.event import Kind
from tests.playbook.http_play import DIAL, content, data, in_pieces, notes, opened, request, response

KEY = "sk-0815-not-for-agents"
HIDDEN = "*" * len(KEY)
INJECTING = replace(DIAL, headers={"X-Team": KEY}, query={"k": KEY}, user="bot", password="pass-word-1")
BASIC = "Ym90OnBhc3Mtd29yZC0x"
ECHO = json.dumps({"headers": {"Authorization": f"Basic {BASIC}", "X-Team": KEY}, "url": f"/get?k={KEY}"})
SHOWN = ECHO.replace(KEY, HIDDEN).replace(BASIC, "*" * len(BASIC))


def chunked(content: bytes, size: int) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in in_pieces(content, size)) + b"0\r\n"


def dechunked(body: bytes) -> bytes:
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        out, body = out + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return out


WIRES = {
    "by its length": response("200 OK", "Content-Type: application/json", body=ECHO.encode()),
    "of no type": response("200 OK", body=ECHO.encode()),
    "binary": response("200 OK", "Content-Type: image/png", body=b"\x89PNG\x00" + ECHO.encode() + b"\xff"),
    "up to the end": response("200 OK", "Connection: close", "Content-Type: text/plain", body=ECHO.encode()),
    "in chunks": response("200 OK", "Transfer-Encoding: chunked", body=chunked(ECHO.encode(), 5) + b"\r\n"),
    "in gzip": response("200 OK", "Content-Encoding: gzip", body=gzip.compress(ECHO.encode())),
    "deflated in chunks": response(
        "200 OK", "Transfer-Encoding: chunked", "Content-Encoding: deflate",
        body=chunked(zlib.compress(ECHO.encode()), 9) + b"\r\n",
    ),
    "events": response(
        "200 OK", "Transfer-Encoding: chunked", "Content-Type: text/event-stream",
        body=chunked(b"data: " + ECHO.encode() + b"\n\n", 11) + b"\r\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("way", WIRES)
def test_an_echo_is_covered_for_client_and_record(way: str, size: int) -> None:
    play = opened(request("GET /t/web/get?a=1", "Range: bytes=5-9"), INJECTING)
    sent = play.target_sees()
    assert sent.startswith(b"GET /get?a=1&k=%b HTTP/1.1\r\n" % KEY.encode())
    assert b"Basic " + BASIC.encode() in sent
    # a piece that the client chooses could hold a part of it
    assert b"Range" not in sent
    for piece in in_pieces(WIRES[way], size):
        play.target(piece)
    if way == "up to the end":
        play.machine.target_gone()
    got, events = play.client_gets(), play.recorded()
    head, _, body = got.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" in head:
        body = dechunked(body)
    assert SHOWN.encode() in body
    if way != "binary":
        assert SHOWN.encode() in content(events, Kind.TO_CLIENT)
    for secret in (KEY, BASIC, "pass-word-1"):
        assert secret.encode() not in got
        assert secret not in str(events)
    if way in ("by its length", "of no type", "binary"):
        assert b"Content-Length: %d" % len(body) in head
    assert notes(events, "masked") == [{"note": "masked", "detector": "gateway.credential", "count": 1}]


def test_heads_and_trailers_are_covered_too() -> None:
    play = opened(request("GET /t/web/moved"), INJECTING)
    play.target_sees()
    play.target(
        response(f"103 {KEY}", f"Link: </a?k={KEY}>", "Connection: close"),
        response(
            f"302 {BASIC}", f"Location: https://api.example/login?k={KEY}&next=1", "Transfer-Encoding: chunked",
            body=b"3\r\nabc\r\n0\r\nX-Echo: " + KEY.encode() + b"\r\n\r\n",
        ),
    )  # fmt: skip
    got, events = play.client_gets(), play.recorded()
    assert f"Location: https://api.example/login?k={HIDDEN}&next=1".encode() in got
    assert f"X-Echo: {HIDDEN}".encode() in got
    assert KEY.encode() not in got
    assert BASIC.encode() not in got
    assert KEY not in str(events)
    assert BASIC not in str(events)


def test_a_body_that_cannot_be_looked_into_is_not_given() -> None:
    play = opened(request("GET /t/web/x"), INJECTING)
    play.target(response("200 OK", "Content-Encoding: rot13", body=b"abc"))
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")


def test_without_credentials_nothing_is_touched() -> None:
    play = opened(request("GET /t/web/x", "Range: bytes=0-9"), DIAL)
    assert b"Range: bytes=0-9" in play.target_sees()
    wire = WIRES["deflated in chunks"]
    play.target(wire)
    assert play.client_gets() == wire
    assert data(play.recorded(), Kind.TO_CLIENT).endswith(ECHO.encode())
