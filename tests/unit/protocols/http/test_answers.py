"""What the gateway itself answers with, and how a recorded exchange reads."""

import json
import zlib
from typing import Any

import pytest

from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.transcript import Asked, Done, Message, Noted, Output
from bodycam.model.verdict import Decision, Verdict
from bodycam.protocols.http.answers import STATUSES, Problem, answer, denied, refusal, unproved
from bodycam.protocols.http.content import WHOLE_MOST, Content, Unshowable, decoded
from bodycam.protocols.http.framing import response_body
from bodycam.protocols.http.head import Fields, response_head
from bodycam.protocols.http.transcript import TRANSCRIPT
from bodycam.session.grant import RefusalCode


def read(said: bytes) -> tuple[int, dict[bytes, bytes], Any]:
    """Status, fields and JSON of an answer, which has to be right to the letter and of the length that it says."""
    end = said.index(b"\r\n\r\n") + 4
    head = response_head(said[:end])
    content, taken = response_body(head, "GET").feed(said, end)
    assert taken == len(said)
    return head.status, {name.lower(): value for name, value in head.fields.listed}, json.loads(content)


@pytest.mark.parametrize(
    "status", [*sorted(set(STATUSES.values())), 400, 401, 408, 413, 415, 421, 431, 499, 501, 502, 505]
)
def test_an_answer_is_a_problem_in_json(status: int) -> None:
    got, fields, said = read(answer(Problem(status, "what\r\nX: y", "do \u00e9 \ud800", more={"rule": "r"})))
    assert got == status == said["status"]
    assert fields[b"content-type"] == b"application/problem+json"
    assert (said["detail"], said["rule"]) == ("what\r\nX: y", "r")
    assert (b"proxy-authenticate" in fields) == (status == 407)
    assert (b"www-authenticate" in fields) == (status == 401)
    assert (b"retry-after" in fields) == (status in (429, 503))
    assert b"connection" not in fields
    assert b"x" not in fields


def test_the_end_of_the_connection_is_said() -> None:
    assert read(answer(Problem(400, "m", close=True)))[1][b"connection"] == b"close"
    assert read(refusal("full", "later"))[:2][0] == 503
    assert answer(Problem(403, "m"), body=False).endswith(b"\r\n\r\n")


def test_every_refusal_has_a_status() -> None:
    assert set(STATUSES) == set(RefusalCode)
    assert unproved(proxied=True).status == 407
    assert unproved(proxied=False).status == 401
    assert denied(Verdict(Decision.DENY, "r", "p1", "no", "hint")).message == "denied by rule r: no"


# -- content ---------------------------------------------------------------------------------------------


def content(*codings: bytes) -> Content:
    return Content(Fields([(b"Content-Encoding", one) for one in codings]))


@pytest.mark.parametrize(
    ("codings", "coded", "unread"),
    [
        ((), False, False), ((b"identity",), False, False), ((b"",), False, False), ((b"GZIP",), True, False),
        ((b"gzip, br",), True, False), ((b"gzip", b"br"), True, False), ((b"odd",), True, True),
        ((b"gzip,gzip,gzip,gzip",), True, True), ((b"aws-chunked",), True, True),
    ],
)  # fmt: skip
def test_codings_are_known_or_not(codings: tuple[bytes, ...], coded: bool, unread: bool) -> None:
    found = content(*codings)
    assert (found.coded, bool(found.unread)) == (coded, unread)
    if unread:
        assert list(found.feed(b"abc")) == []


def test_a_coding_that_breaks_gives_nothing_more() -> None:
    found = content(b"deflate")
    whole = zlib.compress(b"abc" * 100)
    assert b"".join(found.feed(whole[:-4])) == b"abc" * 100
    found.end()
    assert found.unread.startswith("its coding is broken: ")
    broken = content(b"deflate")
    assert b"".join(broken.feed(b"\xff" * 10)) == b""
    assert broken.unread
    assert list(broken.feed(whole)) == []


def test_a_body_is_decoded_to_a_bound() -> None:
    assert decoded(content(b"deflate"), zlib.compress(b"x" * 1000)) == b"x" * 1000
    with pytest.raises(Unshowable):
        decoded(content(), bytes(WHOLE_MOST + 1))
    assert len(decoded(content(), bytes(WHOLE_MOST))) == WHOLE_MOST


# -- the transcript --------------------------------------------------------------------------------------


def test_an_exchange_reads_as_what_was_asked_and_answered() -> None:
    reader = TRANSCRIPT.reader()
    events = [
        (
            Kind.REQUEST,
            ["POST", "http://a/", [], {"http.path": "/", "http.query": ""}, 1, ["deny", "r", "p", "no"], 2],
        ),
        (Kind.TO_TARGET, [Flavor.HEAD, 0, b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nab\xff"]),
        (Kind.TO_TARGET, [Flavor.CHUNK, 0, b"cd"]),
        (Kind.TO_CLIENT, [Flavor.HEAD, 0, b"HTTP/1.1 100 Continue\r\n\r\n"]),
        (Kind.TO_CLIENT, [Flavor.HEAD, 0, b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n\x89PNG"]),
        (Kind.NOTE, {"note": "truncated", "what": "x"}),
        (Kind.FINISH, ["error", 0, 10, 20, "502", {"code": "502", "message": "gone", "hint": "h"}]),
    ]
    said = [entry.body for kind, body in events for entry in reader.feed(Event(kind, 0, 1, body))]
    assert said == [
        Asked("POST", "http://a/", (), False, "deny by rule r: no", 2),
        Output("request head", "POST / HTTP/1.1\nContent-Type: text/plain"), Output("request body", "ab\\xffcd"),
        Output("response head", "HTTP/1.1 100 Continue"),
        Output("response head", "HTTP/1.1 200 OK\nContent-Type: image/png"), Output("response body", "[4 bytes]"),
        Noted("truncated", "x"), Message("error", "502", "gone", hint="h"), Done("error", "502", 0, 30),
    ]  # fmt: skip


@pytest.mark.parametrize("body", [None, [], {}, [1, 2], ["a", 0, "text"], [Flavor.HEAD, 0, None]])
@pytest.mark.parametrize(
    "kind", [Kind.REQUEST, Kind.TO_TARGET, Kind.TO_CLIENT, Kind.FINISH, Kind.NOTE, Kind.CLOSED]
)
def test_what_makes_no_sense_is_told_and_the_rest_is_read(kind: Kind, body: Any) -> None:
    reader = TRANSCRIPT.reader()
    for entry in reader.feed(Event(kind, 0, 1, body)):
        assert isinstance(entry.body, Noted)
    assert reader.feed(Event(Kind.NOTE, 0, 0, {"note": "later"}))[0].body == Noted("later", "")
