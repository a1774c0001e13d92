"""What stands behind the name of a password: the value's place, by the rules of what it stands in."""

import re
from collections.abc import Callable
from enum import Enum

from bodycam.policy.detectors.tokens import SPACE, WORD, Quoted, double, literal, single, skip

Span = tuple[int, int]
Over = Callable[[str, int], int]

REDACTED = "[redacted]"
_NAMES = ("password", "passwd", "pwd")
# names with which a list of key=value begins; a statement never begins with a name and an equals sign
_FIRST_KEY = re.compile(
    r"[\s{(\"']{0,8}"
    r"(?:[a-z_][a-z0-9_]{0,63}|data source|initial catalog|user id|application name)[ \t]{0,8}=",
    re.IGNORECASE | re.ASCII,
)
_URL_STOP = re.compile(r"[\s'\"<>`|\\]", re.ASCII)
_AUTHORITY_STOP = re.compile(r"[/?#]")
_QUERY_STOP = re.compile(r"[\s'\"<>`&#]", re.ASCII)
_SHELL_STOP = re.compile(r"[\s;&|'\"]", re.ASCII)
_LIBPQ_STOP = re.compile(r"[\s\\]", re.ASCII)
_SEMICOLON = re.compile(";")
_SPACE = re.compile(r"\s", re.ASCII)
_BY = re.compile(r"by\b|as\b", re.IGNORECASE | re.ASCII)
_WITH = re.compile(r"with\b", re.IGNORECASE | re.ASCII)
MAX_URL_PASSWORD = 1024


class Style(Enum):
    """What a level of text is: a statement, libpq's `key=value` pairs, or pairs parted by semicolons."""

    STATEMENT = "statement"
    PAIRS = "pairs"
    SEMICOLONS = "semicolons"


def style_of(text: str) -> Style:
    """What kind of text this is, told by how it begins."""
    if _FIRST_KEY.match(text) is None:
        return Style.STATEMENT
    first_pair = text[:512]
    equals = first_pair.find("=")
    semicolon = first_pair.find(";", equals)
    if (
        semicolon > 0
        and "=" in first_pair[semicolon:]
        and not any(c in SPACE for c in first_pair[equals + 1 : semicolon])
    ):
        return Style.SEMICOLONS
    return Style.PAIRS


def is_keyword(name: str) -> bool:
    """Whether a quoted name is that of a password."""
    return name.lower().endswith(_NAMES)


def ends_with_keyword(content: str) -> bool:
    """Whether a constant ends where a password would begin, to be put together with the next one."""
    return content[-64:].rstrip(" \t\r\n='\"").lower().endswith(_NAMES)


def after_concatenation(text: str, position: int, found: list[Span]) -> int:
    """Take the constant that `||` or a comma joins to one that ended with a password's name."""
    start = position
    position = skip(text, position)
    if text.startswith("||", position):
        position = skip(text, position + 2)
    elif text.startswith(",", position):
        position = skip(text, position + 1)
    else:
        return start
    if text[position : position + 14].lower() in ("quote_literal(", "quote_nullable"):
        position = skip(text, text.find("(", position) + 1)
    piece = literal(text, position)
    if piece is None:
        return start
    found.append((piece.start, piece.end))
    return piece.after


def after_keyword(
    text: str,
    start: int,
    end: int,
    style: Style,
    found: list[Span],
    *,
    quoted: bool = False,
    comments: bool = True,
) -> int:
    """Take the value behind the name at `[start, end)`, if one stands there; returns where to go on.

    `comments` is False where comments are not told apart: skipping them from each name within one would take
    a time that grows with the square of their length.
    """
    if text[start:end].lower() == "identified":
        return _identified(text, start, end, found, skip if comments else _blank)
    over = skip if comments else _blank
    size = len(text)
    if end < size and not quoted and (text[end] in WORD or text[end] >= "\x80"):
        return end
    position = end + 1 if end < size and text[end] == "`" else end
    position = over(text, position)
    separator = _separator(text, position)
    if not separator:
        opened = text.startswith("(", position)
        piece = literal(text, over(text, position + 1) if opened else position)
        return end if piece is None else _constant(text, piece, found, over)
    adjacent = position == end
    position = (
        over(text, position + len(separator))
        if separator != "=" or style is not Style.PAIRS
        else _blank(text, position + 1)
    )
    if style is not Style.STATEMENT and separator == "=":
        return _pair(text, position, style, found)
    if (piece := literal(text, position)) is not None:
        return _constant(text, piece, found, over)
    if text.startswith('"', position):
        return _take(double(text, position, backslashes=separator == ":"), found)
    if separator == "=" and adjacent:
        return _bare(text, start, end, position, found)
    return end


