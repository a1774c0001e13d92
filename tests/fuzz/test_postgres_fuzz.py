"""Any bytes, from either side: values or a protocol violation, and nothing past the gateway that is none."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.model.event import Event, Flavor, Kind
from bodycam.protocols.postgres import backend, frontend, types
from bodycam.protocols.postgres.codec import Framer, ProtocolViolation
from bodycam.protocols.postgres.machine import PostgresMachine
from bodycam.protocols.postgres.opening import Opening
from bodycam.protocols.postgres.target_failure import TargetLoginFailed
from bodycam.protocols.postgres.target_login import TargetLogin
from bodycam.protocols.postgres.transcript import TRANSCRIPT
from tests.playbook import wire
from tests.playbook.conftest import log_in
from tests.playbook.play import GRANT, Play

bounded = settings(max_examples=300, deadline=None)

TAGS = b"QPBDECSHFXdcfpTDCEINAZ123nstGHWKRVv?\0\xff"


@st.composite
def framed(draw: st.DrawFn, tags: bytes = TAGS) -> bytes:
    """A message with a right length and any body, which is often a row of short strings and counts."""
    parts = draw(
        st.lists(
            st.sampled_from([b"\0", b"a\0", b"s1\0", b"\0\1", b"\0\0", b"\xff\xff", b"\0\0\0\1", b"\xff\xff\xff\xff",
                             b"\0\0\0\x17", b"S", b"P", b"M", b"SELECT 1\0", b"I", b"T", b"E"])
            | st.binary(max_size=6),
            max_size=8,
        )
    )  # fmt: skip
    tag = draw(st.sampled_from([bytes((one,)) for one in tags]))
    return wire.message(tag, b"".join(parts))


VALID = [
    wire.query("select 1"), wire.parse("select $1", "s1", (23,)), wire.bind(b"1", statement="s1"),
    wire.bind(b"x", None, portal="p"), wire.describe("S", "s1"), wire.describe("P"), wire.execute(),
    wire.execute("p", 3), wire.close("S", "s1"), wire.close("P"), wire.SYNC, wire.FLUSH,
    wire.copy_data(b"1\n"), wire.COPY_DONE, wire.message(b"f", b"why\0"), wire.query("copy t from stdin"),
]  # fmt: skip

ANSWERS = [
    wire.PARSED, wire.BOUND, wire.CLOSED, wire.NO_DATA, wire.described(23), wire.columns(("n", 23)),
    wire.row(b"1"), wire.row(None), wire.complete("SELECT 1"), wire.ready(), wire.ready("E"), wire.ready("T"),
    wire.error(), wire.error("57014", "canceled"), wire.notice("hm"), wire.notification("a", "b"),
    wire.copy_in(), wire.copy_out(), wire.copy_data(b"1\n"), wire.COPY_DONE, wire.status("a", "b"),
    wire.message(b"I"), wire.message(b"s"), wire.message(b"V", b"\xff\xff\xff\xff"),
]  # fmt: skip

anything = st.lists(st.binary(max_size=20) | framed(), max_size=8).map(b"".join)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


# -- the codec -----------------------------------------------------------------------------------------


def frames(reads: list[bytes]) -> tuple[bytes, list[tuple[int, bytes]], str | None]:
    """The bytes that came in frames, the whole messages among them, and the violation they ended with."""
    cut = Framer(limit=64, streamed=frozenset(b"Dd"), stream_above=16)
    passed, whole = b"", list[tuple[int, bytes]]()
    for read in reads:
        try:
            buffer, found = cut.feed(read)
        except ProtocolViolation as error:
            return passed, whole, error.sqlstate
        for tag, start, end, part in found:
            passed += buffer[start:end]
            if part == 0:
                whole.append((tag, buffer[start:end]))
    return passed, whole, None


@bounded
@given(anything, st.lists(st.integers(0, 10_000), max_size=10))
def test_any_bytes_are_messages_or_a_violation_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    passed, _, violation = frames([data])
    other, _, other_violation = frames(cut_up(data, cuts))
    single, _, single_violation = frames([data[at : at + 1] for at in range(len(data))])

    assert violation == other_violation == single_violation
    assert data.startswith(single)
    if violation is None:
        # what is held back is a message whose end, or for a long one whose length, has not come
        assert passed == other == single
    else:
        assert single.startswith(other)
        assert other.startswith(passed)


# -- messages ------------------------------------------------------------------------------------------

READERS: list[Callable[[bytes], Any]] = [
    frontend.query, frontend.parse, frontend.bind, frontend.describe, frontend.execute,
    frontend.function_call, frontend.password, frontend.sasl_initial_response, frontend.sasl_response,
    backend.row_description, backend.data_row, backend.parameter_description, backend.command_complete,
    backend.ready_for_query, backend.error_fields, backend.error_map, backend.notification,
    backend.parameter_status, backend.backend_key, backend.authentication,
    lambda raw: backend.with_formats(raw, (1, 0, 1)),
    lambda raw: backend.rewritten(raw[0], raw, str.upper) if raw[:1] in (b"E", b"N", b"A") else None,
]  # fmt: skip


@bounded
@given(framed())
def test_any_message_is_values_or_a_violation(raw: bytes) -> None:
    for read in READERS:
        try:
            read(raw)
        except ProtocolViolation:
            continue


@bounded
@given(
    st.binary(min_size=8, max_size=80) | st.binary(max_size=60).map(lambda rest: b"\0\0\0\x50\0\3\0\0" + rest)
)
def test_any_first_packet_is_a_value_or_a_violation(packet: bytes) -> None:
    try:
        frontend.startup(packet)
    except ProtocolViolation:
        return


@bounded
@given(st.binary(min_size=1, max_size=20), st.booleans())
def test_any_opening_gets_an_answer_and_garbage_never_begins(peeked: bytes, tls: bool) -> None:
    look = Opening(tls).look(peeked)

    if type(look).__name__ == "Begin":
        assert 8 <= int.from_bytes(peeked[:4], "big") <= 10_000


@bounded
@given(st.sampled_from([16, 18, 20, 21, 22, 23, 27, 600, 602, 604, 700, 701, 790, 829, 869, 1007, 1009, 1082, 1114,
                        1186, 1266, 1560, 1700, 2249, 2950, 3802, 3904, 4451, 99_999, 0]),
       st.integers(0, 2), st.binary(max_size=40))  # fmt: skip
def test_any_value_of_any_type_has_a_text(oid: int, form: int, value: bytes) -> None:
    types.decode(oid, form, value).encode("utf-8")


# -- the machine ---------------------------------------------------------------------------------------


def logged_in() -> Play:
    play = log_in(Play(PostgresMachine))
    play.client_gets(), play.target_sees(), play.recorded()
    return play


@bounded
@given(anything, st.lists(st.integers(0, 10_000), max_size=6))
def test_any_bytes_before_the_login_reach_nobody(data: bytes, cuts: list[int]) -> None:
    play = Play(PostgresMachine)
    for read in cut_up(data, cuts):
        play.client(read)

    assert play.target_sees() == b""
    assert play.journal.entries == []


@bounded
@given(st.lists(st.sampled_from(VALID) | framed() | st.binary(max_size=12), max_size=12), st.integers(1, 40))
def test_any_bytes_of_a_client_are_forwarded_unchanged_or_not_at_all(parts: list[bytes], size: int) -> None:
    play, data = logged_in(), b"".join(parts)
    for start in range(0, len(data), size):
        play.client(data[start : start + size])
    seen = play.target_sees()

    assert data.startswith(seen)
    broken = any(kind is Kind.CLOSED and body["outcome"] == "broken" for kind, _, body in play.recorded())
    if broken:
        # what broke the protocol is behind what was forwarded, and no part of it went
        assert readable(seen)
        assert play.closed


def readable(data: bytes) -> bool:
    """Whether these are whole messages that the client half reads."""
    readers: dict[int, Callable[[bytes], Any]] = {
        ord("Q"): frontend.query, ord("P"): frontend.parse, ord("B"): frontend.bind, ord("D"): frontend.describe,
        ord("E"): frontend.execute, ord("C"): frontend.describe, ord("F"): frontend.function_call,
    }  # fmt: skip
    buffer, found = Framer(limit=1 << 20, streamed=frozenset()).feed(data)
    for tag, start, end, _ in found:
        readers.get(tag, bytes)(buffer[start:end])
    return not found or found[-1][2] == len(data)


@bounded
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(VALID) | st.sampled_from(ANSWERS) | framed()), max_size=30
    )
)
def test_any_conversation_is_carried_or_ended_and_its_record_can_be_read(
    turns: list[tuple[bool, bytes]],
) -> None:
    play = logged_in()
    for from_target, data in turns:
        (play.target if from_target else play.client)(data)
    play.machine.cut("the end")

    reader = TRANSCRIPT.reader()
    for kind, exchange, body in play.journal.entries:
        reader.feed(Event(kind, 0, exchange, body))
    kinds = [kind for kind, _, _ in play.journal.entries]
    assert kinds.count(Kind.CLOSED) == 1
    assert kinds[-1] is Kind.CLOSED
    assert kinds.count(Kind.REQUEST) <= kinds.count(Kind.FINISH)


@bounded
@given(st.lists(st.sampled_from(ANSWERS) | framed(b"RSNKZEv?"), max_size=10))
def test_any_login_of_a_target_is_taken_or_failed(messages: list[bytes]) -> None:
    login = TargetLogin(GRANT.dial, {}) if GRANT.dial else pytest.fail("the grant has no dial")
    for raw in messages:
        try:
            login.receive(raw)
        except TargetLoginFailed:
            return


# -- the record ----------------------------------------------------------------------------------------

bodies = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
data_bodies = st.tuples(st.sampled_from(list(Flavor)), st.integers(0, 3), anything).map(list)


@bounded
@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(0, 3), bodies | data_bodies), max_size=20))
def test_any_record_can_be_read(events: list[tuple[Kind, int, Any]]) -> None:
    reader = TRANSCRIPT.reader()
    for kind, exchange, body in events:
        for entry in reader.feed(Event(kind, 0, exchange, body)):
            repr(entry).encode("utf-8")


@bounded
@given(st.lists(st.sampled_from(ANSWERS) | framed(), max_size=8).map(b"".join), st.integers(1, 9))
def test_a_record_reads_the_same_however_its_events_were_cut(data: bytes, size: int) -> None:
    def said(reads: list[bytes]) -> tuple[str, str]:
        reader = TRANSCRIPT.reader()
        bodies = [
            entry.body for read in reads for entry in reader.feed(Event(Kind.TO_CLIENT, 0, 1, [0, 0, read]))
        ]
        rows = [row for body in bodies for row in getattr(body, "rows", ())]
        others = [body for body in bodies if type(body).__name__ not in ("Rows", "Output")]
        text = "".join(body.text for body in bodies if type(body).__name__ == "Output")
        return repr((rows, others)), text.replace("\\x", "")

    assert said([data]) == said([data[start : start + size] for start in range(0, len(data), size)])
