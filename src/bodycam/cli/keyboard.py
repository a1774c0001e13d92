"""Single keys from a terminal, without Enter and without echo."""

import os
import re
import select
import sys
import termios
import tty
from enum import Enum
from types import TracebackType
from typing import Self


class Key(Enum):
    """What a viewer may press."""

    PAUSE = b" "
    BACK = b"\x1b[D"
    FORWARD = b"\x1b[C"
    FASTER = b"+"
    SLOWER = b"-"
    SKIP = b"s"
    QUIT = b"q"


_ALSO = {b"=": Key.FASTER, b"_": Key.SLOWER, b"\x1bOD": Key.BACK, b"\x1bOC": Key.FORWARD, b"\x03": Key.QUIT}
# a control sequence (ECMA-48, 5.4) or a key with Alt is taken whole, lest its last byte pass for a key
_UNKNOWN = re.compile(rb"^(?:\x1b\[[0-?]*[ -/]*[@-~]?|\x1bO.?|\x1b[^\x1b]?|.)", re.DOTALL)
_KEYS = {key.value: key for key in Key} | _ALSO


class Keyboard:
    """Reads keys while the `with` block lasts; the terminal is as before afterwards."""

    def __enter__(self) -> Self:
        self._descriptor = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._descriptor)
        self._typed = b""
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def key(self, seconds: float | None) -> Key | None:
        """The key pressed within the time; None when there was none or one without meaning. None waits."""
        if not self._typed:
            ready, _, _ = select.select([self._descriptor], [], [], seconds)
            if not ready:
                return None
            self._typed = os.read(self._descriptor, 64)
            if not self._typed:
                return Key.QUIT
        key, self._typed = first_key(self._typed)
        return key


def first_key(typed: bytes) -> tuple[Key | None, bytes]:
    """The first of the keys in what was typed, None for one without meaning, and what follows it.

    Keys that are held down or pressed fast come together in one read.
    """
    for code, key in _KEYS.items():
        if typed.startswith(code):
            return key, typed[len(code) :]
    return None, _UNKNOWN.sub(b"", typed, count=1)
