"""What goes over the wire of the old scp (OpenSSH's scp.c): control lines and replies.

Who has files sends lines: `C0644 5 name` and five bytes of content, `D0755 0 name` up to `E`, `T` with times
before either. Who takes them answers each with a zero, or with 1 or 2 and a line that says what is wrong.
"""

import re
from typing import Final, final

from bodycam.protocols.ssh.files.fault import FilesFault

LINE_MOST: Final = 2048
"""Bytes of one line; scp takes no longer one."""

WELL: Final = b"\x00"
_FILE: Final = re.compile(rb"([CD])([0-7]{4,5}) ([0-9]{1,18}) ([^\x00\n]+)\n")
_TIMES: Final = re.compile(rb"T[0-9]{1,20} [0-9]{1,6} [0-9]{1,20} [0-9]{1,6}\n")


@final
class Announced:
    """A file with its size in bytes, or a folder, that comes next."""

    __slots__ = ("folder", "mode", "name", "size")

    def __init__(self, folder: bool, mode: int, size: int, name: bytes) -> None:
        self.folder, self.mode, self.size, self.name = folder, mode, size, name


def announced(line: bytes) -> Announced | None:
    """What a line that begins with C or D says; None where it makes no sense."""
    match = _FILE.fullmatch(line)
    if match is None:
        return None
    folder = match[1] == b"D"
    return Announced(folder, int(match[2], 8), 0 if folder else int(match[3]), match[4])


def are_times(line: bytes) -> bool:
    """Whether a line says times, and nothing else."""
    return _TIMES.fullmatch(line) is not None


def trouble(why: str) -> bytes:
    """The reply, or the line in place of a file, that says why there is none."""
    said = " ".join(why.split())[: LINE_MOST - 64]
    return b"\x01scp: bodycam: " + said.encode("utf-8", "backslashreplace")[: LINE_MOST - 64] + b"\n"


@final
class Lines:
    """What one side sends, held until it can be told what it is; `who` it is, for errors."""

    __slots__ = ("_held", "_who")

    def __init__(self, who: str) -> None:
        self._who = who
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def __iadd__(self, data: bytes) -> "Lines":
        self._held += data
        return self

    @property
    def first(self) -> int:
        """The first byte of what is held."""
        return self._held[0]

    def take(self, size: int) -> bytes:
        """So many bytes, or as many as are there."""
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def line(self) -> bytes | None:
        """A whole line with its end; None while it is not whole.

        Raises:
            FilesFault: it is longer than any may be.
        """
        end = self._held.find(b"\n", 0, LINE_MOST) + 1
        if not end:
            if len(self._held) >= LINE_MOST:
                raise FilesFault(f"the {self._who} sent an scp line of more than {LINE_MOST} bytes")
            return None
        return self.take(end)

    def reply(self) -> bytes | None:
        """A whole reply: a zero, or a line; None while it is not whole.

        Raises:
            FilesFault: it is longer than any may be.
        """
        if not self._held:
            return None
        return self.take(1) if self._held[0] == 0 else self.line()

    def clear(self) -> None:
        """Forget all of it."""
        self._held.clear()
