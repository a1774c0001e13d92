"""Where quoted pieces and comments of a statement begin and end, as PostgreSQL reads them.

https://www.postgresql.org/docs/current/sql-syntax-lexical.html, with standard_conforming_strings on. Every
function is one pass; nothing here backtracks.
"""

import re
from dataclasses import dataclass

# no repetition and no overlap: this can't backtrack, whatever the text
_ESCAPE_STOP = re.compile(r"['\\]")
_DOUBLE_STOP = re.compile(r'["\\]')
_COMMENT_STOP = re.compile(r"/\*|\*/")
SPACE = frozenset(" \t\n\r\f\v")
WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
MAX_TAG = 64


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quoted piece: its inside is `[start, end)`, what follows it begins at `after`."""

    start: int
    end: int
    after: int
    terminated: bool
    backslashes: bool = False
    quote: str = "'"


def single(text: str, opening: int, *, backslashes: bool, doubling: bool = True) -> Quoted:
    """The literal whose opening quote stands at `opening`."""
    start, position, size = opening + 1, opening + 1, len(text)
    while True:
        if backslashes:
            match = _ESCAPE_STOP.search(text, position)
            found = -1 if match is None else match.start()
        else:
            found = text.find("'", position)
        if found < 0:
            return Quoted(start, size, size, False, backslashes)
        if text[found] == "\\":
            position = min(found + 2, size)
        elif doubling and text.startswith("'", found + 1):
            position = found + 2
        else:
            return Quoted(start, found, found + 1, True, backslashes)


def double(text: str, opening: int, *, backslashes: bool = False) -> Quoted:
    """The piece in double quotes whose opening quote stands at `opening`."""
    start, position, size = opening + 1, opening + 1, len(text)
    while True:
        if backslashes:
            match = _DOUBLE_STOP.search(text, position)
            found = -1 if match is None else match.start()
        else:
            found = text.find('"', position)
        if found < 0:
            return Quoted(start, size, size, False, backslashes, '"')
        if text[found] == "\\":
            position = min(found + 2, size)
        elif text.startswith('"', found + 1):
            position = found + 2
        else:
            return Quoted(start, found, found + 1, True, backslashes, '"')


def dollar(text: str, opening: int) -> Quoted | None:
    """The dollar-quoted literal that begins at `opening`, or None if no tag stands there."""
    if opening and (text[opening - 1] in WORD or text[opening - 1] >= "\x80"):
        return None
    close = text.find("$", opening + 1, opening + MAX_TAG + 2)
    if close < 0:
        return None
    name = text[opening + 1 : close]
    if name and (name[0].isdigit() or any(char not in WORD and char < "\x80" for char in name)):
        return None
    tag = text[opening : close + 1]
    end = text.find(tag, close + 1)
    if end < 0:
        return Quoted(close + 1, len(text), len(text), False, quote=tag)
    return Quoted(close + 1, end, end + len(tag), True, quote=tag)


def line_comment(text: str, opening: int) -> Quoted:
    """The comment whose two dashes stand at `opening`."""
    end = text.find("\n", opening)
    end = len(text) if end < 0 else end
    return Quoted(opening + 2, end, end, True, quote="--")


def block_comment(text: str, opening: int) -> Quoted:
    """The comment, perhaps with others within it, that begins at `opening`."""
    depth, position = 1, opening + 2
    while (match := _COMMENT_STOP.search(text, position)) is not None:
        position = match.end()
        depth += 1 if match.group() == "/*" else -1
        if not depth:
            return Quoted(opening + 2, match.start(), position, True, quote="/*")
    return Quoted(opening + 2, len(text), len(text), False, quote="/*")


def skip(text: str, position: int) -> int:
    """The first place at or after `position` that is neither white space nor within a comment."""
    size = len(text)
    while position < size:
        if text[position] in SPACE:
            position += 1
        elif text.startswith("--", position):
            position = line_comment(text, position).after
        elif text.startswith("/*", position):
            position = block_comment(text, position).after
        else:
            return position
    return size


def literal(text: str, position: int) -> Quoted | None:
    """The string constant that begins at `position`, with its prefix if it has one; None if there is none."""
    head = text[position : position + 3]
    if head[:1] == "'":
        return single(text, position, backslashes=False)
    if head[:1] == "$":
        return dollar(text, position)
    if head[:2] in ("E'", "e'"):
        return single(text, position + 1, backslashes=True)
    if head[:2] in ("N'", "n'", "B'", "b'", "X'", "x'"):
        return single(text, position + 1, backslashes=False)
    if head in ("U&'", "u&'"):
        return single(text, position + 2, backslashes=False)
    return None


def inside(text: str, piece: Quoted) -> tuple[str, list[int] | None]:
    """The value of a quoted piece, and where in `text` each of its characters began.

    The second is None when they stand in a row from `piece.start` on. Escapes that are no more than one
    character (`\\n`, `\\x41`) keep their letters: passwords are looked for by their names, not decoded.
    """
    raw = text[piece.start : piece.end]
    doubled = piece.quote * 2 if piece.quote in ("'", '"') else ""
    if (not doubled or doubled not in raw) and not (piece.backslashes and "\\" in raw):
        return raw, None
    characters: list[str] = []
    places: list[int] = []
    position, size = 0, len(raw)
    while position < size:
        places.append(piece.start + position)
        char = raw[position]
        if (char == "\\" and piece.backslashes) or (
            char == piece.quote and raw.startswith(doubled, position)
        ):
            position += 1
            char = raw[position] if position < size else char
            char = {"n": "\n", "t": "\t", "r": "\r"}.get(char, char) if piece.backslashes else char
        characters.append(char)
        position += 1
    places.append(piece.end)
    return "".join(characters), places
