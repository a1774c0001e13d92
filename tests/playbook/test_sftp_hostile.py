"""Peers of SFTP that mean no good: refused by a status, or the channel ends; bounded, on the record."""

import struct

import pytest

from bodycam.model.event import Kind
from bodycam.protocols.ssh.files import relay as relaying
from bodycam.protocols.ssh.files.bounds import HANDLES_MOST, REQUESTS_MOST, WAITING_MOST
from bodycam.protocols.ssh.files.messages import Flag, Hello, Reply, Request, Type
from tests.playbook.sftp_stage import Channel, eof, fault, judging, ok

READ, NEW = Flag.READ, Flag.WRITE | Flag.CREATE | Flag.TRUNCATE


@pytest.fixture
def channel() -> Channel:
    return Channel().greet()


@pytest.mark.parametrize("length", [0, 1 << 19, 0x80000000, 0xFFFFFFFF])
def test_a_length_that_can_not_be_ends_the_channel(channel: Channel, length: int) -> None:
    channel.opened(b"/a", READ)
    said = fault(lambda: channel.client(struct.pack(">I", length)))
    assert said.startswith(f"the client sent an SFTP packet of {length} bytes")
    assert channel.take()[-1] == f"2: error protocol: {said}"
    # and nothing more is taken
    channel.client(Request(Type.STAT, 1, path=b"/a"))
    assert channel.take() == []


def test_a_target_is_held_to_the_same(channel: Channel) -> None:
    assert "the target sent an SFTP packet" in fault(lambda: channel.target(b"\xff\xff\xff\xff"))


def test_ten_thousand_files_are_too_many(channel: Channel) -> None:
    given = 0
    for number in range(10_000):
        channel.client(Request(Type.OPEN, number, path=b"/a", flags=READ))
        if channel.take()[-1].startswith("target sees OPEN"):
            channel.target(Reply(Type.HANDLE, number, handle=b"h%d" % number))
            given += 1
    assert given == HANDLES_MOST
    channel.client(Request(Type.CLOSE, 1, handle=b"h7"))
    channel.target(ok(1))
    channel.client(Request(Type.OPENDIR, 2, path=b"/a"))
    assert channel.take()[-1] == "target sees OPENDIR 2 /a"


def test_files_that_are_being_opened_count(channel: Channel) -> None:
    channel.client(
        *[Request(Type.OPEN, number, path=b"/a", flags=READ) for number in range(HANDLES_MOST + 1)]
    )
    assert channel.take()[-1] == f"client gets STATUS {HANDLES_MOST} 4 bodycam: more than 1024 files are open"


def test_requests_that_nobody_answers_are_bounded(channel: Channel) -> None:
    channel.client(*[Request(Type.STAT, number, path=b"/a") for number in range(REQUESTS_MOST + 5)])
    refused = [line for line in channel.take() if line.startswith("client gets")]
    assert len(refused) == 5
    assert len(channel.to_target) == REQUESTS_MOST + 2


def test_so_are_those_that_wait_for_people() -> None:
    channel = Channel(policy=judging(remove="pending")).greet()
    channel.client(*[Request(Type.REMOVE, number, path=b"/a") for number in range(WAITING_MOST + 1)])
    assert channel.take()[-2:] == [
        f"{WAITING_MOST + 2}: denied permission denied: more than 64 operations wait for approval",
        "client gets STATUS 64 3 more than 64 operations wait for approval (Wait for them first.)",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        Reply(Type.DATA, 9, data=b"x"),
        ok(9),
        Reply(Type.HANDLE, 1, handle=b"h"),
        Reply(Type.DATA, 1, data=b"x"),
        Hello(Type.VERSION, 3),
        b"\0\0\0\5\x03\0\0\0\1",
        b"\0\0\0\2\x65\0",
    ],
)
def test_what_nobody_asked_for_ends_the_channel(channel: Channel, answer: Reply | Hello | bytes) -> None:
    channel.client(Request(Type.STAT, 1, path=b"/a"))
    channel.take()
    said = fault(lambda: channel.target(answer))
    assert channel.take() == [f"2: error protocol: {said}"]


