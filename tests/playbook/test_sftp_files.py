"""Files over SFTP: what the client sends, what the target sees, what is recorded, what the client gets."""

import hashlib
from typing import Any

import pytest

from bodycam.model.event import Kind
from bodycam.protocols.ssh.files import relay as relaying
from bodycam.protocols.ssh.files.attributes import Attributes
from bodycam.protocols.ssh.files.codec import CONTENT_MOST
from bodycam.protocols.ssh.files.messages import Code, Flag, Hello, Reply, Request, Type
from tests.playbook.sftp_stage import Channel, eof, judging, ok

READ, NEW = Flag.READ, Flag.WRITE | Flag.CREATE | Flag.TRUNCATE


@pytest.fixture
def channel() -> Channel:
    return Channel().greet()


def file_note(channel: Channel) -> dict[str, Any]:
    """What was noted of the last file."""
    notes = [
        body for kind, _, body in channel.journal.entries if kind is Kind.NOTE and body["note"] == "file"
    ]
    return notes[-1]


def facts(channel: Channel) -> dict[str, Any]:
    """Those of the last request."""
    return [body for kind, _, body in channel.journal.entries if kind is Kind.REQUEST][-1][3]


def test_it_begins_with_a_version_and_extensions_that_are_understood() -> None:
    channel = Channel()
    channel.client(Hello(Type.INIT, 6))
    channel.target(
        Hello(
            Type.VERSION, 3, ((b"limits@openssh.com", b"1"), (b"statvfs@openssh.com", b"9"), (b"odd", b"1"))
        )
    )
    assert channel.take()[-2:] == [
        "1: [sftp] version=3 asks=where relative paths begin",
        "target sees REALPATH 0 .",
    ]
    channel.target(Reply(Type.NAME, 0, names=((b"/srv/app", b"", Attributes()),)))
    story = channel.take()
    assert story[0] == "1: [home] path=/srv/app"
    assert story[1].startswith("1: < ")
    assert story[2:] == ["client gets VERSION 3 limits@openssh.com"]


def test_the_version_that_the_target_sees_is_three() -> None:
    channel = Channel()
    channel.client(Hello(Type.INIT, 6))
    assert channel.take()[-1] == "target sees INIT 3"


def test_a_download(channel: Channel) -> None:
    channel.client(Request(Type.OPEN, 1, path=b"/etc/hosts", flags=READ))
    channel.target(Reply(Type.HANDLE, 1, handle=b"h0"))
    channel.client(
        Request(Type.READ, 2, handle=b"h0", offset=0, length=4),
        Request(Type.READ, 3, handle=b"h0", offset=4, length=4),
        Request(Type.READ, 4, handle=b"h0", offset=8, length=4),
    )
    channel.target(Reply(Type.DATA, 2, data=b"127."), Reply(Type.DATA, 3, data=b"1\n"), eof(4))
    channel.client(Request(Type.CLOSE, 5, handle=b"h0"))
    channel.target(ok(5))
    assert channel.take() == [
        "2: read /etc/hosts",
        "target sees OPEN 1 /etc/hosts",
        "client gets HANDLE 1 h0",
        "target sees READ 2 h0 0 4",
        "target sees READ 3 h0 4 4",
        "target sees READ 4 h0 8 4",
        "2: < 127.",
        "client gets DATA 2 127.",
        "2: < 1\n",
        "client gets DATA 3 1\n",
        "client gets STATUS 4 1 End of file",
        "target sees CLOSE 5 h0",
        "client gets STATUS 5 0 Success",
        "2: [file] path=/etc/hosts direction=download size=6",
        "2: ok",
    ]
    assert file_note(channel)["sha256"] == hashlib.sha256(b"127.1\n").hexdigest()
    assert facts(channel) == {
        "ssh.kind": "sftp",
        "ssh.account": "",
        "file.via": "sftp",
        "file.action": "read",
        "file.path": "/etc/hosts",
        "file.to": "",
        "file.mode": ["read"],
        "file.attributes": "",
        "file.extension": "",
        "file.unknown": "",
    }


