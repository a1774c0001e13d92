"""Heads of messages, and the status that each bad form gives."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import (
    FIELDS_MOST,
    HEAD_MOST,
    Fields,
    fields,
    head_end,
    request_begun,
    request_head,
    response_begun,
    response_head,
    written,
)
from bodycam.protocols.http.intake import AHEAD_MOST, Intake

LINE = b"GET / HTTP/1.1\r\n"
END = b"\r\n"


def test_a_head_is_its_line_and_its_fields() -> None:
    head = request_head(b"M-SEARCH /\xc3\xa9?a HTTP/1.0\r\nHost:x\r\nA:  b \t\r\na: \xff\r\nE:\r\n\r\n")

    assert (head.method, head.target, head.minor) == ("M-SEARCH", b"/\xc3\xa9?a", 0)
    assert head.fields.listed == [(b"Host", b"x"), (b"A", b"b"), (b"a", b"\xff"), (b"E", b"")]
    assert head.fields.every(b"a") == [b"b", b"\xff"]
    assert head.fields.get(b"e") == b""
    assert b"e" in head.fields
    assert b"f" not in head.fields
    assert written(head.fields.listed) == b"Host: x\r\nA: b\r\na: \xff\r\nE: \r\n"
    assert "xff" not in repr(head.fields)


def test_a_field_that_stands_twice_is_never_one() -> None:
    with pytest.raises(BadMessage, match="the field host stands there 2 times"):
        Fields([(b"Host", b"a"), (b"HOST", b"a")]).get(b"host")


# RFC 9112, section 5, to the letter
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*\r\n")


@given(
    st.lists(
        st.sampled_from(
            [b"Host", b"a", b"!#$%&'*+.^_`|~-", b":", b" ", b"\t", b"\r\n", b"\r\n", b"\n", b"\r", b"\0", b"\x7f", b"\xff",
             b"x y", b"(", b"1", b": b\r\n"]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_fields_are_what_the_grammar_says_and_all_else_is_refused(pieces: list[bytes]) -> None:
    raw = b"".join(pieces).replace(b"\r\n\r\n", b"\r\n").removeprefix(b"\r\n")
    raw = raw if raw.endswith(b"\r\n") or not raw else raw + b"\r\n"
    expected, at = [], 0
    while (match := _FIELD.match(raw, at)) is not None:
        expected.append((match[1], match[2]))
        at = match.end()
    if at == len(raw):
        assert fields(LINE + raw + END, len(LINE)).listed == expected
    else:
        with pytest.raises(BadMessage):
            fields(LINE + raw + END, len(LINE))


def test_the_same_fields_as_before_are_the_same_object_and_others_are_not() -> None:
    first = request_head(b"GET /1 HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n")
    again = request_head(b"POST /22 HTTP/1.0\r\nHost: a\r\nX: 1\r\n\r\n", first.fields)
    other = request_head(b"GET /1 HTTP/1.1\r\nHost: a\r\nX: 2\r\n\r\n", first.fields)
    longer = request_head(b"GET /1 HTTP/1.1\r\nA: b\r\nHost: a\r\nX: 1\r\n\r\n", first.fields)

    assert again.fields is first.fields
    assert (again.method, again.target, again.minor) == ("POST", b"/22", 0)
    assert other.fields.get(b"x") == b"2"
    assert longer.fields.listed[0] == (b"A", b"b")


@pytest.mark.parametrize(
    ("minor", "connection", "persistent"),
    [
        (1, [], True), (0, [], False), (1, [b"close"], False), (1, [b"Close , x"], False), (0, [b"Keep-Alive"], True),
        (0, [b"keep-alive, close"], False), (1, [b"x"], True), (1, [b"x", b"CLOSE"], False),
    ],
)  # fmt: skip
def test_who_goes_on_with_the_connection(minor: int, connection: list[bytes], persistent: bool) -> None:
    listed = b"".join(b"Connection: %b\r\n" % one for one in connection)
    assert request_head(b"GET / HTTP/1.%d\r\n%b\r\n" % (minor, listed)).persistent == persistent
    assert response_head(b"HTTP/1.%d 200 OK\r\n%b\r\n" % (minor, listed)).persistent == persistent


BAD_LINES = {
    b"GET / HTTP/1.1\n": 400,
    b"GET /\r\n": 400,  # HTTP/0.9
    b"GET / HTTP/0.9\r\n": 505,
    b"GET / HTTP/1.2\r\n": 505,
    b"GET / HTTP/2.0\r\n": 505,
    b"PRI * HTTP/2.0\r\n": 505,
    b"GET / HTTP/1.10\r\n": 400,
    b"GET / HTTP/1.\r\n": 400,
    b"GET / HTTP/1,1\r\n": 400,
    b"GET / http/1.1\r\n": 400,
    b"GET / HTTP/ 1.1\r\n": 400,
    b"GET / HTTP/1.1 \r\n": 400,
    b"GET / HTTP/1.1\r\r\n": 400,
    b"get / HTTP/1.1\r\n": 400,
    b"Get / HTTP/1.1\r\n": 400,
    b" GET / HTTP/1.1\r\n": 400,
    b"GET  / HTTP/1.1\r\n": 400,
    b"GET\t/ HTTP/1.1\r\n": 400,
    b"GET /  HTTP/1.1\r\n": 400,
    b"GET /a b HTTP/1.1\r\n": 400,
    b"GET /\0 HTTP/1.1\r\n": 400,
    b"GET /\x7f HTTP/1.1\r\n": 400,
    b"GET /\x0b HTTP/1.1\r\n": 400,
    b"G\xc9T / HTTP/1.1\r\n": 400,
    b"GET: / HTTP/1.1\r\n": 400,
    b"G(T / HTTP/1.1\r\n": 400,
    b"/ HTTP/1.1\r\n": 400,
    b"GET HTTP/1.1\r\n": 400,
    b"X" * 41 + b" / HTTP/1.1\r\n": 400,
    b"GET /" + b"a" * 32 * 1024 + b" HTTP/1.1\r\n": 414,
    b"\x16\x03\x01\x02\0\r\n": 400,
    b"\0\r\n": 400,
}

BAD_FIELDS = [
    b"A: b\n", b"A: b\r\n c\r\n", b"A: b\r\n\tc\r\n", b" A: b\r\n", b"A : b\r\n", b"A\t: b\r\n", b"A b: c\r\n", b"A\r\n",
    b": b\r\n", b"A: b\rc\r\n", b"A: b\r\r\n", b"A: \0\r\n", b"A: b\x01\r\n", b"A: \x7f\r\n", b"A: b\x0b\r\n",
    b"A: b\x0c\r\n", b"A\0: b\r\n", b"A\x0b: b\r\n", b"A\xe9: b\r\n", b"A(: b\r\n", b"\"A\": b\r\n", b"A/B: c\r\n",
    b"Content_Length: 5\r\n", b"content_length: 5\r\n", b"Transfer_Encoding: chunked\r\n",
    b"Transfer-Encoding\0: chunked\r\n", b"Transfer-Encoding:\x0bchunked\r\n", b"\rContent-Length: 5\r\n",
    b"A: b\n\r\n", b"A: b\n\nGET / HTTP/1.1\r\n",
]  # fmt: skip


@pytest.mark.parametrize(("line", "status"), BAD_LINES.items())
def test_a_request_line_that_is_none(line: bytes, status: int) -> None:
    for whole in (line + END, line + b"Host: x\r\n\r\n"):
        with pytest.raises(BadMessage) as told:
            request_head(whole)
        assert told.value.status == status
    # and nobody waits for the rest of it
    with pytest.raises(BadMessage):
        request_begun(line, 0)


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_a_field_that_is_none(field: bytes) -> None:
    with pytest.raises(BadMessage) as told:
        request_head(LINE + b"Host: x\r\n" + field + END)
    assert told.value.status == 400
    with pytest.raises(BadMessage) as told:
        response_head(b"HTTP/1.1 200 OK\r\n" + field + END)
    assert told.value.status == 502


@pytest.mark.parametrize(
    "begun", [b"", b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r", LINE, LINE + b"A", LINE + b"A: b\r"]
)
def test_a_head_that_has_only_begun_is_waited_for(begun: bytes) -> None:
    intake = Intake()
    intake.add(begun)
    assert intake.head() is None
    assert intake.begun


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\nHost", b"GET /\r\n", LINE + b"A: b\nB", LINE + b"A: \rb"]
)
def test_a_head_that_will_never_be_one_is_refused_at_once(begun: bytes) -> None:
    intake = Intake()
    intake.add(begun)
    with pytest.raises(BadMessage):
        intake.head()


@pytest.mark.parametrize("begun", [b"", b"HTT", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nA: b\r"])
def test_a_response_that_has_only_begun_is_waited_for(begun: bytes) -> None:
    response_begun(begun, 0)


@pytest.mark.parametrize(
    "begun", [b"<", b"\r\n", b"HTTP/2", b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200 OK\r\nA: \rb"]
)
def test_a_response_that_will_never_be_one_is_refused_at_once(begun: bytes) -> None:
    with pytest.raises(BadMessage) as told:
        response_begun(begun, 0)
    assert told.value.status == 502


# -- bounds ----------------------------------------------------------------------------------------------


def test_a_head_is_as_long_as_allowed_and_no_byte_longer() -> None:
    frame = len(LINE + b"A: \r\n\r\n")
    whole = LINE + b"A: " + b"x" * (HEAD_MOST - frame) + b"\r\n\r\n"
    assert head_end(whole) == HEAD_MOST == len(whole)
    for longer in (whole.replace(b"x\r", b"xx\r"), whole[:-1] + b"\rA"):
        with pytest.raises(BadMessage) as told:
            head_end(longer)
        assert told.value.status == 431


def test_a_megabyte_of_head_is_refused_while_it_comes() -> None:
    intake = Intake()
    intake.add(LINE + b"A: ")
    taken = 0
    with pytest.raises(BadMessage) as told:
        while taken < 1 << 20:
            intake.add(b"x" * 1000)
            taken += 1000
            intake.head()
    assert told.value.status == 431
    assert taken <= HEAD_MOST + 1000


@pytest.mark.parametrize(("count", "status"), [(FIELDS_MOST, 0), (FIELDS_MOST + 1, 431), (10_000, 431)])
def test_fields_are_as_many_as_allowed_and_no_more(count: int, status: int) -> None:
    raw = LINE + b"A:b\r\n" * count + END
    if not status:
        assert len(request_head(raw).fields.listed) == count
        return
    with pytest.raises(BadMessage) as told:
        head_end(raw)
        request_head(raw)
    assert told.value.status == status


# -- what is read ahead ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blank", "taken"), [(b"", True), (END, True), (END * 2, True), (END * 3, False), (b"\n", False)]
)
def test_a_few_empty_lines_before_a_request_are_passed_over(blank: bytes, taken: bool) -> None:
    intake = Intake()
    intake.add(blank + LINE + END + b"rest")
    if not taken:
        with pytest.raises(BadMessage):
            intake.head()
        return
    head = intake.head()
    assert head is not None
    assert head.method == "GET"
    assert intake.take() == b"rest"


def test_it_is_full_a_byte_beyond_what_is_read_ahead() -> None:
    intake = Intake()
    intake.add(bytes(AHEAD_MOST))
    assert not intake.full
    intake.add(b"x")
    assert intake.full
    intake.take()
    assert not intake.full
