"""Files by the old scp: judged by their lines, recorded by themselves, refused in scp's own words."""

import hashlib
from typing import Any

import pytest

from bodycam.model.event import Kind
from bodycam.protocols.ssh.files import scp
from tests.playbook.scp_stage import ScpChannel
from tests.playbook.sftp_stage import fault, judging

OK = b"\0"


def facts(channel: ScpChannel) -> list[dict[str, Any]]:
    """Those of the file operations."""
    return [body[3] for kind, _, body in channel.journal.entries if kind is Kind.REQUEST][1:]


def operations(channel: ScpChannel) -> list[str]:
    return [f"{one['file.action']} {one['file.path']}" for one in facts(channel)]


def test_an_upload() -> None:
    channel = ScpChannel("scp -p -t /srv/in/")
    channel.target(OK)
    channel.client(b"T1700000000 0 1700000000 0\n")
    channel.target(OK)
    channel.client(b"C0644 6 notes\n")
    channel.target(OK)
    channel.client(b"one", b"two", OK)
    channel.target(OK)
    channel.scp.client_ended()
    channel.scp.target_ended()
    assert channel.take() == [
        "1: < \0",
        r"client gets '\x00'",
        "1: > T1700000000 0 1700000000 0\n",
        r"target sees 'T1700000000 0 1700000000 0\n'",
        "1: < \0",
        r"client gets '\x00'",
        "2: write /srv/in/notes",
        "1: > C0644 6 notes\n",
        r"target sees 'C0644 6 notes\n'",
        "1: < \0",
        r"client gets '\x00'",
        "2: > onetwo",
        "target sees 'onetwo'",
        "1: > \0",
        r"target sees '\x00'",
        "1: < \0",
        "2: [file] path=/srv/in/notes direction=upload size=6",
        "2: ok",
        r"client gets '\x00'",
    ]
    assert facts(channel) == [
        {
            "ssh.kind": "exec",
            "ssh.account": "",
            "file.via": "scp",
            "file.action": "write",
            "file.path": "/srv/in/notes",
            "file.to": "",
            "file.mode": ["write", "create", "truncate"],
            "file.attributes": "mode 644",
            "file.extension": "",
            "file.unknown": "",
        }
    ]
    notes = [body for kind, _, body in channel.journal.entries if kind is Kind.NOTE]
    assert notes[-1]["sha256"] == hashlib.sha256(b"onetwo").hexdigest()


def test_a_download() -> None:
    channel = ScpChannel("scp -f /srv/out/notes")
    channel.client(OK)
    channel.target(b"C0600 3 notes\n")
    channel.client(OK)
    channel.target(b"abc", OK)
    channel.client(OK)
    assert channel.take() == [
        "1: > \0",
        r"target sees '\x00'",
        "2: read /srv/out/notes",
        "1: < C0600 3 notes\n",
        r"client gets 'C0600 3 notes\n'",
        "1: > \0",
        r"target sees '\x00'",
        "2: < abc",
        "client gets 'abc'",
        "1: < \0",
        r"client gets '\x00'",
        "1: > \0",
        "2: [file] path=/srv/out/notes direction=download size=3",
        "2: ok",
        r"target sees '\x00'",
    ]


def test_an_upload_that_is_denied_never_reaches_the_target() -> None:
    channel = ScpChannel("scp -t -d /srv/in", policy=judging(write="deny"))
    channel.target(OK)
    channel.take()
    channel.client(b"C0644 6 notes\n")
    said = r"\x01scp: bodycam: /srv/in/notes: not here (Ask first.)\n"
    assert channel.take() == [
        "2: write /srv/in/notes deny by no-write",
        "2: denied permission denied: not here",
        "1: < \x01scp: bodycam: /srv/in/notes: not here (Ask first.)\n",
        f"client gets '{said}'",
    ]
    # the next one is judged by itself
    channel.client(b"C0644 6 other\n")
    assert channel.take()[0] == "3: write /srv/in/other deny by no-write"
    assert channel.to_target == []


def test_a_download_that_is_denied_is_told_to_both() -> None:
    channel = ScpChannel("scp -f /srv/out/notes", policy=judging(read="deny"))
    channel.client(OK)
    channel.take()
    channel.target(b"C0600 3 notes\n")
    said = "\x01scp: bodycam: /srv/out/notes: not here (Ask first.)\n"
    assert channel.take()[1:] == [
        "2: denied permission denied: not here",
        f"1: < {said}",
        f"client gets {said!r}",
        f"1: > {said}",
        f"target sees {said!r}",
    ]


def test_a_path_that_may_be_a_folder_is_judged_as_both() -> None:
    channel = ScpChannel("scp -t /etc/cron.d")
    channel.target(OK)
    channel.client(b"C0644 1 job\n")
    assert operations(channel) == ["write /etc/cron.d/job", "write /etc/cron.d"]
    assert "2: ok" in channel.take()


