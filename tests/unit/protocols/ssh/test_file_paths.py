"""Paths of a server's files: as people and as rules read them."""

import pytest

from bodycam.protocols.ssh.files import scp_command
from bodycam.protocols.ssh.files.paths import resolved, shown, unfit
from bodycam.protocols.ssh.files.scp_command import ScpCommand


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/a b/\xc3\xa4", "/a b/ä"),
        (b"/a\nb\x1b[2J\x7f", "/a\\x0ab\\x1b[2J\\x7f"),
        (b"/a\xff", "/a\\xff"),
        (b"/a\\xff", "/a\\\\xff"),
        (b"/\xc2\x85\xe2\x80\xa8", "/\\xc2\\x85\\xe2\\x80\\xa8"),
        (b"/a\0", "/a\\x00"),
    ],
)
def test_a_path_is_shown_on_one_line_and_like_no_other(path: bytes, expected: str) -> None:
    assert shown(path) == expected


@pytest.mark.parametrize(
    ("path", "home", "expected"),
    [
        (b"/a//b/./c/", b"", "/a/b/c"),
        (b"/a/../../etc", b"", "/etc"),
        (b"/", b"", "/"),
        (b"", b"/srv", "/srv"),
        (b".", b"/srv", "/srv"),
        (b"a/..", b"", "."),
        (b"../../a", b"", "../../a"),
        (b"../etc/passwd", b"/srv", "/etc/passwd"),
        (b"a\xff", b"/srv", "/srv/a\\xff"),
    ],
)
def test_rules_read_it_from_the_root(path: bytes, home: bytes, expected: str) -> None:
    assert resolved(path, home) == expected


def test_what_no_path_may_be() -> None:
    assert unfit(b"/a\0b")
    assert unfit(b"/" + b"a" * 40_000)
    assert not unfit(b"/a\nb\xff")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("scp -t /tmp", ScpCommand(True, False, False, (b"/tmp",))),
        ("scp -v -r -p -d -t -- -odd", ScpCommand(True, True, True, (b"-odd",))),
        ("/usr/bin/scp -rpf 'a b' c", ScpCommand(False, True, False, (b"a b", b"c"))),
        ("scp -f a\\ b", ScpCommand(False, False, False, (b"a b",))),
        ("scp -f '*;x'", ScpCommand(False, False, False, (b"*;x",))),
        ("scp -f \udcff", ScpCommand(False, False, False, (b"\xff",))),
    ],
)
def test_commands_that_are_scp(command: str, expected: ScpCommand) -> None:
    assert scp_command.parsed(command) == expected


@pytest.mark.parametrize(
    "command",
    [
        "", "scp", "scp a host:b", "scp -t", "scp -t a b", "scp -t -f a", "scp -i key -t a", "rsync --server . /a",
        "scp -t a; rm b", "scp -t a && rm b", "scp -t a | tee b", "scp -t a > b", "scp -t $(x)", "scp -t a\nrm b",
        "scp -t 'a", "scpx -t a", "sudo scp -t a", "FOO=1 scp -t a",
    ],
)  # fmt: skip
def test_commands_that_are_not(command: str) -> None:
    assert scp_command.parsed(command) is None
