"""Recorded terminals as asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/), one file each.

A file has what the terminal got, every sequence of it: whoever plays it trusts it as far as the recording.
"""

import json
import re
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TextIO, final

from bodycam.model.terminal_text import TerminalText

LABEL_MOST: Final = 200
OPEN_MOST: Final = 64
"""Terminals of one session that may be open at once; of more nothing is written."""
_SCREEN: Final = re.compile(r"\x1b\[\?(?:47|1047|1049)(?P<way>[hl])")
# ends by a signal are told as shells tell them
_BY_SIGNAL: Final = 128

Create = Callable[[int], TextIO]
"""Gives the file for the terminal of an exchange."""


@final
class Casts:
    """Writes a session's terminals, each to a file of its own, as its transcript's entries come.

    `started` is when the session opened, in seconds of the Unix epoch; `place` names it in titles; `only` is
    the one exchange that is wanted. What was typed is written where `with_input` says so.
    """

    def __init__(
        self, create: Create, started: float, place: str, *, with_input: bool, only: int | None = None
    ) -> None:
        self._create, self._started, self._place = create, started, place
        self._with_input, self._only = with_input, only
        self._asked: dict[int, Mapping[str, Any]] = {}
        self._casts: dict[int, _Cast] = {}
        self.written: list[int] = []
        """The exchanges of which there is a file."""
        self.masked = False
        """Whether the transcript had no output to write."""

    def feed(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Take a transcript."""
        for entry in entries:
            exchange = int(entry.get("exchange") or 0)
            # the first line of a view without values
            self.masked = self.masked or (exchange == 0 and entry.get("what") == "masked")
            if self._only in (None, exchange):
                self._take(exchange, entry)

    def _take(self, exchange: int, entry: Mapping[str, Any]) -> None:
        cast = self._casts.get(exchange)
        match entry.get("type"):
            case "asked":
                self._asked[exchange] = entry
                if len(self._asked) > OPEN_MOST:
                    del self._asked[next(iter(self._asked))]
            case "terminal" if cast is None and exchange in self._asked and len(self._casts) < OPEN_MOST:
                self._casts[exchange] = self._begun(exchange, entry)
            case "terminal" if cast is not None:
                cast.resized(entry)
            case "frame" if cast is not None:
                cast.frame(entry, with_input=self._with_input)
            case "done":
                self._asked.pop(exchange, None)
                if cast is not None:
                    cast.ended(entry)
                    del self._casts[exchange]
            case _:
                pass

    def _begun(self, exchange: int, terminal: Mapping[str, Any]) -> "_Cast":
        asked = self._asked[exchange]
        at, command = int(asked.get("at") or 0), str(asked.get("text") or "")
        size = {"cols": int(terminal["columns"]), "rows": int(terminal["rows"])}
        header: dict[str, Any] = {
            "version": 3,
            "term": size | ({"type": str(terminal["kind"])} if terminal.get("kind") else {}),
            "timestamp": int(self._started + at / 1e6),
        }
        if command:
            header["command"] = command
        header["title"] = f"{self._place} #{exchange}"
        self.written.append(exchange)
        cast = _Cast(self._create(exchange), at)
        cast.line(header)
        if command:
            cast.marked(at, command)
        return cast


@final
class _Cast:
    """One file, whose events follow each other by intervals."""

    def __init__(self, file: TextIO, at: int) -> None:
        self._file, self._at = file, at
        self._text = TerminalText()
        self._elsewhere = False
        # whether a line was sent of which the screen has not shown the end
        self._sent = False

    def line(self, value: object) -> None:
        self._file.write(json.dumps(value) + "\n")

    def marked(self, at: int, label: str) -> None:
        """A command begins."""
        self._event(at, "m", " ".join(label.split())[:LABEL_MOST])

    def resized(self, entry: Mapping[str, Any]) -> None:
        self._event(_at(entry), "r", f"{int(entry['columns'])}x{int(entry['rows'])}")

    def frame(self, entry: Mapping[str, Any], *, with_input: bool) -> None:
        at, data = _at(entry), str(entry.get("data") or "")
        if entry.get("input"):
            if with_input:
                self._event(at, "i", data)
            self._sent = self._sent or (not self._elsewhere and ("\r" in data or "\n" in data))
            return
        ended = self._text.feed(data.encode("utf-8", "replace"))
        if self._sent and ended:
            # the line as the screen shows it: what was typed unseen, such as a password, is not on it
            self._sent = False
            if ended[0].strip():
                self.marked(at, ended[0])
        self._event(at, "o", data)
        for found in _SCREEN.finditer(data):
            self._elsewhere = found["way"] == "h"

    def ended(self, entry: Mapping[str, Any]) -> None:
        status = _status(str(entry.get("tag") or ""))
        if status is not None:
            self._event(_at(entry), "x", str(status))

    def _event(self, at: int, code: str, data: str) -> None:
        # intervals are of the rounded times, so that they add up
        self.line([(max(at, self._at) - self._at) / 1e6, code, data])
        self._at = max(at, self._at)


def _at(entry: Mapping[str, Any]) -> int:
    return int(entry.get("at") or 0)


def _status(tag: str) -> int | None:
    match tag.split():
        case ["exit", number] if number.isdecimal():
            return int(number)
        case ["signal", name] if f"SIG{name}" in signal.Signals.__members__:
            return _BY_SIGNAL + signal.Signals[f"SIG{name}"]
        case _:
            return None