def test_nothing_is_answered_twice(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.client(
        Request(Type.READ, 1, handle=b"h0", offset=0, length=4),
        Request(Type.READ, 2, handle=b"h0", offset=4, length=4),
    )
    channel.target(Reply(Type.DATA, 2, data=b"late"))
    assert "nobody asked" in fault(lambda: channel.target(Reply(Type.DATA, 2, data=b"late")))


def test_what_waits_for_people_can_not_be_answered() -> None:
    channel = Channel(policy=judging(remove="pending")).greet()
    channel.client(Request(Type.REMOVE, 1, path=b"/a"))
    assert "nobody asked" in fault(lambda: channel.target(ok(1)))
    assert channel.desk.given_up == [2]


def test_an_id_is_not_used_twice(channel: Channel) -> None:
    channel.client(Request(Type.STAT, 1, path=b"/a"))
    assert "two SFTP requests with the id 1" in fault(
        lambda: channel.client(Request(Type.STAT, 1, path=b"/b"))
    )


def test_more_data_than_was_asked_for_ends_the_channel(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.client(Request(Type.READ, 1, handle=b"h0", offset=0, length=4))
    channel.take()
    said = fault(lambda: channel.target(Reply(Type.DATA, 1, data=b"12345")))
    assert said == "the target answered 5 bytes to a read of 4"
    assert not [line for line in channel.take() if line.startswith("client gets")]


def test_a_handle_that_is_open_is_not_given_out_again(channel: Channel) -> None:
    channel.opened(b"/a", NEW)
    channel.client(Request(Type.OPEN, 1, path=b"/b", flags=NEW))
    assert "gave out a handle that is open" in fault(
        lambda: channel.target(Reply(Type.HANDLE, 1, handle=b"h0"))
    )


def test_one_that_was_closed_is(channel: Channel) -> None:
    channel.opened(b"/a", NEW)
    # before the target has said that it is closed
    channel.client(
        Request(Type.CLOSE, 1, handle=b"h0"), Request(Type.OPEN, 2, path=b"/b", flags=NEW),
        Request(Type.WRITE, 3, handle=b"h0", offset=0, data=b"x"),
    )  # fmt: skip
    assert channel.take()[-1] == "client gets STATUS 3 4 bodycam: a handle that was never given out"
    channel.target(Reply(Type.HANDLE, 2, handle=b"h0"), ok(1))
    channel.take()
    channel.client(Request(Type.WRITE, 4, handle=b"h0", offset=0, data=b"y"))
    assert channel.take() == ["3: > y", "target sees WRITE 4 h0 0 y"]


@pytest.mark.parametrize(
    "request_",
    [
        Request(Type.READ, 1, handle=b"h9", offset=0, length=4),
        Request(Type.WRITE, 1, handle=b"", offset=0, data=b"x"),
        Request(Type.CLOSE, 1, handle=b"h0\0"),
        Request(Type.READDIR, 1, handle=b"h9"),
        Request(Type.FSTAT, 1, handle=b"h9"),
        Request(Type.FSETSTAT, 1, handle=b"h9"),
        Request(Type.EXTENDED, 1, extension=b"fsync@openssh.com", handle=b"h9"),
        Request(Type.EXTENDED, 1, extension=b"copy-data", handle=b"h0", to_handle=b"h9"),
    ],
)
def test_a_handle_that_was_never_given_out_is_refused(channel: Channel, request_: Request) -> None:
    channel.opened(b"/a", READ | Flag.WRITE)
    channel.client(request_)
    story = channel.take()
    assert story[-1] == "client gets STATUS 1 4 bodycam: a handle that was never given out"
    assert story[0].endswith("a handle that was never given out")


def test_what_was_approved_for_writing_is_not_read(channel: Channel) -> None:
    channel.opened(b"/a", NEW)
    channel.client(Request(Type.READ, 1, handle=b"h0", offset=0, length=4))
    assert channel.take()[-1] == "client gets STATUS 1 3 bodycam: it was not opened for reading"
    channel.opened(b"/b", READ, b"h1", 101)
    channel.client(Request(Type.WRITE, 1, handle=b"h1", offset=0, data=b"x"))
    assert channel.take()[-1] == "client gets STATUS 1 3 bodycam: it was not opened for writing"


def test_a_path_with_a_nul_is_refused(channel: Channel) -> None:
    channel.client(
        Request(Type.REMOVE, 1, path=b"/allowed\0/etc"), Request(Type.RENAME, 2, path=b"/a", to=b"\0")
    )
    story = channel.take()
    assert [line for line in story if "target sees" in line] == []
    assert [line[:21] for line in story if "client gets" in line] == [
        "client gets STATUS 1 ", "client gets STATUS 2 ",
    ]  # fmt: skip


def test_odd_paths_are_shown_on_one_line_and_judged_as_they_are(channel: Channel) -> None:
    path = b"/a\n2: ok\xff"
    channel.client(Request(Type.REMOVE, 1, path=path))
    assert channel.take()[0] == "2: remove /a\\x0a2: ok\\xff"
    facts = channel.journal.entries[-1][2][3]
    assert (facts["file.path"], facts["file.unknown"]) == ("/a\n2: ok\\xff", "it is no UTF-8")
    channel.client(Request(Type.OPEN, 2, path=path, flags=READ))
    channel.target(Reply(Type.HANDLE, 2, handle=b"h0"))
    assert channel.take()[1].encode("latin-1").endswith(path)


def test_what_is_left_over_in_a_request_is_refused(channel: Channel) -> None:
    packet = Request(Type.REMOVE, 1, path=b"/a").pack() + b"\0\0\0\1b"
    channel.client(struct.pack(">I", len(packet)) + packet)
    assert channel.take() == [
        "2: extended REMOVE: REMOVE makes no sense: 5 bytes too many",
        "2: denied bad message: REMOVE makes no sense: 5 bytes too many",
        "client gets STATUS 1 5 bodycam: REMOVE makes no sense: 5 bytes too many",
    ]


@pytest.mark.parametrize("kind", [0, 2, 21, 99, 101, 255])
def test_a_type_that_nobody_knows_is_refused_and_recorded(channel: Channel, kind: int) -> None:
    channel.client(struct.pack(">IBI", 5, kind, 7))
    assert channel.take()[-1].startswith("client gets STATUS 7 8 bodycam: ")
    channel.client(Request(Type.STAT, 8, path=b"/a"))
    assert channel.take()[-1] == "target sees STAT 8 /a"


def test_an_extension_that_nobody_knows_is_refused_and_recorded(channel: Channel) -> None:
    packet = b"\xc8\0\0\0\7\0\0\0\4exec\0\0\0\2id"
    channel.client(struct.pack(">I", len(packet)) + packet)
    assert channel.take()[-1] == "client gets STATUS 7 8 bodycam: exec is not understood by the gateway"
    facts = [body[3] for kind, _, body in channel.journal.entries if kind is Kind.REQUEST][-1]
    assert facts["file.extension"] == "exec"


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        (Hello(Type.VERSION, 4), "version 4"),
        (Hello(Type.VERSION, 0), "version 0"),
        (Hello(Type.INIT, 3), "came before VERSION"),
        (ok(0), "came before VERSION"),
    ],
)
def test_targets_that_begin_otherwise(hello: Hello | Reply, said: str) -> None:
    channel = Channel()
    channel.client(Hello(Type.INIT, 3))
    assert said in fault(lambda: channel.target(hello))


