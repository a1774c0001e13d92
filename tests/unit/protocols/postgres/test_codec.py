"""Cutting a byte stream into messages: whole ones, long ones, and lengths that can't be."""

import time
from collections.abc import Callable

import pytest

from bodycam.protocols.postgres.codec import FIRST, LAST, MIDDLE, WHOLE, Framer, ProtocolViolation
from tests.playbook import wire

ROW = ord("D")


def framer(limit: int = 1000, stream_above: int = 20, streamed: bytes = b"D") -> Framer:
    return Framer(limit=limit, streamed=frozenset(streamed), stream_above=stream_above)


def pieces(cut: Framer, *reads: bytes) -> list[tuple[int, bytes, int]]:
    found = []
    for read in reads:
        buffer, frames = cut.feed(read)
        found += [(tag, buffer[start:end], part) for tag, start, end, part in frames]
    return found


def test_several_messages_in_one_read() -> None:
    query = wire.query("select 1")

    assert pieces(framer(), query + wire.SYNC + wire.FLUSH) == [
        (ord("Q"), query, WHOLE),
        (ord("S"), wire.SYNC, WHOLE),
        (ord("H"), wire.FLUSH, WHOLE),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 9])
def test_cut_anywhere_the_messages_are_the_same(size: int) -> None:
    data = wire.query("select 1") + wire.SYNC + wire.query("select 2") + wire.TERMINATE
    reads = [data[start : start + size] for start in range(0, len(data), size)]

    assert pieces(framer(), *reads) == pieces(framer(), data)


def test_a_long_message_that_streams_comes_in_pieces() -> None:
    row = wire.row(b"x" * 50)

    assert pieces(framer(), row[:10], row[10:40], row[40:] + wire.SYNC) == [
        (ROW, row[:10], FIRST),
        (ROW, row[10:40], MIDDLE),
        (ROW, row[40:], LAST),
        (ord("S"), wire.SYNC, WHOLE),
    ]


def test_a_piece_that_ends_with_its_read_is_the_last() -> None:
    row = wire.row(b"x" * 50)
    cut = framer()

    assert [part for _, _, part in pieces(cut, row[:10], row[10:])] == [FIRST, LAST]
    assert pieces(cut, wire.SYNC) == [(ord("S"), wire.SYNC, WHOLE)]


def test_a_message_that_streams_has_no_bound_and_no_buffer() -> None:
    cut = framer(limit=100)
    head = b"D" + (3_000_000_004).to_bytes(4, "big")

    assert [part for _, _, part in pieces(cut, head, *[bytes(65_536)] * 100)] == [FIRST, *[MIDDLE] * 100]


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_length_that_does_not_count_itself_is_refused(length: int) -> None:
    with pytest.raises(ProtocolViolation, match="with a length of") as refused:
        framer().feed(b"Q" + length.to_bytes(4, "big"))
    assert refused.value.sqlstate == "08P01"


@pytest.mark.parametrize("whole", [True, False])
def test_a_message_over_the_limit_is_refused_however_it_was_cut(whole: bool) -> None:
    message = wire.query("x" * 2000)
    with pytest.raises(ProtocolViolation, match="over the limit of 1000") as refused:
        framer().feed(message if whole else message[:5])
    assert refused.value.sqlstate == "54000"


def test_the_limit_counts_the_length_and_the_body() -> None:
    assert len(pieces(framer(limit=1000), wire.message(b"Q", bytes(996)))) == 1
    with pytest.raises(ProtocolViolation):
        framer(limit=1000).feed(wire.message(b"Q", bytes(997)))


def test_a_60_megabyte_statement_costs_no_more_than_its_bytes() -> None:
    data = wire.query("x" * 60_000_000)
    reads = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
    cut = Framer(limit=64 << 20, streamed=frozenset())
    joined_once = min(seconds(lambda: b"".join(reads)) for _ in range(3))

    found: list[tuple[int, bytes, int]] = []
    taken = seconds(lambda: found.extend(pieces(cut, *reads)))

    assert [(tag, len(message)) for tag, message, _ in found] == [(ord("Q"), len(data))]
    # joined anew at every read, it would cost some five hundred times as much
    assert taken < 50 * max(joined_once, 0.005)


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def test_messages_that_are_known_are_passed_over_where_nothing_else_follows() -> None:
    cut = framer()
    cut.take(wire.query("select 1") + wire.SYNC + wire.FLUSH)
    cut.advance()

    assert not cut.rest_is(wire.FLUSH)
    assert not cut.rest_is(wire.FLUSH + wire.SYNC)
    assert cut.rest_is(wire.SYNC + wire.FLUSH)
    assert cut.end == len(cut.buffer)
    assert not cut.advance()