def test_an_upload(channel: Channel) -> None:
    channel.client(Request(Type.OPEN, 1, path=b"notes", flags=NEW, attributes=Attributes(mode=0o644)))
    channel.target(Reply(Type.HANDLE, 1, handle=b"h0"))
    channel.client(
        Request(Type.WRITE, 2, handle=b"h0", offset=0, data=b"one\n"),
        Request(Type.WRITE, 3, handle=b"h0", offset=4, data=b"two\n"),
        Request(Type.FSETSTAT, 4, handle=b"h0", attributes=Attributes(mode=0o600)),
        Request(Type.CLOSE, 5, handle=b"h0"),
    )
    channel.target(ok(2), ok(3), ok(4), ok(5))
    assert channel.take() == [
        "2: write notes",
        "target sees OPEN 1 notes",
        "client gets HANDLE 1 h0",
        "2: > one\n",
        "target sees WRITE 2 h0 0 one\n",
        "2: > two\n",
        "target sees WRITE 3 h0 4 two\n",
        "3: attributes notes",
        "target sees FSETSTAT 4 h0",
        "target sees CLOSE 5 h0",
        "client gets STATUS 2 0 Success",
        "client gets STATUS 3 0 Success",
        "3: ok",
        "client gets STATUS 4 0 Success",
        "client gets STATUS 5 0 Success",
        "2: [file] path=notes direction=upload size=8",
        "2: ok",
    ]
    assert facts(channel)["file.path"] == "/srv/app/notes"
    assert file_note(channel)["sha256"] == hashlib.sha256(b"one\ntwo\n").hexdigest()


@pytest.mark.parametrize(
    ("flags", "verb", "mode"),
    [
        (0, "read", ["read"]),
        (READ, "read", ["read"]),
        (READ | Flag.WRITE, "write", ["read", "write"]),
        (Flag.WRITE | Flag.APPEND, "write", ["write", "append"]),
        (READ | Flag.TRUNCATE, "write", ["read", "truncate"]),
        (READ | Flag.CREATE, "write", ["read", "create"]),
        (0x40, "write", ["unknown"]),
    ],
)
def test_what_a_file_is_opened_for(channel: Channel, flags: int, verb: str, mode: list[str]) -> None:
    channel.client(Request(Type.OPEN, 1, path=b"/a", flags=flags))
    assert channel.take()[0] == f"2: {verb} /a"
    assert facts(channel)["file.mode"] == mode


