"""The framer: whole messages, cut ones, streamed ones, and lengths that no message has."""

import pytest

from bodycam.protocols.postgres.codec import FIRST, LAST, MIDDLE, WHOLE, Frame, Framer, ProtocolViolation
from bodycam.protocols.postgres.reading import message

SYNC, QUERY = message(b"S"), message(b"Q", b"select 1\0")


def framer(limit: int = 1000, stream_above: int = 100) -> Framer:
    return Framer(limit=limit, streamed=frozenset(b"d"), stream_above=stream_above)


def pieces(one: Framer, *reads: bytes) -> list[tuple[str, bytes, int]]:
    found = []
    for read in reads:
        buffer, frames = one.feed(read)
        found += [(chr(tag), buffer[start:end], part) for tag, start, end, part in frames]
    return found


def test_messages_of_one_read_are_cut_without_a_copy() -> None:
    read = SYNC + QUERY
    buffer, frames = framer().feed(read)
    assert buffer is read
    expected: list[Frame] = [(ord("S"), 0, 5, WHOLE), (ord("Q"), 5, len(read), WHOLE)]
    assert frames == expected


@pytest.mark.parametrize("size", range(1, 20))
def test_the_size_of_the_reads_makes_no_difference(size: int) -> None:
    whole = QUERY + SYNC + SYNC + QUERY
    reads = [whole[start : start + size] for start in range(0, len(whole), size)]
    expected = [("Q", QUERY, 0), ("S", SYNC, 0), ("S", SYNC, 0), ("Q", QUERY, 0)]
    assert pieces(framer(), *reads) == expected


def test_a_long_streamed_message_comes_in_pieces_and_the_next_one_is_found() -> None:
    long = message(b"d", b"x" * 200)
    assert pieces(framer(), long[:50], long[50:150], long[150:] + SYNC) == [
        ("d", long[:50], FIRST),
        ("d", long[50:150], MIDDLE),
        ("d", long[150:], LAST),
        ("S", SYNC, WHOLE),
    ]


def test_a_streamed_message_has_no_bound_and_a_short_one_is_whole() -> None:
    huge = b"d" + (2**31 - 1).to_bytes(4, "big")
    assert pieces(framer(limit=50), huge) == [("d", huge, FIRST)]
    short = message(b"d", b"x" * 60)
    assert pieces(framer(), short[:20], short[20:]) == [("d", short, WHOLE)]


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_length_that_does_not_count_itself_is_a_violation(length: int) -> None:
    with pytest.raises(ProtocolViolation) as violation:
        framer().feed(b"Q" + length.to_bytes(4, "big"))
    assert violation.value.sqlstate == "08P01"


def test_a_message_over_the_limit_is_refused_at_its_header() -> None:
    with pytest.raises(ProtocolViolation, match="over the limit of 1000") as violation:
        framer().feed(b"Q" + (2**31 - 1).to_bytes(4, "big"))
    assert violation.value.sqlstate == "54000"


def test_a_message_at_the_limit_passes() -> None:
    full = message(b"Q", b"x" * 996)
    assert pieces(framer(), full[:7], full[7:]) == [("Q", full, WHOLE)]
