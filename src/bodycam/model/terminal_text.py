"""What a terminal's output says, as lines of text: no screen, only what each line came to.

Sequences are left out; what goes back over a line (a backspace, a carriage return, an erased end) is done to
it, so that a command that was corrected reads as it was sent. Where a program puts the cursor somewhere else,
a line ends. Every character counts as one column wide.
"""

import codecs
import re
from typing import Final, final

from bodycam.model.escape_sequences import SEQUENCE, begun

LINE_MOST: Final = 4096
"""Characters after which a line ends in any case."""

_TOKEN: Final = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f]+)|(?P<csi>\x1b\[(?P<numbers>[0-9;]*)(?P<last>[@-~]))"
    r"|(?P<other>" + SEQUENCE.pattern.decode() + r")|(?P<control>.)",
    re.DOTALL,
)
_PLAIN: Final = re.compile(rb"[^\x00-\x08\x0b-\x1f\x7f]*\Z")


@final
class TerminalText:
    """One terminal's, or one program's output; pieces may be cut anywhere."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = b""
        self._line: list[str] = []
        self._column = 0
        self._lines: list[str] = []

    @property
    def line(self) -> str:
        """The line that has not ended."""
        return "".join(self._line).rstrip(" ")

    def feed(self, data: bytes) -> list[str]:
        """Take some output; gives the lines that ended."""
        data = (self._rest + data).replace(b"\r\n", b"\n") if data else self._rest
        whole = begun(data)
        if data.endswith(b"\r") and whole == len(data):
            # the line may end with what follows
            whole -= 1
        self._rest = data[whole:]
        text = self._decoder.decode(data[:whole])
        if not self._line and not self._column and _PLAIN.match(data[:whole]):
            *ended, text = text.split("\n")
            self._lines += [one.rstrip(" ") for one in ended]
        for token in _TOKEN.finditer(text):
            self._take(token)
        return self._taken()

    def end(self) -> list[str]:
        """There is no more; gives what is left, if it says anything."""
        text = self._decoder.decode(self._rest.replace(b"\x1b", b""), final=True)
        self._rest = b""
        self._put("".join(one for one in text if one.isprintable()))
        if self.line:
            self._next()
        self._line, self._column = [], 0
        return self._taken()

    def _taken(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    def _take(self, token: re.Match[str]) -> None:
        match token.lastgroup:
            case "text":
                self._put(token["text"])
            case "control":
                self._control(token["control"])
            case "other":
                # index, next line and reverse index leave the line
                if token["other"] in ("\x1bD", "\x1bE", "\x1bM"):
                    self._away()
            case _:
                self._csi(token["last"], token["numbers"])

    def _control(self, one: str) -> None:
        match one:
            case "\n" | "\v" | "\f":
                self._next()
            case "\r":
                self._column = 0
            case "\b":
                self._column = max(0, self._column - 1)
            case _:
                pass

    def _csi(self, last: str, numbers: str) -> None:
        first, _, second = numbers.partition(";")
        count = min(int(first[:5] or 0) or 1, LINE_MOST)
        column, line = self._column, self._line
        match last:
            case "C" | "a":
                self._column = min(column + count, LINE_MOST)
            case "D":
                self._column = max(0, column - count)
            case "G" | "`":
                self._column = count - 1
            case "K" if first in ("", "0"):
                del line[column:]
            case "K":
                line[: len(line) if first == "2" else column + 1] = " " * min(len(line), column + 1)
            case "P":
                del line[column : column + count]
            case "X":
                line[column : column + count] = " " * len(line[column : column + count])
            case "@":
                line[column:column] = " " * count if column < len(line) else ""
            case "H" | "f":
                self._away()
                self._column = min(int(second.partition(";")[0][:5] or 0) or 1, LINE_MOST) - 1
            case "A" | "B" | "E" | "F" | "d" | "e" | "J" | "L" | "M" | "S" | "T" | "u":
                self._away(keeps=last == "J" and first in ("", "0"))
            case _:
                pass

    def _put(self, text: str) -> None:
        column, line = self._column, self._line
        if column > len(line):
            line += " " * (column - len(line))
        line[column : column + len(text)] = text
        self._column = column + len(text)
        if len(line) > LINE_MOST:
            self._next()

    def _next(self) -> None:
        self._lines.append(self.line)
        self._line, self._column = [], 0

    def _away(self, *, keeps: bool = False) -> None:
        """The cursor goes elsewhere; what was erased behind it leaves the line as it is."""
        if keeps:
            del self._line[self._column :]
        elif self.line:
            self._next()
        else:
            self._line, self._column = [], 0


def screen_text(data: bytes) -> str:
    """What a piece of output says, by itself; its lines, divided by line feeds."""
    text = TerminalText()
    return "\n".join([*text.feed(data), *text.end()])
