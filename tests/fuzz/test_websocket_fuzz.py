"""Any bytes behind a WebSocket's handshake, from either side: messages or an end, and nothing that is none."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.model.event import Event
from bodycam.protocols.http.frames import BadFrame, Messages, checked, frame
from bodycam.protocols.http.transcript import HttpReader
from tests.playbook.test_http_websocket import KEY, talking

bounded = settings(max_examples=300, deadline=None)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame that is right but for its first byte, or masked where it must not be."""
    payload = draw(st.binary(max_size=140) | st.sampled_from([b"", b"text", b"\x03\xe8", b"\x03\xe8bye"]))
    whole = frame(1, payload, draw(st.sampled_from([b"", KEY])))  # type: ignore[arg-type]
    first = draw(
        st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8A]) | st.integers(0, 255)
    )
    return bytes((first,)) + whole[1:]


wire = st.lists(frames() | st.binary(max_size=20), max_size=8).map(b"".join)


@bounded
@given(wire, st.booleans(), st.integers(1, 9))
def test_however_it_is_cut_the_same_messages_come_out(data: bytes, masked: bool, size: int) -> None:
    def read(pieces: list[bytes]) -> list[object]:
        messages, found = Messages(masked=masked, most=100), []
        try:
            for one in pieces:
                messages.add(one)
                while (message := messages.take()) is not None:
                    checked(message)
                    found.append((message.opcode, message.payload, message.raw))
        except BadFrame as error:
            found.append(error.code)
        return found

    assert read([data]) == read([data[at : at + size] for at in range(0, len(data), size)])


@bounded
@given(st.lists(st.tuples(st.booleans(), wire), max_size=6))
def test_nothing_but_whole_messages_gets_through_and_all_of_it_can_be_read(
    talk: list[tuple[bool, bytes]],
) -> None:
    play = talking()
    for by_client, data in talk:
        (play.client if by_client else play.target)(data)
    play.machine.client_gone()
    for got, masked in ((play.client_gets(), False), (play.target_sees(), True)):
        messages, end = Messages(masked=masked, most=1 << 20), 0
        messages.add(got)
        while (message := messages.take()) is not None:
            checked(message)
            end += len(message.raw)
        assert end == len(got)
    reader = HttpReader()
    for kind, exchange, body in play.journal.entries:
        for entry in reader.feed(Event(kind, 0, exchange, body)):
            assert getattr(entry.body, "what", "") != "undecodable"
