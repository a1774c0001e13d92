"""Where the files of the old scp stand: the command names a path, and lines name what is in it."""

from typing import final

from bodycam.protocols.ssh.files.paths import joined
from bodycam.protocols.ssh.files.scp_command import ScpCommand, spreads

Paths = tuple[bytes, ...]
"""Where something may stand: mostly one; two where only the target knows whether it was told a folder."""


@final
class ScpPaths:
    """The folder that a transfer is in, and where what is announced there stands."""

    __slots__ = ("_command", "_folders")

    def __init__(self, command: ScpCommand) -> None:
        self._command = command
        self._folders: list[Paths] = []

    @property
    def depth(self) -> int:
        """How many folders it is in."""
        return len(self._folders)

    def enter(self, paths: Paths) -> None:
        """What follows is in this folder."""
        self._folders.append(paths)

    def leave(self) -> None:
        """The folder has ended."""
        self._folders.pop()

    def of(self, name: bytes) -> Paths:
        """Where what is announced by this name stands. The last one is the likely one."""
        if self._folders:
            return tuple([joined(folder, name) for folder in self._folders[-1]])
        return self._taken(name) if self._command.upload else (self._given(name),)

    def _taken(self, name: bytes) -> Paths:
        told = self._command.paths[0]
        inside = joined(told, name)
        if self._command.folder or told.endswith(b"/") or told.rpartition(b"/")[2] in (b".", b".."):
            return (inside,)
        return (inside, told)

    def _given(self, name: bytes) -> bytes:
        paths = [path.rstrip(b"/") or b"/" for path in self._command.paths]
        for path in paths:
            if path.rpartition(b"/")[2] == name or name in (b".", b".."):
                return path
        folder, slash, _ = next((path for path in paths if spreads(path)), paths[0]).rpartition(b"/")
        return joined(folder or slash, name)