@pytest.mark.parametrize(
    ("command", "lines", "expected"),
    [
        ("scp -t /a/b/../c/", [b"C0644 1 ../x\n"], ["write /a/x"]),
        ("scp -r -d -t dest", [b"D0755 0 t\n", b"C0644 1 f\n"], ["mkdir dest/t", "write dest/t/f"]),
        ("scp -r -t .", [b"D0755 0 t\n"], ["mkdir t"]),
        ("scp -rt dest", [b"D0755 0 t\n", b"C0644 1 f\n"],
         ["mkdir dest/t", "mkdir dest", "write dest/t/f", "write dest/f"]),
        ("scp -f '/var/log/*.log'", [b"C0644 1 app.log\n"], ["read /var/log/app.log"]),
        ("scp -f a /b/c", [b"C0644 1 c\n"], ["read /b/c"]),
        ("scp -r -f /srv/tree/", [b"D0755 0 tree\n", b"C0644 1 f\n"], ["list /srv/tree", "read /srv/tree/f"]),
        ("scp -f /etc/hosts", [b"C0644 1 passwd\n"], ["read /etc/passwd"]),
    ],
)  # fmt: skip
def test_where_a_file_stands(command: str, lines: list[bytes], expected: list[str]) -> None:
    channel = ScpChannel(command)
    sender, taker = channel.target, channel.client
    if "-f" not in command:
        sender, taker = taker, sender
    taker(OK)
    for line in lines:
        sender(line)
        taker(OK)
    assert operations(channel) == expected


def test_folders_end() -> None:
    channel = ScpChannel("scp -r -d -t d")
    channel.target(OK)
    for line in (b"D0755 0 t\n", b"E\n"):
        channel.client(line)
        channel.target(OK)
    channel.client(b"C0644 1 f\n")
    assert operations(channel) == ["mkdir d/t", "write d/f"]


def test_what_waits_for_people_is_held() -> None:
    channel = ScpChannel("scp -d -t d", policy=judging(write="pending"))
    channel.target(OK)
    channel.take()
    channel.client(b"C0644 3 f\n", b"abc", OK)
    assert channel.take() == ["2: write d/f pending by no-write"]
    assert channel.desk.operations[0].parameters == ((0, 0, b"write create truncate mode 644"),)
    channel.desk.answers[2](True, "", "")
    assert channel.take() == ["1: > C0644 3 f\n", r"target sees 'C0644 3 f\n'"]
    channel.target(OK)
    assert "target sees 'abc'" in channel.take()


def test_who_leaves_while_people_are_asked_has_nothing_done() -> None:
    channel = ScpChannel("scp -d -t d", policy=judging(write="pending"))
    channel.target(OK)
    channel.client(b"C0644 3 f\n")
    channel.take()
    channel.scp.client_ended()
    assert (channel.take(), channel.desk.given_up) == (["2: cancelled"], [2])
    channel.desk.answers[2](True, "", "")
    assert channel.take() == []


def test_content_that_comes_before_the_answer_is_no_content_when_that_is_an_error() -> None:
    """A server that could not open the first file reads what follows as lines: so does the gateway."""
    channel = ScpChannel("scp -d -t d")
    channel.target(OK)
    hidden = b"C0777 2 evil\n"
    channel.client(b"C0644 %d f\n" % (len(hidden) + 3), hidden)
    channel.take()
    channel.target(b"\x01scp: d/f: Permission denied\n")
    assert channel.take() == [
        "1: < \x01scp: d/f: Permission denied\n",
        "2: error scp: scp: d/f: Permission denied",
        r"client gets '\x01scp: d/f: Permission denied\n'",
        "3: write d/evil",
        "1: > C0777 2 evil\n",
        r"target sees 'C0777 2 evil\n'",
    ]


def test_what_comes_too_early_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scp, "HELD_MOST", 100)
    channel = ScpChannel("scp -d -t d")
    channel.target(OK)
    assert "without waiting" in fault(lambda: channel.client(b"C0644 999 f\n", b"x" * 200))
    assert channel.take()[-1].startswith("2: error protocol: ")


def test_a_file_that_can_not_be_read_to_its_end() -> None:
    channel = ScpChannel("scp -f /a")
    channel.client(OK)
    channel.target(b"C0600 3 a\n")
    channel.client(OK)
    channel.target(b"ab\0", b"\x01scp: /a: Input/output error\n")
    channel.client(OK)
    assert "2: error scp: scp: /a: Input/output error" in channel.take()


def test_a_target_that_leaves_in_a_file() -> None:
    channel = ScpChannel("scp -f /a")
    channel.client(OK)
    channel.target(b"C0600 3 a\n")
    channel.client(OK)
    channel.target(b"a")
    channel.scp.target_ended()
    assert channel.take()[-1] == "2: unknown gone: the channel ended before the file did"


def test_what_a_shell_says_first_goes_on() -> None:
    channel = ScpChannel("scp -f /a")
    channel.client(OK)
    channel.target(b"No match.\n")
    assert channel.to_client == [b"No match.\n"]


@pytest.mark.parametrize(
    "line",
    [
        b"C0644 -1 f\n", b"C0644 99999999999999999999 f\n", b"C9 1 f\n", b"C0644 1 \n", b"C0644 1 a\0b\n",
        b"E\n", b"T1\n", b"X\n", b"\n", b"C0644 1 " + b"a" * 3000,
    ],
)  # fmt: skip
def test_lines_that_make_no_sense_end_the_channel(line: bytes) -> None:
    channel = ScpChannel("scp -t d")
    channel.target(OK)
    assert fault(lambda: channel.client(line))
    assert channel.to_target == []


def test_answers_that_nobody_asked_for_end_the_channel() -> None:
    channel = ScpChannel("scp -t d")
    channel.target(OK)
    assert "came to nothing" in fault(lambda: channel.target(OK))
