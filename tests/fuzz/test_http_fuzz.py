"""Any bytes, from either side: messages or a bad one, and the same however they are cut."""

import itertools
from collections.abc import Callable
from typing import Any

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.model.event import Event, Kind
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Verdict
from bodycam.policy.redaction import Redactor
from bodycam.protocols.http.authority import authority
from bodycam.protocols.http.destination import Place, destination, tunnelled
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.forwarding import hidden
from bodycam.protocols.http.framing import Body, Chunked, request_body, response_body
from bodycam.protocols.http.head import head_end, request_begun, request_head, response_begun, response_head
from bodycam.protocols.http.intake import Intake
from bodycam.protocols.http.transcript import TRANSCRIPT
from tests.playbook.http_stage import OK, PROVED, HttpPlay
from tests.playbook.play import Judging
from tests.playbook.test_http_masks import Masking

bounded = settings(max_examples=200, deadline=None)

LINES = [
    b"GET http://api.test/a HTTP/1.1\r\n", b"POST http://api.test/ask HTTP/1.1\r\n", b"HEAD http://api.test/a HTTP/1.0\r\n",
    b"GET /t/api/x HTTP/1.1\r\n", b"CONNECT api.test:443 HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n", b"PUT http://other.test/no HTTP/1.1\r\n",
    b"POST http://api.test/mcp HTTP/1.1\r\n", b"get / HTTP/1.1\r\n", b"GET / HTTP/2.0\r\n", b"GET /\r\n",
]  # fmt: skip
STATUS_LINES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n", b"HTTP/1.1 101 X\r\n", b"HTTP/1.1 204 X\r\n",
    b"HTTP/1.1 304 X\r\n", b"HTTP/1.1 403\r\n", b"HTTP/2 200\r\n", b"<html>",
]  # fmt: skip
FIELDS = [
    b"Host: api.test\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive, Upgrade\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n",
    b"Content-Type: application/json\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: odd\r\n", b"Cookie: a=b\r\n",
    b"Authorization: Bearer x\r\n", b"A: b\r\n c\r\n", b"A: b\n", b"A : b\r\n", b"\0: b\r\n", b"Content-Length: 5, 5\r\n",
    b"Accept: text/event-stream, application/json\r\n", PROVED,
]  # fmt: skip
BODIES = [
    b"\r\n", b"\r\n", b"\r\n", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"5;a=\"", b"-1\r\n", b"\r", b"\n",
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}}', b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
]  # fmt: skip


