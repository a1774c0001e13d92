"""Where bodies end, and every length that could be read in two ways."""

import pytest

from bodycam.protocols.http import intake as intakes
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.framing import (
    LINE_MOST,
    TRAILER_MOST,
    Chunked,
    NoBody,
    Sized,
    UntilClosed,
    chunk,
    last_chunk,
    request_body,
    response_body,
)
from bodycam.protocols.http.head import request_head, response_head
from bodycam.protocols.http.intake import Intake

BAD_LENGTHS = {
    "Content-Length: 5\r\nContent-Length: 5": 400,
    "Content-Length: 5\r\nContent-Length: 6": 400,
    "Content-Length: 5\r\ncontent-length: 0": 400,
    "Content-Length: 5, 5": 400,
    "Content-Length: 5, 6": 400,
    "Content-Length: 5;": 400,
    "Content-Length: +5": 400,
    "Content-Length: -5": 400,
    "Content-Length: -0": 400,
    "Content-Length: 5 5": 400,
    "Content-Length: 0x5": 400,
    "Content-Length: 5_0": 400,
    "Content-Length: 5.0": 400,
    "Content-Length: 1e1": 400,
    "Content-Length: '5'": 400,
    "Content-Length: \xb2": 400,
    "Content-Length: five": 400,
    "Content-Length:": 400,
    "Content-Length: " + "9" * 19: 400,
    "Transfer-Encoding: chunked\r\nContent-Length: 5": 400,
    "Content-Length: 5\r\nTransfer-Encoding: chunked": 400,
    "Content-Length: 0\r\nTransfer-Encoding: chunked": 400,
    "Content-Length: 5\r\nTransfer-Encoding: identity": 400,
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked": 400,
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity": 400,
    "Transfer-Encoding: chunked, chunked": 501,
    "Transfer-Encoding: gzip, chunked": 501,
    "Transfer-Encoding: chunked, identity": 501,
    "Transfer-Encoding: identity": 501,
    "Transfer-Encoding: xchunked": 501,
    "Transfer-Encoding: chunkedx": 501,
    "Transfer-Encoding: chunk": 501,
    "Transfer-Encoding: chunked;q=1": 501,
    "Transfer-Encoding: 'chunked'": 501,
    'Transfer-Encoding: "chunked"': 501,
    "Transfer-Encoding: ,chunked": 501,
    "Transfer-Encoding: chunked,": 501,
    "Transfer-Encoding: chunked\xa0": 501,
    "Transfer-Encoding: \xa0chunked": 501,
    "Transfer-Encoding: \tchunked\t x": 501,
    "Transfer-Encoding:": 501,
}


@pytest.mark.parametrize(("fields", "status"), BAD_LENGTHS.items())
def test_a_length_that_could_be_read_in_two_ways_is_none(fields: str, status: int) -> None:
    raw = fields.encode("latin-1") + b"\r\n\r\n"
    with pytest.raises(BadMessage) as told:
        request_body(request_head(b"POST / HTTP/1.1\r\n" + raw))
    assert told.value.status == status
    for code in (b"200", b"204", b"304", b"101"):
        with pytest.raises(BadMessage) as told:
            response_body(response_head(b"HTTP/1.1 %b OK\r\n" % code + raw), "GET")
        assert told.value.status == 502


