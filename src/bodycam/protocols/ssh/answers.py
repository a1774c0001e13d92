"""What the gateway itself says to SSH clients: before a login, in banners, and beside a program's output."""

import os
from typing import Final

from bodycam.model.verdict import Verdict
from bodycam.session.approval import ApprovalSaid, ApprovalState

VERSION: Final = "bodycam"

DENIED_STATUS: Final = 126
"""The exit status of what was not let through: as of a command that shells find and may not execute."""

FAILED_STATUS: Final = 255
"""The exit status of what the gateway could not carry out: as of ssh itself when it fails."""

_DISCONNECT: Final = 1
_BY_APPLICATION: Final = 11
_BLOCK: Final = 8


def refusal(message: str, hint: str) -> bytes:
    """Greeting and disconnect of who is turned away before any key exchange (RFC 4253, 4.2 and 11.1)."""
    said = f"{message}. {hint}".encode() if hint else message.encode()
    content = bytes([_DISCONNECT]) + _BY_APPLICATION.to_bytes(4, "big") + _string(said) + _string(b"")
    padding = _BLOCK - (5 + len(content)) % _BLOCK
    if padding < 4:
        padding += _BLOCK
    size = 1 + len(content) + padding
    packet = size.to_bytes(4, "big") + bytes([padding]) + content + os.urandom(padding)
    return f"SSH-2.0-{VERSION}\r\n".encode() + packet


def denied(verdict: Verdict) -> str:
    """What policy would not let through."""
    said = f"denied by rule {verdict.rule}: {verdict.message}"
    return f"{said}\n{verdict.hint}" if verdict.hint else said


def waits(verdict: Verdict, said: ApprovalSaid) -> str:
    """It waits for a person."""
    return f"waiting for approval {said.approval}: {verdict.message}\nA person decides: {where(said)}"


def not_approved(verdict: Verdict, said: ApprovalSaid) -> str:
    """A person said no, or nobody anything."""
    match said.state:
        case ApprovalState.DENIED:
            by = f" by {', '.join(said.by)}" if said.by else ""
            return f"approval {said.approval or 'of this'} was denied{by}: {said.reason or 'no reason given'}"
        case ApprovalState.EXPIRED:
            return f"approval {said.approval} was not given in time\nAsk again."
        case _:
            return (
                f"pending approval {said.approval}: {verdict.message}\n"
                f"Do the same again once a person has approved it: {where(said)}"
            )


def where(said: ApprovalSaid) -> str:
    """Where a person finds an approval."""
    return said.url or f"bodycam approvals show {said.approval}"


def aside(text: str, *, terminal: bool) -> bytes:
    """Lines of the gateway's own beside a program's output; a raw terminal wants its carriage returns."""
    end = "\r\n" if terminal else "\n"
    lines = [f"bodycam: {line}{end}" for line in text.splitlines() or [""]]
    # whatever a server or a rule put into it must not move a terminal's cursor
    return "".join(
        "".join(c if c.isprintable() or c in "\r\n" else "\\x%02x" % ord(c) for c in line)  # noqa: UP031
        for line in lines
    ).encode("utf-8", "replace")


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value
