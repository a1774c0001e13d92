"""What went over one channel, as lines that people read: how each way is called, and where pieces end."""

import codecs
from enum import Enum
from typing import Final, final

from bodycam.model.terminal_text import TerminalText
from bodycam.model.transcript import Body, Frame, Output


class Way(Enum):
    """Whither something went, and beside what."""

    INPUT = "stdin"
    OUTPUT = "stdout"
    ERRORS = "stderr"


_FORWARDED: Final = {Way.INPUT: "sent", Way.OUTPUT: "received"}
_FILE: Final = {Way.INPUT: "uploaded", Way.OUTPUT: "downloaded"}
_FORWARDS: Final = frozenset(("forward", "reverse-forward", "socket-forward", "agent", "x11", "tunnel"))
_FILE_VERBS: Final = frozenset(("read", "write"))
_DECODE: Final = codecs.getincrementaldecoder("utf-8")


@final
class Spoken:
    """One exchange's. Lines are told when they end, and the rest with the exchange."""

    def __init__(self, kind: str, verb: str, on_terminal: bool) -> None:
        self.on_terminal = on_terminal
        self._names = _FORWARDED if kind in _FORWARDS else _FILE if verb in _FILE_VERBS else {}
        self._texts = {way: TerminalText() for way in Way}
        self._frames = {way: _DECODE("backslashreplace") for way in Way}

    def take(self, way: Way, data: bytes) -> list[Body]:
        """What a piece says."""
        found: list[Body] = []
        if not data:
            return found
        if self.on_terminal:
            if way is not Way.ERRORS and (frame := self._frames[way].decode(data)):
                found.append(Frame(frame, way is Way.INPUT))
            if way is Way.INPUT:
                # a return ends what is typed, and what most keyboards erase with is a delete
                data = data.replace(b"\r", b"\n").replace(b"\x7f", b"\b \b")
        elif way is Way.INPUT:
            # what was said so far, such as a prompt, came before it
            for before in (Way.OUTPUT, Way.ERRORS):
                self._told(before, self._texts[before].end(), found)
        if not self.on_terminal and is_data(data):
            self._told(way, self._texts[way].end(), found)
            self._told(way, [f"[{len(data)} bytes]"], found)
        elif lines := self._texts[way].feed(data):
            self._told(way, [*lines, ""], found)
        return found

    def end(self) -> list[Body]:
        """It is over: what has not been told."""
        found: list[Body] = []
        for way in Way:
            self._told(way, self._texts[way].end(), found)
        return found

    def _told(self, way: Way, lines: list[str], found: list[Body]) -> None:
        if lines:
            name = "terminal" if self.on_terminal and way is Way.OUTPUT else self._names.get(way, way.value)
            found.append(Output(name, "\n".join(lines)))


def is_data(data: bytes) -> bool:
    """Whether a piece is no text, of an archive or an image."""
    if b"\0" in data:
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return len(data) - len(data.decode("utf-8", "ignore").encode()) > len(data) // 8 + 6
    return False


def said_by(data: bytes) -> str:
    """What the index has of a piece that was all there was: the same as of `Spoken`, joined."""
    if is_data(data):
        return f"[{len(data)} bytes]"
    text = TerminalText()
    lines = text.feed(data)
    told = ("\n".join([*lines, ""]) if lines else "", "\n".join(text.end()))
    return "\n".join(one for one in told if one)
