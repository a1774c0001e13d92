"""Bodies as people read them. They are recorded in the pieces in which they came, cut anywhere."""

import codecs
from typing import Final, final

from bodycam.model.media import Content, media

WORD_MOST: Final = 256
"""Characters of a word that is put together again; one that is longer is no word."""


def body_text(data: bytes, kind: str) -> str:
    """All of a body of that Content-Type."""
    found = media(kind)
    if found.content is Content.BINARY:
        return f"[{len(data)} bytes]"
    return data.decode(found.codec or "utf-8", "backslashreplace")


@final
class BodyText:
    """A body piece by piece: none ends within a character, nor within a word.

    A piece that does end in a word waits for the next, to which that word belongs, or for the body's end.
    """

    __slots__ = ("_decoder", "_held")

    def __init__(self, kind: str) -> None:
        """`kind` is its Content-Type."""
        found = media(kind)
        self._decoder: codecs.IncrementalDecoder | None = None
        if found.content is not Content.BINARY:
            self._decoder = codecs.getincrementaldecoder(found.codec or "utf-8")("backslashreplace")
        self._held = ""

    def take(self, data: bytes) -> str:
        """What can be read by now.

        Raises:
            ValueError: it can't be decoded.
        """
        if self._decoder is None:
            return f"[{len(data)} bytes]"
        text, held = self._decoder.decode(data), self._held
        cut = _word(held)
        told, text = held[:cut], held[cut:] + text
        if text and _is_of_word(text[-1]):
            self._held = text
            return told
        self._held = ""
        return told + text

    def end(self) -> str:
        """What is left, once nothing more comes.

        Raises:
            ValueError: it can't be decoded.
        """
        rest, self._held = self._held, ""
        return rest if self._decoder is None else rest + self._decoder.decode(b"", True)


def _word(text: str) -> int:
    """Where the word begins with which a text ends; its end where that is none."""
    at = len(text)
    least = max(0, at - WORD_MOST)
    while at > least and _is_of_word(text[at - 1]):
        at -= 1
    return len(text) if at == least > 0 else at


def _is_of_word(sign: str) -> bool:
    # bytes that are no text are written with a backslash
    return sign.isalnum() or sign in "_\\"
