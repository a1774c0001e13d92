"""What is asked on a channel, as policy sees it, and what a target's allow list says of it."""

from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.model.operation import Operation, Weight
from bodycam.policy.allowing import AllowList, allow_lists
from bodycam.protocols.ssh.asking import FILE_VERBS, Asked, Kind, Terminal, forward
from bodycam.registry import REQUESTS, WANTS

TARGETS = """
targets:
  plain: {protocol: ssh, address: "a:22", user: app, host_keys: ["ssh-ed25519 AAAA"]}
  wide:
    protocol: ssh
    address: "b:22"
    user: app
    host_keys: ["ssh-ed25519 AAAA"]
    allow:
      - {methods: [EXEC, SHELL]}
      - {methods: [FORWARD], paths: ["/db.internal:5432", "/%5B::1%5D:6379"]}
      - {methods: [SOCKET-FORWARD], paths: [/run/app/*]}
"""


def lists() -> dict[str, AllowList]:
    known = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    text = TARGETS.replace("ssh-ed25519 AAAA", known)
    return allow_lists(parse(text, file="f", folder=Path("/srv"), protocols=WANTS), WANTS)


def program(kind: Kind, text: str = "") -> Operation:
    return Asked(kind, text, None, {}).operation("app")


ASKED = {
    "exec": program(Kind.EXEC, "id"),
    "shell": program(Kind.SHELL),
    "sftp": program(Kind.SFTP, "sftp"),
    "subsystem": program(Kind.SUBSYSTEM, "netconf"),
    "database": forward("forward", "db.internal", 5432, "app"),
    "other port": forward("forward", "db.internal", 22, "app"),
    "v6": forward("forward", "[::1]", 6379, "app"),
    "socket": forward("socket-forward", "/run/app/x.sock", 0, "app"),
    "docker": forward("socket-forward", "/run/docker.sock", 0, "app"),
    "beside": forward("socket-forward", "/run/app/../docker.sock", 0, "app"),
    "agent": forward("agent", "the client's agent", 0, "app"),
    "file": Operation("read", "/etc/../etc/passwd", facts={"ssh.kind": "sftp"}),
}


@pytest.mark.parametrize(
    ("target", "allowed"),
    [("plain", {"exec", "sftp", "file"}), ("wide", {"exec", "shell", "database", "v6", "socket", "file"})],
)
def test_a_target_allows_commands_and_files_unless_its_settings_say_other(
    target: str, allowed: set[str]
) -> None:
    made, requests = lists()[target], REQUESTS["ssh"]
    assert {name for name, operation in ASKED.items() if not made.against(operation, requests)} == allowed


def test_what_is_refused_is_named() -> None:
    made, requests = lists(), REQUESTS["ssh"]
    assert made["plain"].against(ASKED["shell"], requests) == "SHELL"
    assert made["plain"].against(ASKED["agent"], requests) == "AGENT"
    assert made["wide"].against(ASKED["other port"], requests) == "FORWARD with this path"
    assert made["wide"].against(ASKED["beside"], requests) == "a path that servers may read in different ways"


def test_a_program_is_told_with_its_account_terminal_and_environment() -> None:
    terminal = Terminal("xterm", (80, 24, 0, 0), {})
    operation = Asked(Kind.EXEC, "top", terminal, {b"LANG": b"C", b"ODD": b"\xff"}).operation("deploy")
    assert (operation.verb, operation.text, operation.weight) == ("exec", "top", Weight.STATEMENT)
    assert operation.facts == {
        "ssh.kind": "exec",
        "ssh.account": "deploy",
        "ssh.method": "EXEC",
        "ssh.path": "/",
        "ssh.env": ("LANG=C", "ODD=\\xff"),
        "ssh.term": "xterm",
        "ssh.columns": 80,
        "ssh.rows": 24,
    }


def test_the_channel_of_files_is_no_statement_and_its_files_are_asked_about_themselves() -> None:
    assert (ASKED["sftp"].text, ASKED["sftp"].weight) == ("", Weight.ASIDE)
    assert REQUESTS["ssh"].opening == FILE_VERBS


def test_a_thousand_variables_are_told_in_part() -> None:
    many = {str(number).encode(): b"x" * 10_000 for number in range(1000)}
    env = Asked(Kind.EXEC, "env", None, many).operation("app").facts["ssh.env"]
    assert isinstance(env, tuple)
    assert (len(env), max(map(len, env))) == (64 + 1, 4096 + 3)
    assert env[-1] == "936 more"