POSIX_RENAME, LSETSTAT = b"posix-rename@openssh.com", b"lsetstat@openssh.com"
ONE_BY_ONE: list[tuple[Request, str, dict[str, Any]]] = [
    (Request(Type.REMOVE, 1, path=b"/a"), "remove /a", {"file.path": "/a"}),
    (
        Request(Type.MKDIR, 1, path=b"d", attributes=Attributes(mode=0o777)),
        "mkdir d",
        {"file.attributes": "mode 777"},
    ),
    (Request(Type.RMDIR, 1, path=b"/d/"), "rmdir /d/", {"file.path": "/d"}),
    (
        Request(Type.RENAME, 1, path=b"/a", to=b"b"),
        "rename /a",
        {"file.path": "/a", "file.to": "/srv/app/b"},
    ),
    (Request(Type.SYMLINK, 1, path=b"/etc/passwd", to=b"/x"), "link /etc/passwd", {"file.to": "/x"}),
    (
        Request(Type.SYMLINK, 1, path=b"../passwd", to=b"/etc/x/y"),
        "link ../passwd",
        {"file.path": "/etc/passwd", "file.to": "/etc/x/y"},
    ),
    (
        Request(Type.SYMLINK, 1, path=b"a", to=b"b"),
        "link a",
        {"file.path": "/srv/app/a", "file.to": "/srv/app/b"},
    ),
    (Request(Type.STAT, 1, path=b"/a/../b"), "stat /a/../b", {"file.path": "/b"}),
    (Request(Type.LSTAT, 1, path=b"../x"), "stat ../x", {"file.path": "/srv/x"}),
    (Request(Type.READLINK, 1, path=b"/x"), "stat /x", {"file.path": "/x"}),
    (Request(Type.REALPATH, 1, path=b"."), "realpath .", {"file.path": "/srv/app"}),
    (Request(Type.OPENDIR, 1, path=b"/"), "list /", {"file.path": "/"}),
    (
        Request(Type.SETSTAT, 1, path=b"/a", attributes=Attributes(size=0)),
        "attributes /a",
        {"file.attributes": "size 0", "file.mode": ["truncate"]},
    ),
    (
        Request(Type.EXTENDED, 1, extension=POSIX_RENAME, path=b"/a", to=b"/b"),
        "rename /a",
        {"file.to": "/b", "file.extension": "posix-rename@openssh.com"},
    ),
    (
        Request(Type.EXTENDED, 1, extension=b"hardlink@openssh.com", path=b"/a", to=b"/b"),
        "link /a",
        {"file.path": "/a", "file.to": "/b"},
    ),
    (
        Request(Type.EXTENDED, 1, extension=LSETSTAT, path=b"/a", attributes=Attributes(times=(1, 2))),
        "attributes /a",
        {"file.attributes": "times 1 2"},
    ),
    (
        Request(Type.EXTENDED, 1, extension=b"statvfs@openssh.com", path=b"/a"),
        "stat /a",
        {"file.path": "/a"},
    ),
    (
        Request(Type.EXTENDED, 1, extension=b"expand-path@openssh.com", path=b"~/a"),
        "realpath ~/a",
        {"file.path": "~/a", "file.unknown": "the target makes a path of it"},
    ),
    (
        Request(Type.EXTENDED, 1, extension=b"home-directory", path=b"root"),
        "realpath root",
        {"file.path": "root"},
    ),
    (Request(Type.EXTENDED, 1, extension=b"limits@openssh.com"), "extended ", {}),
    (Request(Type.EXTENDED, 1, extension=b"users-groups-by-id@openssh.com"), "extended ", {}),
]


@pytest.mark.parametrize(("request_", "line", "known"), ONE_BY_ONE, ids=[line for _, line, _ in ONE_BY_ONE])
def test_each_other_operation_is_an_exchange(
    channel: Channel, request_: Request, line: str, known: dict[str, Any]
) -> None:
    channel.client(request_)
    story = channel.take()
    assert story[0] == f"2: {line}"
    assert story[1].startswith("target sees ")
    assert known.items() <= facts(channel).items()
    channel.target(Reply(Type.STATUS, 1, code=Code.NO_SUCH_FILE, message=b"No such file"))
    assert channel.take() == ["2: error no such file: No such file", "client gets STATUS 1 2 No such file"]


@pytest.mark.parametrize(("request_", "line", "known"), ONE_BY_ONE, ids=[line for _, line, _ in ONE_BY_ONE])
def test_each_can_be_denied_and_the_channel_goes_on(
    request_: Request, line: str, known: dict[str, Any]
) -> None:
    channel = Channel(policy=judging(**{line.split()[0]: "deny"})).greet()
    channel.client(request_, Request(Type.OPEN, 2, path=b"/b", flags=READ))
    verb = line.split()[0]
    assert channel.take() == [
        f"2: {line} deny by no-{verb}",
        "2: denied permission denied: not here",
        "client gets STATUS 1 3 not here (Ask first.)",
        "3: read /b",
        "target sees OPEN 2 /b",
    ]


