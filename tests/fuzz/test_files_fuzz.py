"""Any bytes, from either side of a channel of files: operations or a fault, and the same however they are cut."""

import itertools
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.model.event import Kind
from bodycam.protocols.ssh.files import messages, scp_command
from bodycam.protocols.ssh.files.attributes import Attributes
from bodycam.protocols.ssh.files.codec import Malformed, Packets
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.files.messages import Flag, Reply, Request, Type
from bodycam.protocols.ssh.files.paths import resolved, shown
from bodycam.protocols.ssh.files.relay import SftpRelay
from bodycam.protocols.ssh.files.scp import ScpRelay
from tests.playbook.scp_stage import ScpChannel
from tests.playbook.sftp_stage import Channel, eof, judging, ok, wire

bounded = settings(max_examples=300, deadline=None)

VALID = [
    wire(one)
    for one in (
        Request(Type.OPEN, 1, path=b"/a", flags=Flag.READ),
        Request(Type.OPEN, 2, path=b"b", flags=Flag.WRITE | Flag.READ),
        Request(Type.OPENDIR, 3, path=b"/d"),
        Request(Type.READ, 4, handle=b"h", offset=0, length=4),
        Request(Type.READ, 5, handle=b"h", offset=4, length=4),
        Request(Type.WRITE, 6, handle=b"h", offset=0, data=b"data"),
        Request(Type.WRITE, 7, handle=b"i", offset=9, data=b"data"),
        Request(Type.READDIR, 8, handle=b"i"),
        Request(Type.CLOSE, 9, handle=b"h"),
        Request(Type.CLOSE, 10, handle=b"i"),
        Request(Type.FSTAT, 11, handle=b"h"),
        Request(Type.RENAME, 12, path=b"/a", to=b"\xff\n"),
        Request(Type.REMOVE, 13, path=b"/a\0"),
        Request(Type.SETSTAT, 14, path=b"/a", attributes=Attributes(size=1)),
        Request(Type.EXTENDED, 15, extension=b"limits@openssh.com"),
        Request(Type.EXTENDED, 16, extension=b"copy-data", handle=b"h", to_handle=b"i"),
    )
]
ANSWERS = [
    wire(one)
    for number in range(1, 17)
    for one in (
        ok(number),
        eof(number),
        Reply(Type.HANDLE, number, handle=b"h"),
        Reply(Type.HANDLE, number, handle=b"i"),
        Reply(Type.DATA, number, data=b"data"),
        Reply(Type.NAME, number, names=((b"a", b"", Attributes()),)),
        Reply(Type.ATTRS, number, attributes=Attributes(mode=1)),
        Reply(Type.EXTENDED_REPLY, number, data=bytes(32)),
    )
]
packets = st.builds(
    lambda kind, number, rest: struct.pack(">IBI", 5 + len(rest), kind, number) + rest,
    st.sampled_from([0, 1, 2, *messages.REQUEST_TYPES, 21, 101, 102, 103, 104, 105, 200, 201, 255]),
    st.integers(0, 20),
    st.lists(
        st.sampled_from([b"\0\0\0\1h", b"\0\0\0\0", b"\0\0\0\2/a", b"\xff\xff\xff\xff", b"\0" * 8, b"a"])
        | st.binary(max_size=6),
        max_size=6,
    ).map(b"".join),
)
anything = st.lists(st.binary(max_size=12) | packets, max_size=8).map(b"".join)
play = st.lists(
    st.tuples(st.just("client"), st.sampled_from(VALID) | packets)
    | st.tuples(st.just("target"), st.sampled_from(ANSWERS) | packets),
    max_size=30,
)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


def taken(take: Callable[[bytes], None], piece: bytes) -> str:
    """What the fault says, empty for none; nothing else may be raised."""
    try:
        take(piece)
    except FilesFault as error:
        return str(error)
    return ""


def conversation(
    channel: Channel | ScpChannel,
    relay: SftpRelay | ScpRelay,
    said: list[tuple[str, bytes]],
    size: int | None,
) -> list[str]:
    """What both sides say, in pieces of that size or whole, and what came of it, up to the first fault."""
    story = list[str]()
    for who, data in said:
        take = relay.from_client if who == "client" else relay.from_target
        broken = ""
        for at in range(0, len(data), size or len(data) or 1):
            broken = broken or taken(take, data[at : at + size] if size else data)
        story += [*channel.take(), broken]
        if broken:
            break
    return story