def stream(lines: list[bytes], fields: list[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that often look like messages."""
    message = st.tuples(
        st.sampled_from(lines), st.lists(st.sampled_from(fields), max_size=5).map(b"".join), st.just(b"\r\n"),
        st.lists(st.sampled_from(BODIES), max_size=3).map(b"".join),
    ).map(b"".join)  # fmt: skip
    return st.lists(
        message | message | st.binary(max_size=10) | st.sampled_from(fields + BODIES), max_size=4
    ).map(b"".join)


# no target gets to know the gateway's credential
asked, answered = stream(LINES, FIELDS), stream(STATUS_LINES, FIELDS[:-1])
# more often than not the client is somebody, and asks for one place
known = st.lists(
    st.tuples(
        st.sampled_from(LINES[:5]), st.just(b"Host: api.test\r\n" + PROVED),
        st.lists(st.sampled_from(FIELDS[1:13]), max_size=3).map(b"".join), st.just(b"\r\n"),
        st.lists(st.sampled_from(BODIES[3:]), max_size=2).map(b"".join),
    ).map(b"".join), min_size=1, max_size=3,
).map(b"".join)  # fmt: skip


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


# -- parsers ---------------------------------------------------------------------------------------------


@bounded
@given(st.binary(max_size=60) | asked | answered)
def test_any_head_is_one_or_a_bad_one(data: bytes) -> None:
    for read in (
        lambda: request_head(data), lambda: response_head(data), lambda: head_end(data), lambda: request_begun(data, 0),
        lambda: response_begun(data, 0), lambda: authority(data, 80), lambda: hidden([(data[:9], data)]),
        lambda: request_body(request_head(data)), lambda: destination(request_head(data)),
        lambda: tunnelled(request_head(data), Place(authority(b"api.test", 80), scheme="http")),
        lambda: response_body(response_head(data), "GET"),
    ):  # fmt: skip
        error = refused(read)
        assert error is None or (400 <= error.status < 600 and error.reason)


def refused(read: Callable[[], object]) -> BadMessage | None:
    """What is wrong, if a reading says so."""
    try:
        read()
    except BadMessage as error:
        return error
    return None


def content_of(body: Body, pieces: list[bytes]) -> tuple[bytes, int, bool, bool]:
    """The content of a body, how much of the bytes it took, and whether it is whole, or bad."""
    content, taken = b"", 0
    for piece in pieces:
        if body.done:
            break
        try:
            got, end = body.feed(piece, 0)
        except BadMessage:
            return content, taken, False, True
        assert 0 <= end <= len(piece)
        content, taken = content + got, taken + end
    return content, taken, body.done, False


@bounded
@given(
    st.lists(st.sampled_from(BODIES) | st.binary(max_size=8), max_size=6).map(b"".join),
    st.lists(st.integers(0, 999), max_size=5),
)
def test_any_chunks_are_the_same_content_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = content_of(Chunked(), [data])
    other = content_of(Chunked(), cut_up(data, cuts))
    single = content_of(Chunked(), [data[at : at + 1] for at in range(len(data))])

    assert whole[2:] == other[2:] == single[2:]
    if not whole[3]:
        assert whole == other == single


# -- the machine -----------------------------------------------------------------------------------------


def judge(operation: Operation) -> Verdict:
    if "/no" in operation.text or operation.facts.get("mcp.tool"):
        return Verdict(Decision.DENY, "never", "p1", "not that")
    return Verdict(Decision.ALLOW, "access", "p1")


def performed(pieces: list[bytes], answers: list[bytes]) -> tuple[bytes, bytes, list[Any], bool]:
    """What the target saw, what the client got, what was recorded, and whether it has ended."""
    play = HttpPlay(policy=Judging(judge), redaction=Redactor())
    seen = got = b""
    left = list(answers)
    for piece in pieces:
        play.client(piece)
        play.admit()
        seen, got = seen + play.target_sees(), got + play.client_gets()
    for answer in left:
        play.target(answer)
        play.admit()
        seen, got = seen + play.target_sees(), got + play.client_gets()
    if not play.closed:
        play.machine.client_gone()
    play.check()
    recorded: list[Any] = []
    for kind, exchange, body in play.journal.entries:
        if kind in (Kind.TO_CLIENT, Kind.TO_TARGET):
            if recorded and recorded[-1][:2] == [kind, exchange]:
                recorded[-1][2] += body[2]
            elif body[2]:
                recorded.append([kind, exchange, body[2]])
        elif kind is Kind.REQUEST:
            recorded.append([kind, exchange, body[:3]])
        elif kind is Kind.FINISH:
            recorded.append([kind, exchange, body[0], body[4]])
        elif kind is Kind.CLOSED:
            recorded.append([kind, exchange, body["outcome"]])
    reader = TRANSCRIPT.reader()
    for kind, exchange, body in play.journal.entries:
        reader.feed(Event(kind, 0, exchange, body))
    return seen, got, recorded, play.closed


@bounded
@given(asked | known, st.lists(st.just(OK) | answered, max_size=3))
def test_any_bytes_from_both_sides_break_no_law(data: bytes, answers: list[bytes]) -> None:
    seen, _, recorded, _ = performed([data], answers)
    sent = sum(one[0] is Kind.TO_TARGET and b" HTTP/1." in one[2] for one in recorded)
    assert sent <= sum(one[0] is Kind.REQUEST for one in recorded)
    assert bool(seen) <= bool(sent)


@bounded
@given(
    # what comes behind a CONNECT counts by when it comes
    known.filter(lambda data: b"CONNECT" not in data),
    st.lists(st.integers(0, 9999), max_size=6),
    st.lists(st.just(OK), max_size=3),
)
def test_a_client_is_understood_the_same_however_its_bytes_are_cut(
    data: bytes, cuts: list[int], answers: list[bytes]
) -> None:
    whole = performed([data], answers)
    single = performed([data[at : at + 1] for at in range(len(data))], answers)
    other = performed(cut_up(data, cuts), answers)

    for one in (other, single):
        assert [event for event in one[2] if event[0] is Kind.REQUEST] == [
            event for event in whole[2] if event[0] is Kind.REQUEST
        ]
        assert one[3] == whole[3]
        if not whole[3]:
            assert one[1:3] == whole[1:3]
            assert len(one[0]) >= len(whole[0]) if b"chunked" in data else one[0] == whole[0]


@bounded
@given(answered, st.lists(st.integers(0, 9999), max_size=6), st.booleans())
def test_a_target_is_understood_the_same_however_its_bytes_are_cut(
    data: bytes, cuts: list[int], head: bool
) -> None:
    method = b"HEAD" if head else b"GET"
    sent = [method + b" http://api.test/a HTTP/1.1\r\nHost: api.test\r\n" + PROVED + b"\r\n"]
    _, got, recorded, closed = performed(sent, [data])
    for pieces in (cut_up(data, cuts), [data[at : at + 1] for at in range(len(data))]):
        _, other, also, shut = performed(sent, pieces)
        assert shut == closed
        ends = [one[2] for one in recorded if one[0] is Kind.FINISH]
        assert [one[2] for one in also if one[0] is Kind.FINISH] == ends
        if ends == ["ok"]:
            assert (other, also) == (got, recorded)
        # else more of it may have gone on before what was wrong with it came


@bounded
@given(st.binary(max_size=300) | asked)
def test_any_bytes_ahead_are_taken_in_bounded_steps(data: bytes) -> None:
    intake = Intake()
    intake.add(data)
    try:
        while (head := intake.head()) is not None:
            assert head.method
    except BadMessage:
        return
    assert data.endswith(intake.ahead)


KEYED = [b"hunter2", b"5\r\nhunte\r\n2\r\nr2\r\n", b"11\r\na hunter2 hunter2\r\n", *BODIES[:8]]
shown = st.lists(
    st.tuples(
        st.sampled_from(STATUS_LINES[:2]), st.lists(st.sampled_from([*FIELDS[1:5], b"Content-Length: 7\r\n"]), max_size=2).map(b"".join),
        st.just(b"\r\n"), st.lists(st.sampled_from(KEYED), max_size=4).map(b"".join),
    ).map(b"".join), min_size=1, max_size=2,
).map(b"".join)  # fmt: skip


@bounded
@given(shown, st.lists(st.integers(0, 999), max_size=6), st.booleans(), st.booleans())
def test_what_is_masked_is_shown_in_no_answer_however_it_comes(
    data: bytes, cuts: list[int], newer: bool, waits: bool
) -> None:
    play = HttpPlay(masking=Masking())
    play.sends(b"GET http://api.test/a HTTP/1.%d\r\nHost: api.test\r\n" % newer + PROVED + b"\r\n")
    for piece in cut_up(data, cuts):
        play.target(piece)
        if waits:
            play.machine.alarm()
    play.machine.target_gone()
    got = play.client_gets()
    play.check()
    # one that is waited for goes on as far as it has come: the end of a piece is no place to know more
    if not waits:
        assert b"hunter2" not in got
        assert b"hunter2" not in cbor2.dumps([body for _, _, body in play.journal.entries])
    if b"chunked" in got.partition(b"\r\n\r\n")[0]:
        assert newer