def test_a_listing_is_recorded_as_it_is_shown(channel: Channel) -> None:
    channel.client(Request(Type.OPENDIR, 1, path=b"/d"))
    channel.target(Reply(Type.HANDLE, 1, handle=b"d"))
    channel.client(Request(Type.READDIR, 2, handle=b"d"))
    names = ((b"a", b"-rw-r--r-- 1 a", Attributes(size=1)), (b"b\n", b"", Attributes()))
    channel.target(Reply(Type.NAME, 2, names=names))
    channel.client(Request(Type.READDIR, 3, handle=b"d"))
    channel.target(eof(3))
    channel.client(Request(Type.CLOSE, 4, handle=b"d"))
    channel.target(ok(4))
    assert channel.take() == [
        "2: list /d",
        "target sees OPENDIR 1 /d",
        "client gets HANDLE 1 d",
        "target sees READDIR 2 d",
        "2: < -rw-r--r-- 1 a\nb\\x0a\n",
        "client gets NAME 2 a b\n",
        "target sees READDIR 3 d",
        "client gets STATUS 3 1 End of file",
        "target sees CLOSE 4 d",
        "client gets STATUS 4 0 Success",
        "2: ok",
    ]


def test_what_waits_for_people_holds_up_no_other() -> None:
    channel = Channel(policy=judging(write="pending")).greet()
    channel.client(Request(Type.OPEN, 1, path=b"/a", flags=NEW), Request(Type.STAT, 2, path=b"/b"))
    channel.target(Reply(Type.ATTRS, 2, attributes=Attributes(size=3)))
    assert channel.take() == [
        "2: write /a pending by no-write",
        "3: stat /b",
        "target sees STAT 2 /b",
        "3: < size 3\n",
        "3: ok",
        "client gets ATTRS 2",
    ]
    (asked,) = channel.desk.operations
    # what an approval is bound to
    assert (asked.text, asked.parameters) == ("/a", ((0, 0, b"write create truncate"),))
    channel.desk.answers[2](True, "", "")
    assert channel.take() == ["target sees OPEN 1 /a"]


def test_what_is_approved_is_done_to_the_file_that_was_judged() -> None:
    channel = Channel(policy=judging(attributes="pending")).greet()
    channel.opened(b"/a", NEW)
    channel.client(
        Request(Type.FSETSTAT, 1, handle=b"h0", attributes=Attributes(mode=0o777)),
        Request(Type.CLOSE, 2, handle=b"h0"),
    )
    channel.target(ok(2))
    channel.opened(b"/b", NEW)
    channel.desk.answers[3](True, "", "")
    assert channel.take() == [
        "3: denied permission denied: the file was closed while people were asked",
        "client gets STATUS 1 3 the file was closed while people were asked (Open it again.)",
    ]


def test_what_people_deny_is_told() -> None:
    channel = Channel(policy=judging(remove="pending")).greet()
    channel.client(Request(Type.REMOVE, 1, path=b"/a"))
    channel.take()
    channel.desk.answers[2](False, "approval apr_1 was denied", "Ask the owner.")
    assert channel.take() == [
        "2: denied permission denied: approval apr_1 was denied",
        "client gets STATUS 1 3 approval apr_1 was denied (Ask the owner.)",
    ]


def test_what_waits_when_the_client_leaves_is_never_done() -> None:
    channel = Channel(policy=judging(remove="pending")).greet()
    channel.client(Request(Type.REMOVE, 1, path=b"/a"))
    channel.take()
    channel.relay.client_ended()
    assert channel.desk.given_up == [2]
    channel.desk.answers[2](True, "", "")
    assert channel.take() == ["2: cancelled"]