@bounded
@given(anything, st.lists(st.integers(0, 1000), max_size=20))
def test_packets_are_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    def found(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        cut, got = Packets("client", most=64), list[bytes]()
        try:
            for piece in pieces:
                for packet in cut.feed(piece):
                    got.append(packet)
        except FilesFault:
            return got, True
        return got, False

    one_by_one = found([bytes([byte]) for byte in data])
    for pieces in ([data], cut_up(data, cuts)):
        assert found(pieces) == one_by_one


@bounded
@given(st.binary(min_size=1, max_size=60) | packets.map(lambda one: one[4:]))
def test_any_packet_is_a_message_or_makes_no_sense(packet: bytes) -> None:
    for read in (messages.request, messages.reply):
        try:
            message = read(packet)
        except Malformed:
            continue
        if isinstance(message, Reply) or message.known:
            again = read(message.pack())
            assert again.pack() == message.pack()
        if isinstance(message, Request) and message.known:
            # a request goes on as it came: nothing in it is overlooked
            assert message.pack() == packet


@bounded
@given(play)
def test_whatever_is_said_is_judged_before_it_goes_on(said: list[tuple[str, bytes]]) -> None:
    stories = []
    for size in (None, 1):
        channel = Channel(policy=judging(remove="deny", rename="pending")).greet()
        story = conversation(channel, channel.relay, said, size)
        channel.relay.target_ended()
        story += channel.take()
        stories.append(story)
        # nothing of what policy would not let through has reached the target
        assert not [line for line in story if line.startswith(("target sees REMOVE", "target sees RENAME"))]
        numbers = {
            number for kind, number, _ in channel.journal.entries if kind is Kind.REQUEST and number > 1
        }
        ended = [number for kind, number, _ in channel.journal.entries if kind is Kind.FINISH and number > 1]
        assert sorted(ended) == sorted(numbers)
    assert stories[0] == stories[1]


SCP = [
    b"\0", b"\1scp: no\n", b"\2\n", b"C0644 4 a\n", b"C0644 0 b\n", b"D0755 0 d\n", b"E\n", b"T1 0 1 0\n", b"data",
    b"C0644 4 a\ndata\0", b"\n", b"X",
]  # fmt: skip
talk = st.lists(
    st.tuples(st.sampled_from(["client", "target"]), st.sampled_from(SCP) | st.binary(max_size=8)),
    max_size=30,
)


@pytest.mark.parametrize("command", ["scp -r -d -t d", "scp -r -f d"])
@bounded
@given(talk)
def test_whatever_scp_says_is_judged_before_it_goes_on(command: str, said: list[tuple[str, bytes]]) -> None:
    stories = []
    for size in (None, 1):
        channel = ScpChannel(command, policy=judging(write="deny", read="deny"))
        story = conversation(channel, channel.scp, said, size)
        channel.scp.target_ended()
        story += channel.take()
        stories.append(story)
        onward = channel.to_target if "-t" in command else channel.to_client
        assert not any(one.startswith(b"C0644") for one in onward)
    assert stories[0] == stories[1]


@bounded
@given(st.text(max_size=30) | st.lists(st.sampled_from(["scp", "-t", "-f", "-r", " ", "'", ";", "a", "$", "--"])).map(" ".join))  # fmt: skip
def test_any_command_is_scp_or_not(command: str) -> None:
    found = scp_command.parsed(command)
    if found is not None:
        assert found.paths
        assert ";" not in command or "'" in command


@bounded
@given(st.binary(max_size=30), st.binary(max_size=30))
def test_a_path_is_shown_like_no_other(one: bytes, other: bytes) -> None:
    assert (shown(one) == shown(other)) == (one == other)
    assert shown(one).isprintable() or not shown(one).isascii()
    assert "\n" not in shown(one)
    plain = resolved(b"/" + one)
    assert plain.startswith("/")
    assert ".." not in plain.split("/")
