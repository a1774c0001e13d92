"""What a client asks for on a channel, as policy judges it and the record keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from bodycam.model.operation import ENVIRONMENT, Fact, Operation, Weight

SFTP: Final = "sftp"
ENV_MOST: Final = 64
ENV_LONGEST: Final = 4096

FILE_VERBS: Final = frozenset(
    (
        "read",
        "write",
        "list",
        "stat",
        "remove",
        "rename",
        "mkdir",
        "rmdir",
        "link",
        "attributes",
        "realpath",
        "extended",
    )
)
"""The verbs of what is done with files, each on a channel that was itself asked for."""


class Kind(StrEnum):
    """What a channel is for."""

    EXEC = "exec"
    SHELL = "shell"
    SFTP = "sftp"
    SUBSYSTEM = "subsystem"


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal that a client asked for (RFC 4254, section 6.2): type, size, and modes by their codes."""

    type: str
    size: tuple[int, int, int, int]
    modes: Mapping[int, int] = field(hash=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a program: what for, the command line or subsystem, its terminal and environment."""

    kind: Kind
    text: str
    terminal: Terminal | None
    environment: Mapping[bytes, bytes] = field(hash=False)

    def operation(self, account: str) -> Operation:
        """As policy is asked about it."""
        facts: dict[str, Fact] = {
            "ssh.kind": self.kind.value,
            "ssh.account": account,
            "ssh.method": self.kind.value.upper(),
            "ssh.path": "/",
            ENVIRONMENT: self._variables(),
        }
        if self.kind is Kind.SUBSYSTEM:
            facts["ssh.name"] = self.text
        if self.terminal is not None:
            columns, rows, _, _ = self.terminal.size
            facts |= {"ssh.term": self.terminal.type, "ssh.columns": columns, "ssh.rows": rows}
        weight = Weight.ASIDE if self.kind is Kind.SFTP else Weight.STATEMENT
        text = "" if self.kind is Kind.SFTP else self.text
        return Operation(self.kind.value, text, facts=facts, weight=weight)

    def _variables(self) -> tuple[str, ...]:
        said = [
            f"{_text(name)}={_text(value)[:ENV_LONGEST]}"
            for name, value in list(self.environment.items())[:ENV_MOST]
        ]
        if len(self.environment) > ENV_MOST:
            said.append(f"{len(self.environment) - ENV_MOST} more")
        return tuple(said)


def forward(kind: str, host: str, port: int, account: str) -> Operation:
    """A way on from the target, or back from it."""
    where = f"{host}:{port}" if port else host
    facts: dict[str, Fact] = {
        "ssh.kind": kind,
        "ssh.account": account,
        "ssh.method": kind.upper(),
        # in the form in which allow lists compare paths: an IPv6 address has its brackets escaped
        "ssh.path": f"/{quote(where.strip('/'), safe='/:@')}",
        "forward.host": host,
        "forward.port": port,
    }
    return Operation("forward", where, facts=facts)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