def test_answers_to_reads_are_put_in_order(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.client(*[Request(Type.READ, at, handle=b"h0", offset=2 * at, length=2) for at in range(3)])
    channel.take()
    channel.target(Reply(Type.DATA, 2, data=b"ef"), Reply(Type.DATA, 1, data=b"cd"))
    assert channel.take() == []
    channel.target(Reply(Type.DATA, 0, data=b"ab"))
    assert [line for line in channel.take() if line.startswith("client")] == [
        "client gets DATA 0 ab",
        "client gets DATA 1 cd",
        "client gets DATA 2 ef",
    ]
    channel.client(Request(Type.CLOSE, 9, handle=b"h0"))
    channel.target(ok(9))
    assert file_note(channel)["sha256"] == hashlib.sha256(b"abcdef").hexdigest()


def test_answers_that_would_take_too_much_memory_go_on_out_of_order(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "HELD_MOST", 30)
    channel.opened(b"/a", READ)
    channel.client(*[Request(Type.READ, at, handle=b"h0", offset=8 * at, length=8) for at in range(3)])
    channel.take()
    channel.target(Reply(Type.DATA, 2, data=b"c" * 8))
    assert channel.take() == []
    channel.target(Reply(Type.DATA, 1, data=b"b" * 8))
    assert [line for line in channel.take() if line.startswith("client")] == [
        "client gets DATA 1 bbbbbbbb",
        "client gets DATA 2 cccccccc",
    ]
    channel.target(Reply(Type.DATA, 0, data=b"a" * 8))
    channel.client(Request(Type.CLOSE, 9, handle=b"h0"))
    channel.target(ok(9))
    # it began in the middle, and what stands before that came later
    assert (file_note(channel)["order"], file_note(channel)["size"]) == ("not in order", 24)


def test_a_short_answer_is_asked_for_again_and_hashed_in_order(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.client(
        Request(Type.READ, 1, handle=b"h0", offset=0, length=4),
        Request(Type.READ, 2, handle=b"h0", offset=4, length=4),
    )
    channel.target(Reply(Type.DATA, 1, data=b"ab"), Reply(Type.DATA, 2, data=b"efgh"))
    channel.client(Request(Type.READ, 3, handle=b"h0", offset=2, length=2))
    channel.target(Reply(Type.DATA, 3, data=b"cd"))
    channel.client(Request(Type.CLOSE, 4, handle=b"h0"))
    channel.target(ok(4))
    story = [line for line in channel.take() if line.startswith("2: ")]
    assert story == [
        "2: < ab",
        "2: < ",
        "2: [at] offset=4",
        "2: < efgh",
        "2: < ",
        "2: [at] offset=2",
        "2: < cd",
        "2: [file] path=/a direction=download size=8",
        "2: ok",
    ]
    assert file_note(channel)["sha256"] == hashlib.sha256(b"abcdefgh").hexdigest()


def test_what_is_written_with_a_hole_has_no_hash(channel: Channel) -> None:
    channel.opened(b"/a", NEW)
    channel.client(
        Request(Type.WRITE, 1, handle=b"h0", offset=0, data=b"ab"),
        Request(Type.WRITE, 2, handle=b"h0", offset=9, data=b"z"),
        Request(Type.CLOSE, 3, handle=b"h0"),
    )
    channel.target(ok(1), ok(2), ok(3))
    note = file_note(channel)
    assert (note["size"], note["order"], "sha256" in note) == (3, "not in order", False)


def test_a_resumed_transfer_says_where_it_began(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.client(Request(Type.READ, 1, handle=b"h0", offset=1000, length=4))
    channel.target(Reply(Type.DATA, 1, data=b"tail"))
    channel.client(Request(Type.CLOSE, 2, handle=b"h0"))
    channel.target(ok(2))
    note = file_note(channel)
    assert (note["offset"], note["size"]) == (1000, 4)
    assert note["sha256"] == hashlib.sha256(b"tail").hexdigest()


def test_the_record_keeps_a_file_up_to_a_cap_and_the_rest_by_its_hash(channel: Channel) -> None:
    content = bytes(range(256)) * 8192
    channel.opened(b"/a", NEW)
    for at in range(0, len(content), 32768):
        channel.client(Request(Type.WRITE, at, handle=b"h0", offset=at, data=content[at : at + 32768]))
        channel.target(ok(at))
    assert sum(map(len, channel.to_target[-64:])) > len(content)
    channel.client(Request(Type.CLOSE, 3, handle=b"h0"))
    channel.target(ok(3))
    kept = b"".join(body[2] for kind, _, body in channel.journal.entries[-200:] if kind is Kind.TO_TARGET)
    assert content.startswith(kept[-(1 << 20) :])
    digest = hashlib.sha256(content).hexdigest()
    assert [line for line in channel.take() if "truncated" in line] == [
        f"2: [truncated] what=1048576 of a file's 2097152 bytes are recorded; SHA-256 of all: {digest}"
    ]


def test_a_file_that_failed_is_an_error(channel: Channel) -> None:
    channel.opened(b"/a", NEW)
    channel.client(
        Request(Type.WRITE, 1, handle=b"h0", offset=0, data=b"ab"), Request(Type.CLOSE, 2, handle=b"h0")
    )
    channel.target(Reply(Type.STATUS, 1, code=Code.FAILURE, message=b"Disk full"), ok(2))
    assert channel.take()[-1] == "2: error failure: Disk full"


def test_a_file_of_nothing_is_a_file(channel: Channel) -> None:
    channel.opened(b"/a", NEW)
    channel.client(Request(Type.CLOSE, 2, handle=b"h0"))
    channel.target(ok(2))
    assert file_note(channel)["sha256"] == hashlib.sha256(b"").hexdigest()


def test_bounds_of_the_target_are_told_with_ours(channel: Channel) -> None:
    channel.client(Request(Type.EXTENDED, 1, extension=b"limits@openssh.com"))
    channel.target(
        Reply(Type.EXTENDED_REPLY, 1, data=b"".join([n.to_bytes(8, "big") for n in (1 << 30, 4096, 0, 8)]))
    )
    assert channel.take()[-3:-1] == ["2: < packet 262144 read 4096 write 261120 handles 8\n", "2: ok"]
    assert channel.to_client[-1][9:17] == (1 << 18).to_bytes(8, "big")


def test_more_is_never_read_at_once_than_a_packet_takes(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.client(Request(Type.READ, 1, handle=b"h0", offset=0, length=1 << 22))
    assert channel.take() == [f"target sees READ 1 h0 0 {CONTENT_MOST}"]


def test_data_is_copied_between_files_that_are_open(channel: Channel) -> None:
    channel.opened(b"/a", READ, b"h0")
    channel.opened(b"/b", NEW, b"h1", 101)
    copied = Request(Type.EXTENDED, 1, extension=b"copy-data", handle=b"h0", to_handle=b"h1", span=0)
    channel.client(copied)
    channel.target(ok(1))
    assert channel.take()[0] == "4: extended /a"
    assert (facts(channel)["file.path"], facts(channel)["file.to"]) == ("/a", "/b")


def test_a_target_that_leaves_is_on_the_record(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.client(Request(Type.STAT, 1, path=b"/b"))
    channel.take()
    channel.relay.target_ended()
    assert channel.take() == [
        "3: unknown gone: the channel ended before the answer came",
        "2: [file] path=/a direction=download size=0",
        "2: unknown gone: the channel ended before the answer came",
    ]


def test_a_client_that_leaves_has_its_files_cancelled(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.relay.client_ended()
    channel.relay.target_ended()
    assert channel.take()[-1] == "2: cancelled"


def test_a_session_that_is_cut_takes_nothing_more(channel: Channel) -> None:
    channel.opened(b"/a", READ)
    channel.relay.cut("run revoked")
    assert channel.take()[-1] == "2: cancelled cut: run revoked"
    channel.client(Request(Type.STAT, 1, path=b"/b"))
    channel.target(b"anything")
    assert channel.take() == []