def test_no_version_before_1_1_has_chunks() -> None:
    with pytest.raises(BadMessage):
        request_body(request_head(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"))
    with pytest.raises(BadMessage):
        response_body(response_head(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "GET")


def test_a_request_s_length_is_written_without_zeros_before_it() -> None:
    for zeros in (b"00", b"05", b"010"):
        with pytest.raises(BadMessage):
            request_body(request_head(b"POST / HTTP/1.1\r\nContent-Length: %b\r\n\r\n" % zeros))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (b"", NoBody), (b"Content-Length: 0\r\n", Sized), (b"Content-Length: \t5 \r\n", Sized),
        (b"Content-Length: " + b"9" * 18 + b"\r\n", Sized), (b"Transfer-Encoding: chunked\r\n", Chunked),
        (b"transfer-encoding:\tChunKed \t\r\n", Chunked),
    ],
)  # fmt: skip
def test_a_request_s_body_is_told_by_its_head(fields: bytes, kind: type) -> None:
    assert type(request_body(request_head(b"POST / HTTP/1.1\r\n" + fields + b"\r\n"))) is kind


@pytest.mark.parametrize(
    ("method", "status", "fields", "kind"),
    [
        ("GET", b"200", b"", UntilClosed), ("GET", b"200", b"Content-Length: 5\r\n", Sized),
        ("GET", b"404", b"Transfer-Encoding: chunked\r\n", Chunked), ("HEAD", b"200", b"Content-Length: 5\r\n", NoBody),
        ("HEAD", b"200", b"Transfer-Encoding: chunked\r\n", NoBody), ("GET", b"204", b"", NoBody),
        ("GET", b"304", b"Content-Length: 5\r\n", NoBody), ("GET", b"205", b"Content-Length: 0\r\n", Sized),
    ],
)  # fmt: skip
def test_a_response_s_body_is_told_by_its_head_and_the_method(
    method: str, status: bytes, fields: bytes, kind: type
) -> None:
    assert (
        type(response_body(response_head(b"HTTP/1.1 %b X\r\n" % status + fields + b"\r\n"), method)) is kind
    )


# -- chunks ----------------------------------------------------------------------------------------------

WHOLE = b"5\r\nhello\r\n00a;x=y;z \r\n0123456789\r\n0\r\n\r\n"


def fed(raw: bytes, cut: int = 1 << 20) -> tuple[bytes, Chunked, int]:
    """The content of a body in pieces of so many bytes, and how much of it was taken."""
    body, content, taken = Chunked(), b"", 0
    while taken < len(raw) and not body.done:
        piece = raw[taken : taken + cut]
        got, end = body.feed(piece, 0)
        content, taken = content + got, taken + end
        assert end == len(piece) or body.done
    return content, body, taken


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
def test_chunks_are_content_however_they_come(cut: int) -> None:
    content, body, taken = fed(WHOLE + b"GET", cut)
    assert content == b"hello0123456789"
    assert body.done
    assert taken == len(WHOLE)
    assert body.left() == ""
    for missing in range(1, len(WHOLE)):
        _, body, _ = fed(WHOLE[:-missing], cut)
        assert not body.done
        assert body.left()


def test_what_is_written_is_what_is_read() -> None:
    raw = chunk(b"abc") + chunk(b"x" * 300) + last_chunk(b"A: b\r\n")
    content, body, _ = fed(raw)
    assert content == b"abc" + b"x" * 300
    assert body.trailers == b"A: b\r\n"


BAD_CHUNKS = [
    b"\r\n", b"-1\r\nx\r\n", b"+1\r\nx\r\n", b"0x1\r\nx\r\n", b"1_0\r\n", b" 1\r\nx\r\n", b"1 \r\nx\r\n", b"1\t\r\nx\r\n",
    b"g\r\n", b"\xb2\r\n", b"1\nx\r\n", b"1\r\r\nx\r\n", b"1\rx\r\n", b"1\0\r\nx\r\n", b"1,1\r\nx\r\n", b"0" * 16 + b"\r\n",
    b"f" * 16 + b"\r\n", b"10000000000000000\r\n", b"5;a=\"b\"\r\nhello\r\n", b"5;a=\"\r\n\"\r\nhello\r\n",
    # TERM.EXT and EXT.TERM: a line feed alone within an extension, or for the end of one
    b"5;\nhello\r\n", b"5;a\nhello\r\n", b"5;a\n\r\nhello\r\n", b"5;a\rb\r\nhello\r\n", b"2;\n\r\nxx\r\n0\r\n\r\n",
    # the same behind a chunk: ONE.TWO, and a chunk that spills over
    b"1\r\nx\n", b"1\r\nxy\r\n", b"1\r\nx\r\r\n", b"1\r\nx0\r\n\r\n", b"1\r\nx\n\r\n", b"5;" + b"a" * LINE_MOST,
    b"5;" + b"a" * LINE_MOST + b"\r\nhello\r\n", b"0" * (LINE_MOST + 1),
    # trailers
    b"0\r\n\n", b"0\r\nA: b\n\r\n", b"0\r\n A: b\r\n\r\n", b"0\r\nA : b\r\n\r\n", b"0\r\nA\r\n\r\n", b"0\r\nA: \0\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\ntransfer-encoding: chunked\r\n\r\n", b"0\r\nHost: x\r\n\r\n",
    b"0\r\nAuthorization: x\r\n\r\n", b"0\r\nContent_Length: 5\r\n\r\n", b"0\r\nConnection: x\r\n\r\n",
    b"0\r\nSet-Cookie: x\r\n\r\n", b"0\r\nA: " + b"x" * TRAILER_MOST + b"\r\n\r\n", b"0\r\n" + b"A:b\r\n" * 201 + b"\r\n",
]  # fmt: skip


@pytest.mark.parametrize("raw", BAD_CHUNKS)
@pytest.mark.parametrize("cut", [1, 1 << 20])
def test_what_is_no_chunk_to_the_letter_is_none(raw: bytes, cut: int) -> None:
    with pytest.raises(BadMessage):
        fed(raw, cut)


def test_a_line_and_a_trailer_are_as_long_as_allowed() -> None:
    line = b"1;" + b"a" * (LINE_MOST - 4) + b"\r\n"
    assert len(line) == LINE_MOST
    assert fed(line + b"x\r\n")[0] == b"x"
    trailer = b"A: " + b"x" * (TRAILER_MOST - 7) + b"\r\n\r\n"
    assert len(trailer) == TRAILER_MOST
    assert fed(b"0\r\n" + trailer)[1].done


# -- other bodies ----------------------------------------------------------------------------------------


def test_a_sized_body_takes_its_own_and_no_more() -> None:
    body = Sized(5)
    assert body.feed(b"xhel", 1) == (b"hel", 4)
    assert body.left() == "2 bytes of the body are missing"
    assert body.feed(b"loGET", 0) == (b"lo", 2)
    assert body.done
    assert body.feed(b"GET", 0) == (b"", 0)
    assert NoBody().feed(b"GET", 1) == (b"", 1)


def test_one_until_the_close_takes_all() -> None:
    body = UntilClosed()
    assert body.feed(b"xall", 1) == (b"all", 4)
    assert not body.done
    assert body.left() == ""
    assert body.done


def test_a_body_that_nobody_wants_is_passed_over_up_to_a_bound() -> None:
    intake, body = Intake(), Sized(1000)
    intake.add(bytes(1000) + b"next")
    assert intake.discard(body)
    assert intake.ahead == b"next"
    intake, endless = Intake(), Sized(2 * intakes.DISCARD_MOST)
    for _ in range(8):
        intake.add(bytes(intakes.DISCARD_MOST // 8))
        assert intake.discard(endless)
    intake.add(b"x")
    assert not intake.discard(endless)
