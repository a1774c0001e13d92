"""The command line with which scp starts itself at the other side (OpenSSH's scp.c, `-t` and `-f`)."""

from dataclasses import dataclass
from typing import Final

from bodycam.protocols.ssh.files.server_command import alone

_FLAGS: Final = frozenset("tfrpdvq1346BCT")
_SPREADS: Final = frozenset(b"*?[{~$`")


@dataclass(frozen=True, slots=True)
class ScpCommand:
    """What scp does there: take files (`upload`), or give those at `paths`, as the shell will spread them.

    `recursive` is with folders, `folder` that the path is one.
    """

    upload: bool
    recursive: bool
    folder: bool
    paths: tuple[bytes, ...]


def parsed(command: str) -> ScpCommand | None:
    """The command where it is an scp server by itself; None for any other, and for more than one command."""
    if not command.lstrip().startswith(("scp", "/")):
        return None
    words = alone(command)
    if not words or words[0].rpartition("/")[2] != "scp":
        return None
    flags: set[str] = set()
    at = 1
    while at < len(words) and words[at].startswith("-") and len(words[at]) > 1:
        at += 1
        if words[at - 1] == "--":
            break
        flags.update(words[at - 1][1:])
    paths = tuple([word.encode("utf-8", "surrogateescape") for word in words[at:]])
    upload = "t" in flags
    if flags - _FLAGS or not paths or upload == ("f" in flags) or (upload and len(paths) > 1):
        return None
    return ScpCommand(upload, "r" in flags, "d" in flags, paths)


def spreads(path: bytes) -> bool:
    """Whether a shell may make something else of a path."""
    return not _SPREADS.isdisjoint(path)
