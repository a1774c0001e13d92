"""An answer as it is put together, in bounded memory."""

from collections.abc import Callable, Hashable
from typing import Final, final

from bodycam.protocols.http.dialects.dialect import EVENT_STREAM, Answer, Call
from bodycam.protocols.http.dialects.events import Events
from bodycam.protocols.http.dialects.strict import Unclear, read

MOST_TEXT: Final = 256 << 10
"""Characters of an answer's text that are kept, and as many of all its calls' arguments."""

MOST_CALLS: Final = 128
MOST_BODY: Final = 8 << 20
"""Bytes of a body that is read in one piece."""

_LONGEST: Final = 1024


@final
class Assembly:
    """What was told so far."""

    __slots__ = ("_calls", "_room", "_room_of_calls", "_text", "cut", "error", "finish", "model", "tokens_in",
                 "tokens_out")  # fmt: skip

    def __init__(self) -> None:
        self.model = self.finish = self.error = ""
        self.tokens_in: int | None = None
        self.tokens_out: int | None = None
        self.cut = False
        self._text: dict[Hashable, list[str]] = {}
        self._calls: dict[Hashable, tuple[str, list[str]]] = {}
        self._room = self._room_of_calls = MOST_TEXT

    def say(self, text: object, of: Hashable = None) -> None:
        """More text of one choice or block."""
        if not isinstance(text, str) or not text:
            return
        kept = text[: self._room]
        self.cut = self.cut or len(kept) < len(text)
        if kept:
            self._room -= len(kept)
            self._text.setdefault(of, []).append(kept)

    def call(self, key: Hashable, name: object) -> None:
        """A tool is asked for; a name that comes again is that of the same call."""
        if not isinstance(name, str) or not name:
            return
        if key not in self._calls and len(self._calls) >= MOST_CALLS:
            self.cut = True
            return
        self._calls[key] = (name[:_LONGEST], self._calls[key][1] if key in self._calls else [])

    def argue(self, key: Hashable, more: object) -> None:
        """More of a call's arguments."""
        if not isinstance(more, str) or not more:
            return
        if key not in self._calls:
            self.call(key, "?")
        if key not in self._calls:
            return
        kept = more[: self._room_of_calls]
        self.cut = self.cut or len(kept) < len(more)
        self._room_of_calls -= len(kept)
        self._calls[key][1].append(kept)

    def argued(self, key: Hashable, whole: object) -> None:
        """All of a call's arguments, where the pieces before said nothing."""
        if key in self._calls and not self._calls[key][1]:
            self.argue(key, whole)

    def named(self, model: object) -> None:
        """The model that answers."""
        if isinstance(model, str) and model:
            self.model = model[:_LONGEST]

    def finished(self, why: object) -> None:
        """Why it ended; the first word that is said."""
        if isinstance(why, str) and not self.finish:
            self.finish = why[:_LONGEST]

    def failed(self, error: object) -> None:
        """What went wrong, as a text or as an object with a message."""
        fields = as_fields(error)
        said = fields.get("message") or fields.get("type") or fields.get("code") if fields else error
        if said and not self.error:
            self.error = str(said)[:_LONGEST]

    def used(self, tokens_in: object, tokens_out: object) -> None:
        """Tokens, of which the last word counts."""
        if _count(tokens_in):
            self.tokens_in = int(str(tokens_in))
        if _count(tokens_out):
            self.tokens_out = int(str(tokens_out))

    @property
    def spoken(self) -> bool:
        """Whether any text or call came."""
        return bool(self._text or self._calls)

    def answer(self) -> Answer:
        """All of it."""
        return Answer(
            self.model,
            "\n".join("".join(pieces) for pieces in self._text.values()),
            tuple(Call(name, "".join(pieces)) for name, pieces in self._calls.values()),
            self.tokens_in,
            self.tokens_out,
            self.finish,
            self.error,
            self.cut,
        )


Take = Callable[[Assembly, object], None]
"""Takes what one event, or one body, says."""


@final
class StreamReader:
    """Reads a stream of events, each of them JSON."""

    __slots__ = ("_assembly", "_events", "_take")

    def __init__(self, take: Take) -> None:
        self._take, self._events, self._assembly = take, Events(), Assembly()

    def feed(self, content: bytes) -> None:
        for event in self._events.feed(content):
            if event.broken:
                self._assembly.cut = True
            elif event.data:
                _taken(self._take, self._assembly, event.data.encode())

    def end(self) -> Answer:
        if any(event.raw.strip() for event in self._events.end()):
            self._assembly.cut = True
        return self._assembly.answer()


@final
class WholeReader:
    """Reads one body of JSON."""

    __slots__ = ("_body", "_cut", "_take")

    def __init__(self, take: Take) -> None:
        self._take, self._body, self._cut = take, bytearray(), False

    def feed(self, content: bytes) -> None:
        if self._cut:
            return
        if len(self._body) + len(content) > MOST_BODY:
            self._cut = True
            self._body.clear()
            return
        self._body += content

    def end(self) -> Answer:
        assembly = Assembly()
        assembly.cut = self._cut
        if self._body:
            _taken(self._take, assembly, bytes(self._body))
        return assembly.answer()


def reader(media: str, event: Take, whole: Take) -> StreamReader | WholeReader:
    """What reads a response of a media type."""
    if media.partition(";")[0].strip().lower() == EVENT_STREAM:
        return StreamReader(event)
    return WholeReader(whole)


def as_fields(value: object) -> dict[str, object]:
    """An object; an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """A list; an empty one for everything else."""
    return value if isinstance(value, list) else []


def _taken(take: Take, assembly: Assembly, data: bytes) -> None:
    try:
        value = read(data)
    except Unclear:
        return
    take(assembly, value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
