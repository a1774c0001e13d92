"""Single keys from a terminal, without Enter and without echo."""

import os
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
_KEYS = {key.value: key for key in Key} | _ALSO


class Keyboard:
    """Reads keys while the `with` block lasts; the terminal is as before afterwards."""

    def __enter__(self) -> Self:
        self._descriptor = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def key(self, seconds: float | None) -> Key | None:
        """The key pressed within the time; None when there was none or one without meaning. None waits."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if not ready:
            return None
        data = os.read(self._descriptor, 8)
        return Key.QUIT if not data else _KEYS.get(data)