def url_end(text: str, start: int) -> int:
    """Where the run of characters that a URL can have, in which `start` stands, ends."""
    stop = _URL_STOP.search(text, start)
    return len(text) if stop is None else stop.start()


def userinfo(text: str, at: int, run_end: int) -> Span | None:
    """The password in the URL whose `://` stands at `at`, in a run that ends at `run_end`."""
    start = at + 3
    end = min(run_end, start + MAX_URL_PASSWORD)
    if text.rfind("@", start, end) < 0:
        return None
    colon = text.find(":", start, end)
    if colon < 0:
        return None
    slash = _AUTHORITY_STOP.search(text, start, end)
    authority = end if slash is None else slash.start()
    sign = text.rfind("@", start, authority)
    if sign < 0:
        # a password with an unescaped slash; a port is digits and then a slash, and no password
        sign = text.rfind("@", colon, end)
        if sign < 0 or text[colon + 1 : authority].isdigit() or colon > authority:
            return None
    return (colon + 1, sign) if colon < sign else None


def _identified(text: str, start: int, end: int, found: list[Span], over: Over) -> int:
    if start and text[start - 1] in WORD:
        return end
    position = over(text, end)
    if _WITH.match(text, position):
        position = over(text, position + 4)
        plugin = literal(text, position)
        if plugin is not None:
            position = plugin.after
        while position < len(text) and (text[position] in WORD or text[position] in '"`'):
            position += 1
        position = over(text, position)
    if not _BY.match(text, position):
        return end
    position = over(text, position + 2)
    if text.startswith('"', position):
        return _take(double(text, position), found)
    piece = literal(text, position)
    return end if piece is None else _constant(text, piece, found, over)


def _separator(text: str, position: int) -> str:
    head = text[position : position + 2]
    if head in (":=", "=>", "=="):
        return head
    return head[:1] if head[:1] == "=" or (head[:1] == ":" and head != "::") else ""


def _constant(text: str, piece: Quoted, found: list[Span], over: Over) -> int:
    """Take a constant with those that a line break joins to it, which PostgreSQL reads as one."""
    after = _take(piece, found)
    while piece.quote == "'" and piece.terminated:
        position = over(text, after)
        if not text.startswith("'", position) or "\n" not in text[after:position]:
            break
        piece = single(text, position, backslashes=piece.backslashes)
        after = _take(piece, found)
    return after


def _take(piece: Quoted, found: list[Span]) -> int:
    found.append((piece.start, piece.end))
    return piece.after


def _blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in SPACE:
        position += 1
    return position


def _pair(text: str, position: int, style: Style, found: list[Span]) -> int:
    """A value of a list of pairs: quoted, in braces, or up to the pair's end."""
    if text.startswith("'", position):
        doubling = style is Style.SEMICOLONS
        return _take(single(text, position, backslashes=not doubling, doubling=doubling), found)
    if text.startswith('"', position):
        return _take(double(text, position, backslashes=style is Style.PAIRS), found)
    if style is Style.SEMICOLONS:
        closing = "}" if text.startswith("{", position) else ";"
        end = text.find(closing, position)
        end = len(text) if end < 0 else end
        found.append((position + (closing == "}"), end))
        return end
    start = position
    while (stop := _LIBPQ_STOP.search(text, position)) is not None:
        if text[stop.start()] != "\\":
            found.append((start, stop.start()))
            return stop.start()
        position = stop.start() + 2
    found.append((start, len(text)))
    return len(text)


def _bare(text: str, start: int, end: int, position: int, found: list[Span]) -> int:
    """An unquoted value in a statement's level: only where no expression could stand."""
    before = text[start - 1] if start else ""
    if before and before in "?&":
        stop = _QUERY_STOP.search(text, position)
    elif before == ";" and position == end + 1:
        stop = _SEMICOLON.search(text, position)
    elif position == end + 1 and text[start:end].isupper() and before and (before.isupper() or before == "_"):
        stop = _SHELL_STOP.search(text, position)
    elif position == end + 1 and _follows_pair(text, start):
        stop = _SPACE.search(text, position)
    else:
        return end
    stopped = len(text) if stop is None else stop.start()
    found.append((position, stopped))
    return max(end, stopped)


def _follows_pair(text: str, start: int) -> bool:
    """Whether the word before the name is a `key=value`, as within a message that quotes a connection string.

    No expression of SQL has two of them with nothing but a blank between.
    """
    while start and text[start - 1] in WORD:
        start -= 1
    words = text[max(0, start - 256) : start]
    if not words or words[-1] not in SPACE:
        return False
    last = words.split()[-1:]
    return bool(last) and last[0].find("=") > 0 and last[0][-1] not in ",=("
