"""Masks an answer that comes in many small events, on the text that they add up to.

The pieces of each text (a choice's, a block's, a call's arguments) go through a stream of its own and back
into the events, so that events, ids and order stay. What a stream holds back comes with a later piece, or in
an event more before the one that ends the text.
"""

import codecs
import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, final

from bodycam.protocols.http.dialects.dialect import Deltas, Piece, put
from bodycam.protocols.http.dialects.events import Event, Events
from bodycam.protocols.http.dialects.strict import Unclear, shallow
from bodycam.session.masks import HoldingStream

MOST_TEXTS: Final = 64
"""Texts of one answer that are open at once; the oldest goes out when there are more."""

_LINES: Final = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r)?")
_DONE: Final = "[DONE]"


@final
class _Text:
    """One text that is under way, and the last event that brought a piece of it."""

    __slots__ = ("_decoder", "_stream", "event", "like", "piece")

    def __init__(self, stream: HoldingStream) -> None:
        self._stream = stream
        # what a stream gives out may end within a character
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        self.event: Any = None
        self.piece: Piece | None = None
        self.like: Event | None = None

    def feed(self, text: str) -> str:
        return self._text(self._stream.feed(text.encode("utf-8", "surrogatepass")))

    def flush(self) -> str:
        return self._text(self._stream.flush(), final=True)

    @property
    def held(self) -> int:
        return self._stream.held

    def release(self, *, words: bool) -> str:
        return self._text(self._stream.release_words() if words else self._stream.release_held())

    def _text(self, data: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(data, final)
        except UnicodeDecodeError:
            self._decoder.reset()
            return data.decode("utf-8", "replace")


@final
class MaskedEvents:
    """One response's events; what goes on is what came, but for masks and for where pieces are cut."""

    __slots__ = ("_broken", "_deltas", "_events", "_make", "_texts")

    def __init__(self, deltas: Deltas, make: Callable[[], HoldingStream]) -> None:
        self._deltas, self._make, self._events = deltas, make, Events()
        self._texts: dict[tuple[object, ...], _Text] = {}
        # what is too long to be looked into goes through as bytes
        self._broken: HoldingStream | None = None

    def feed(self, content: bytes) -> bytes:
        """Take what came; gives what can go on."""
        out: list[bytes] = []
        for event in self._events.feed(content):
            self._take(event, out)
        return b"".join(out)

    def flush(self) -> bytes:
        """The stream has ended: everything that is held, masked."""
        out: list[bytes] = []
        self._end_broken(out)
        self._end((), out)
        for event in self._events.end():
            self._take(event, out)
        self._end_broken(out)
        return b"".join(out)

    @property
    def held(self) -> int:
        """How many bytes of texts are held back; the beginning of an event does not count."""
        return sum([text.held for text in self._texts.values()]) + (
            0 if self._broken is None else self._broken.held
        )

    def release_held(self) -> bytes:
        """What is held of texts, masked as far as it is known; the beginning of an event is not given out."""
        return self._released(words=False)

    def release_words(self) -> bytes:
        """The same but for words that have begun, which may become something that is masked."""
        return self._released(words=True)

    def _released(self, *, words: bool) -> bytes:
        out: list[bytes] = []
        if self._broken is not None:
            out.append(self._broken.release_held())
        for text in self._texts.values():
            self._more(text, text.release(words=words), out)
        return b"".join(out)

    def _take(self, event: Event, out: list[bytes]) -> None:
        if event.broken:
            if self._broken is None:
                self._broken = self._make()
            out.append(self._broken.feed(event.raw))
            return
        self._end_broken(out)
        if event.data is None:
            out.append(self._once(event.raw))
            return
        if event.data.strip() == _DONE:
            self._end((), out)
        try:
            value, twice = _read(event.data)
        except (ValueError, RecursionError, Unclear):
            out.append(self._once(event.raw))
            return
        changed = self._pieces(event, value, out) or twice
        changed = self._rest(value) or changed
        out.append(self._whole(self._again(event, value) if changed else event.raw))

    def _pieces(self, event: Event, value: Any, out: list[bytes]) -> bool:
        """Put masked pieces into an event; whether any of them changed."""
        changed = False
        ended = self._deltas.ended(value)
        pieces = self._deltas.pieces(value)
        here: set[tuple[object, ...]] = set()
        for piece in pieces:
            text = self._texts.get(piece.key)
            if text is None:
                if len(self._texts) >= MOST_TEXTS:
                    self._end(next(iter(self._texts)), out)
                text = self._texts[piece.key] = _Text(self._make())
            text.event, text.piece, text.like = value, piece, event
            said = text.feed(piece.text)
            if any(piece.key[: len(beginning)] == beginning for beginning in ended):
                said += text.flush()
                here.add(piece.key)
            changed = changed or said != piece.text
            put(value, piece.steps, said)
        for key in here:
            self._texts.pop(key, None)
        for beginning in ended:
            self._end(beginning, out)
        return changed

    def _end(self, beginning: tuple[object, ...], out: list[bytes]) -> None:
        for key in [key for key in self._texts if key[: len(beginning)] == beginning]:
            text = self._texts.pop(key)
            self._more(text, text.flush(), out)

    def _end_broken(self, out: list[bytes]) -> None:
        if self._broken is not None:
            out.append(self._broken.flush())
            self._broken = None

    def _more(self, text: _Text, said: str, out: list[bytes]) -> None:
        """An event more that carries what was held."""
        if said and text.piece is not None and text.like is not None:
            carrier = self._deltas.carrier(text.event, text.piece, said)
            out.append(self._whole(self._again(text.like, carrier, new=True)))

    def _rest(self, value: Any) -> bool:
        """Mask all other texts of an event, each by itself; whether any of them changed."""
        pieces = {(id(_inner(value, one.steps)), one.steps[-1]) for one in self._deltas.pieces(value)}
        changed = False
        leaves: list[tuple[Any, Any, str]] = []
        level: list[Any] = [value]
        while level:
            place = level.pop()
            for key, inner in list(place.items()) if isinstance(place, dict) else list(enumerate(place)):
                if key == "logprobs" and inner:
                    # the same text again, in tokens
                    place[key] = [] if isinstance(inner, list) else None
                    changed = True
                elif isinstance(inner, str) and inner and (id(place), key) not in pieces:
                    leaves.append((place, key, inner))
                elif isinstance(inner, dict | list):
                    level.append(inner)
        joined = "\n".join(leaf for *_, leaf in leaves)
        if self._once_text(joined) == joined:
            return changed
        for place, key, leaf in leaves:
            place[key] = self._once_text(leaf)
        return True

    def _whole(self, raw: bytes) -> bytes:
        """An event as it goes out, masked once more: names of fields tell what values are, or are secrets."""
        words = raw.rstrip(b"\r\n")
        return self._once(words) + raw[len(words) :]

    def _once_text(self, text: str) -> str:
        data = self._once(text.encode("utf-8", "surrogatepass"))
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def _once(self, data: bytes) -> bytes:
        stream = self._make()
        return stream.feed(data) + stream.flush()

    def _again(self, event: Event, value: Any, *, new: bool = False) -> bytes:
        """An event's lines with another value; a `new` one has no id, which would stand twice."""
        data: bytes | None = json.dumps(value, separators=(",", ":")).encode()
        out: list[bytes] = []
        for line in _LINES.findall(event.raw):
            words = line.rstrip(b"\r\n")
            name = _name(words)
            if name == b"data":
                if data is not None:
                    out.append(b"data: " + data + line[len(words) :])
                data = None
            elif not (new and name == b"id"):
                out.append(line)
        return b"".join(out)


def _read(data: str) -> tuple[Any, bool]:
    """A value, a structure, and whether a key stands twice in it.

    Raises:
        ValueError: it is none.
        RecursionError, Unclear: it is nested too deeply.
    """
    twice = False

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice = twice or len(found) != len(pairs)
        return found

    value = json.loads(data, object_pairs_hook=fields, parse_float=_finite, parse_constant=_constant)
    if not isinstance(value, dict | list):
        raise ValueError
    shallow(value)
    return value, twice


def _name(line: bytes) -> bytes:
    return line.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf").partition(b":")[0]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _constant(_: str) -> NoReturn:
    raise ValueError


def _inner(place: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps[:-1]:
        place = place[step]
    return place