def test_clients_that_begin_otherwise() -> None:
    assert "came before INIT" in fault(lambda: Channel().client(Request(Type.STAT, 1, path=b"/")))
    channel = Channel()
    channel.client(Hello(Type.INIT, 3))
    assert "before the target's version" in fault(lambda: channel.client(Request(Type.STAT, 1, path=b"/")))


def test_a_target_that_speaks_first() -> None:
    assert "before it was asked" in fault(lambda: Channel().target(Hello(Type.VERSION, 3)))


def test_a_target_that_will_not_say_where_it_is() -> None:
    channel = Channel()
    channel.client(Hello(Type.INIT, 3))
    channel.target(Hello(Type.VERSION, 3))
    channel.target(eof(0))
    assert channel.take()[-1] == "client gets VERSION 3"
    channel.client(Request(Type.STAT, 1, path=b"../x"))
    facts = [body[3] for kind, _, body in channel.journal.entries if kind is Kind.REQUEST][-1]
    assert facts["file.path"] == "../x"


def test_answers_that_are_held_are_bounded(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "HELD_MOST", 10_000)
    channel.opened(b"/a", READ)
    channel.client(*[Request(Type.READ, at, handle=b"h0", offset=at * 1000, length=1000) for at in range(99)])
    channel.take()
    for at in range(98, 0, -1):
        channel.target(Reply(Type.DATA, at, data=b"x" * 1000))
    got = [line for line in channel.take() if line.startswith("client gets")]
    assert len(got) >= 98 - 10


def test_names_of_a_listing_are_bounded(channel: Channel) -> None:
    channel.client(Request(Type.REALPATH, 1, path=b"."))
    packet = b"\x68\0\0\0\1\xff\xff\xff\xff"
    assert "names in one packet" in fault(lambda: channel.target(struct.pack(">I", len(packet)) + packet))
