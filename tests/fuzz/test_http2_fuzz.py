"""Any bytes of HTTP/2 from either side: an end with a reason or nothing, bounded, and never a fault of ours."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.model.event import Event, Kind
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.h2 import heads
from bodycam.protocols.http.transcript import HttpReader
from tests.playbook.http2_named_play import Named
from tests.playbook.http2_play import HOST, Tunnel
from tests.playbook.test_http2_hostile import frame

bounded = settings(max_examples=150, deadline=None)
GET = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/")]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame that may mean something where it comes."""
    kind = draw(st.integers(0, 10))
    stream = draw(st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 0x7FFFFFFF]))
    flags = draw(st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x25, 0xFF]))
    content = draw(
        st.binary(max_size=40)
        | st.sampled_from([b"", bytes(4), bytes(8), b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\x88", b"\x82\x87\x84"])
        | st.sampled_from([b"\0\4\0\0\0\0", b"\0\4\0\0\0\7", b"\0\5\0\0\x40\0", b"\0\1\xff\xff\xff\xff", b"\0\3\0\0\0\0"])
    )  # fmt: skip
    return frame(kind, flags, stream, content)


talks = st.lists(
    st.tuples(st.booleans(), st.lists(frames() | st.binary(max_size=12), max_size=6).map(b"".join)),
    max_size=6,
)


@bounded
@given(talks, st.booleans())
def test_whatever_comes_the_link_ends_or_goes_on_and_its_record_can_be_read(
    talk: list[tuple[bool, bytes]], ask: bool
) -> None:
    tunnel = Tunnel().agreed()
    if ask:
        tunnel.asks("/one")
        tunnel.asks("/two", "POST", body=b"half", ends=False)
    follow(tunnel, talk)


pieces = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"3\r\nabc\r\n",
     b"0\r\n\r\n", b"abc", b"HTTP/1.1 103 Hints\r\n\r\n", b"HTTP/1.0 200\r\n\r\n", b"HTTP/1.1 101 x\r\n\r\n"]
)  # fmt: skip
said = st.lists(frames() | pieces | st.binary(max_size=12), max_size=6).map(b"".join)


@bounded
@given(st.lists(st.tuples(st.booleans(), said), max_size=6), st.booleans(), st.booleans())
def test_whatever_comes_to_the_listener_and_from_a_target_of_either_version(
    talk: list[tuple[bool, bytes]], plain: bool, more: bool
) -> None:
    named = Named()
    named.asks("/t/web/one", "POST", body=b"half", ends=not more)
    named.admits(plain=plain)
    if more:
        named.asks("/t/web/two")
        named.asks("/t/api/three", "POST", body=b"half")
    follow(named, talk)


def follow(tunnel: Tunnel, talk: list[tuple[bool, bytes]]) -> None:
    """Let it be said, and look at what was made of it."""
    for by_client, data in talk:
        (tunnel.client if by_client else tunnel.target)(data)
        assert len(tunnel.client_gets()) + len(tunnel.target_sees()) < 1 << 20
    tunnel.machine.client_gone()
    assert tunnel.closed
    (end,) = [body for kind, _, body in tunnel.journal.entries if kind is Kind.CLOSED]
    assert end["outcome"] in ("ended", "broken")
    reader = HttpReader()
    for kind, exchange, body in tunnel.journal.entries:
        said = reader.feed(Event(kind, 0, exchange, body))
        assert not [one for one in said if getattr(one.body, "what", "") == "undecodable"]


names = st.sampled_from(
    [":method", ":path", ":scheme", ":authority", ":status", "host", "te", "cookie", "x-a", "X"]
)
values = st.text(max_size=12) | st.sampled_from(["GET", "/", "https", HOST, "trailers", "5"])
listed = st.lists(st.tuples(names | st.text(max_size=6), values), max_size=6)


@bounded
@given(listed)
def test_a_head_that_is_taken_can_be_written_as_one_of_http_1(more: list[tuple[str, str]]) -> None:
    for begin in (GET, []):
        fields = [(name.encode(), value.encode()) for name, value in [*begin, *more]]
        try:
            head = heads.request(fields, "https")
        except BadMessage:
            continue
        written = heads.recorded(b"%b %b HTTP/2" % (head.method.encode(), head.target), head.fields.listed)
        lines = written.split(b"\r\n")
        assert len(lines) == len(head.fields.listed) + 3
        assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
        assert b" " not in head.target
        assert len(head.fields.every(b"host")) == 1
