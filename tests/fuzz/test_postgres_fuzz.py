"""Any bytes give messages or a protocol violation, and how they are cut into reads makes no difference."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.model.event import Event, Kind
from bodycam.model.target import Dial
from bodycam.protocols.postgres import backend, frontend, types
from bodycam.protocols.postgres.codec import FIRST, LAST, WHOLE, Framer, ProtocolViolation
from bodycam.protocols.postgres.opening import Opening
from bodycam.protocols.postgres.reading import message
from bodycam.protocols.postgres.target_login import TargetLogin, TargetLoginFailed
from bodycam.protocols.postgres.transcript import PostgresTranscript

BOUNDED = settings(max_examples=150, deadline=None)

READERS: tuple[Callable[[bytes], Any], ...] = (
    frontend.startup, frontend.query, frontend.parse, frontend.bind, frontend.describe, frontend.execute,
    frontend.function_call, frontend.password, frontend.sasl_initial_response, frontend.sasl_response,
    backend.row_description, backend.data_row, backend.parameter_description, backend.command_complete,
    backend.ready_for_query, backend.error_map, backend.notification, backend.parameter_status,
    backend.backend_key, backend.authentication, lambda raw: backend.with_formats(raw, (1,)),
)  # fmt: skip

tags = st.sampled_from([bytes((tag,)) for tag in b"QPBDECSXHFpdcfRKZTtnNAG123sIVv"])
messages = st.builds(message, tags, st.binary(max_size=80))
streams = st.lists(st.one_of(messages, messages, st.binary(max_size=12)), max_size=8).map(b"".join)


def cut(stream: bytes, size: int) -> Iterable[bytes]:
    return (stream[start : start + size] for start in range(0, len(stream), size))


def framed(reads: Iterable[bytes]) -> tuple[list[bytes], str | None]:
    """The messages, streamed ones put together again, and the violation that ended them."""
    framer = Framer(limit=64, streamed=frozenset(b"dD"), stream_above=32)
    found: list[bytes] = []
    try:
        for read in reads:
            buffer, frames = framer.feed(read)
            for _, start, end, part in frames:
                if part in (WHOLE, FIRST):
                    found.append(buffer[start:end])
                else:
                    found[-1] += buffer[start:end]
                assert part != LAST or len(found[-1]) == 1 + int.from_bytes(found[-1][1:5], "big")
    except ProtocolViolation as violation:
        return found, violation.sqlstate
    return found, None


@given(streams, st.integers(1, 40))
@BOUNDED
def test_how_the_bytes_are_cut_makes_no_difference(stream: bytes, size: int) -> None:
    one_by_one, violation = framed(cut(stream, 1))
    other, other_violation = framed(cut(stream, size))
    assert violation == other_violation
    # a violation ends the read it is met in, so that what stood before it in the same read is not handed on
    if violation is None:
        assert other == one_by_one
    else:
        assert other == one_by_one[: len(other)]


@given(st.lists(messages, max_size=10), st.integers(1, 40))
@BOUNDED
def test_messages_come_out_as_they_went_in(sent: list[bytes], size: int) -> None:
    framer = Framer(limit=1000, streamed=frozenset())
    found = []
    for read in cut(b"".join(sent), size):
        buffer, frames = framer.feed(read)
        found += [buffer[start:end] for _, start, end, _ in frames]
    assert found == sent


@pytest.mark.parametrize("read", READERS)
@given(raw=st.one_of(st.binary(max_size=60), messages))
@BOUNDED
def test_any_body_is_read_or_a_violation(read: Callable[[bytes], Any], raw: bytes) -> None:
    with suppress(ProtocolViolation):
        read(raw)


@given(st.lists(st.one_of(st.binary(max_size=16), st.just(frontend.SSL_REQUEST)), max_size=4))
@BOUNDED
def test_any_first_bytes_have_an_answer(looks: list[bytes]) -> None:
    opening = Opening(True)
    for peeked in looks:
        assert opening.look(peeked) is not None


answers = st.one_of(
    st.builds(
        lambda kind, data: message(b"R", kind.to_bytes(4, "big"), data),
        st.integers(0, 13),
        st.binary(max_size=40),
    ),
    st.just(backend.authentication_sasl(["SCRAM-SHA-256"])),
    messages,
)


@given(st.lists(answers, max_size=6))
@BOUNDED
def test_any_server_logs_us_in_or_fails_the_login(said: list[bytes]) -> None:
    login = TargetLogin(Dial("db", 5432, "gateway", "shop", "pencil"), {})
    login.start()
    with suppress(TargetLoginFailed):
        for raw in said:
            login.receive(raw)
        assert not login.ready or login.cancel_key is None or len(login.cancel_key) >= 8


@given(st.integers(0, 5100), st.integers(0, 2), st.binary(max_size=60))
@BOUNDED
def test_any_value_of_any_type_is_shown(oid: int, form: int, value: bytes) -> None:
    types.decode(oid, form, value).encode()


values = st.recursive(
    st.one_of(st.none(), st.integers(-1, 9), st.text(max_size=5), st.binary(max_size=30), streams),
    lambda inner: st.one_of(
        st.lists(inner, max_size=8), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
bodies = st.one_of(values, st.tuples(st.integers(0, 3), st.integers(0, 3), streams).map(list))


@given(st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 3), bodies), max_size=12))
@BOUNDED
def test_any_event_is_read_for_people(events: list[tuple[Kind, int, Any]]) -> None:
    reader = PostgresTranscript().reader()
    for at, (kind, exchange, body) in enumerate(events):
        for entry in reader.feed(Event(kind, at, exchange, body)):
            assert (entry.at, entry.exchange) == (at, exchange)
