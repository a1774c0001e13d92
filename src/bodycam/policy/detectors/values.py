"""What stands behind the name of a password: the value's place, by the rules of what it stands in."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from bodycam.policy.detectors.effort import Effort, Span
from bodycam.policy.detectors.names import IDENTIFIED, MAX_URL_PASSWORD, WORDY, trailing_name
from bodycam.policy.detectors.tokens import SPACE, WORD, Quoted, blank, double, literal, single, skip

Over = Callable[[bytes, int], int]

# names with which a list of key=value begins; a statement never begins with a name and an equals sign
_FIRST_KEY = re.compile(
    rb"[\s{(\"']{0,8}"
    rb"(?:[a-z_][a-z0-9_]{0,63}|data source|initial catalog|user id|application name)[ \t]{0,8}=",
    re.IGNORECASE,
)
_AUTHORITY_STOP = re.compile(rb"[/?#]")
_QUERY_STOP = re.compile(rb"[\s'\"<>`&#]|\Z")
_SHELL_STOP = re.compile(rb"[\s;&|'\"]|\Z")
_SEMICOLON = re.compile(rb";|\Z")
_SPACE = re.compile(rb"\s|\Z")
_LIBPQ_VALUE = re.compile(rb"(?:[^\s\\]++|\\.?)*+", re.DOTALL)
_SEPARATOR = re.compile(rb":=|=>|==?|:(?!:)")
_BY = re.compile(rb"(?:by|as)(?![\w])", re.IGNORECASE)
_WITH = re.compile(rb"with(?![\w])", re.IGNORECASE)
_PLUGIN = re.compile(rb"[\w\x80-\xff\"`]*+")
_QUOTING = re.compile(rb"quote_literal|quote_nullable", re.IGNORECASE)
# white space as Unicode has it, in UTF-8, and what else it counts as such in ASCII
_BLANKS = re.compile(
    rb"(?:\s|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80)++"
)
_SEPARATORS_BLANKED = bytes.maketrans(b"\x1c\x1d\x1e\x1f", b"    ")
_ASCII_WORD = bytes(code for code in WORD if code < 0x80)
_LOOK_BACK = 512
_PAIR_BACK = 256
REDACTED = b"[redacted]"


class Style(Enum):
    """What a level of text is: a statement, libpq's `key=value` pairs, or pairs parted by semicolons."""

    STATEMENT = "statement"
    PAIRS = "pairs"
    SEMICOLONS = "semicolons"


@dataclass(frozen=True, slots=True)
class Level:
    """One text under the look, the whole or what a constant or comment in it holds, and what is found there.

    `comments` is False where comments are not told apart: skipping them from each name within one would take
    a time that grows with the square of their length.
    """

    text: bytes
    style: Style
    effort: Effort
    found: list[Span] = field(default_factory=list)
    comments: bool = True

    @property
    def over(self) -> Over:
        return skip if self.comments else blank

    def take(self, piece: Quoted) -> int:
        """Redact a quoted piece; returns where to go on."""
        self.found.append((piece.start, piece.end))
        return piece.after


def style_of(text: bytes) -> Style:
    """What kind of text this is, told by how it begins."""
    if _FIRST_KEY.match(text) is None:
        return Style.STATEMENT
    first_pair = text[:512]
    equals = first_pair.find(b"=")
    semicolon = first_pair.find(b";", equals)
    if (
        semicolon > 0
        and b"=" in first_pair[semicolon:]
        and SPACE.isdisjoint(first_pair[equals + 1 : semicolon])
    ):
        return Style.SEMICOLONS
    return Style.PAIRS


def ends_with_name(content: bytes) -> bool:
    """Whether a constant ends where a password would begin, to be put together with the next one."""
    tail = content[-64:]
    bare = tail.rstrip(b" \t\r\n='\"")
    name = trailing_name(bare)
    return bool(name) and (name != WORDY or b"=" in tail[len(bare) :])


def after_concatenation(level: Level, position: int) -> int:
    """Take the constant that `||` or a comma joins to one that ended with a password's name."""
    text, start = level.text, position
    position = skip(text, position)
    if text.startswith(b"||", position):
        position = skip(text, position + 2)
    elif text.startswith(b",", position):
        position = skip(text, position + 1)
    else:
        return start
    if (quoting := _QUOTING.match(text, position)) is not None:
        position = skip(text, quoting.end())
        if not text.startswith(b"(", position):
            return start
        position = skip(text, position + 1)
    piece = literal(text, position)
    return start if piece is None else level.take(piece)


def after_name(level: Level, start: int, end: int, *, quoted: bool = False) -> int:
    """Take the value behind the name at `[start, end)`, if one stands there; returns where to go on."""
    text, over = level.text, level.over
    name = text[start:end].lower()
    if name == IDENTIFIED:
        return _identified(level, start, end)
    behind = text[end : end + 1]
    if not quoted and behind and behind[0] in WORD:
        return end
    position = over(text, end + (behind == b"`"))
    match = _SEPARATOR.match(text, position)
    if match is None:
        if trailing_name(name.rstrip(b'"')) == WORDY:
            return end
        opened = text.startswith(b"(", position)
        piece = literal(text, over(text, position + 1) if opened else position)
        return end if piece is None else _constant(level, piece)
    separator, adjacent = match.group(), position == end
    pairs = separator == b"=" and level.style is not Style.STATEMENT
    position = blank(text, match.end()) if pairs and level.style is Style.PAIRS else over(text, match.end())
    if pairs:
        return _pair(level, position)
    if (piece := literal(text, position)) is not None:
        return _constant(level, piece)
    if text.startswith(b'"', position):
        return level.take(double(text, position, backslashes=separator == b":"))
    if separator == b"=" and adjacent:
        return _bare(level, start, end, position)
    return end


def userinfo(text: bytes, at: int, url_end: int) -> Span | None:
    """The password in the URL whose `://` stands at `at`, and which ends before `url_end`."""
    start = at + 3
    end = min(url_end, start + MAX_URL_PASSWORD)
    if text.rfind(b"@", start, end) < 0:
        return None
    colon = text.find(b":", start, end)
    if colon < 0:
        return None
    slash = _AUTHORITY_STOP.search(text, start, end)
    authority = end if slash is None else slash.start()
    sign = text.rfind(b"@", start, authority)
    if sign < 0:
        # a password with an unescaped slash; a port is digits and then a slash, and no password
        sign = text.rfind(b"@", colon, end)
        if sign < 0 or text[colon + 1 : authority].isdigit() or colon > authority:
            return None
    return (colon + 1, sign) if colon < sign else None


def _identified(level: Level, start: int, end: int) -> int:
    text, over = level.text, level.over
    if text[start - 1 : start].isalnum() or text[start - 1 : start] == b"_":
        return end
    position = over(text, end)
    if _WITH.match(text, position):
        position = over(text, position + 4)
        plugin = literal(text, position)
        if plugin is not None:
            position = plugin.after
        named = _PLUGIN.match(text, position)
        position = over(text, position if named is None else named.end())
    if not _BY.match(text, position):
        return end
    position = over(text, position + 2)
    if text.startswith(b'"', position):
        return level.take(double(text, position))
    piece = literal(text, position)
    return end if piece is None else _constant(level, piece)


def _constant(level: Level, piece: Quoted) -> int:
    """Take a constant with those that a line break joins to it, which PostgreSQL reads as one."""
    text = level.text
    after = level.take(piece)
    while piece.quote == b"'" and piece.terminated:
        position = level.over(text, after)
        if not text.startswith(b"'", position) or text.find(b"\n", after, position) < 0:
            break
        level.effort.place()
        piece = single(text, position, backslashes=piece.backslashes)
        after = level.take(piece)
    return after


def _pair(level: Level, position: int) -> int:
    """A value of a list of pairs: quoted, in braces, or up to the pair's end."""
    text, semicolons = level.text, level.style is Style.SEMICOLONS
    if text.startswith(b"'", position):
        return level.take(single(text, position, backslashes=not semicolons, doubling=semicolons))
    if text.startswith(b'"', position):
        return level.take(double(text, position, backslashes=not semicolons))
    if semicolons:
        closing = b"}" if text.startswith(b"{", position) else b";"
        end = text.find(closing, position)
        end = len(text) if end < 0 else end
        level.found.append((position + (closing == b"}"), end))
        return end
    match = _LIBPQ_VALUE.match(text, position)
    end = position if match is None else match.end()
    level.found.append((position, end))
    return end


def _bare(level: Level, start: int, end: int, position: int) -> int:
    """An unquoted value in a statement's level: only where no expression could stand."""
    text = level.text
    before, adjacent = text[start - 1 : start], position == end + 1
    if before and before in b"?&":
        stop = _QUERY_STOP
    elif before == b";" and adjacent:
        stop = _SEMICOLON
    elif adjacent and text[start:end].isupper() and (before.isupper() or before == b"_" or before >= b"\x80"):
        stop = _SHELL_STOP
    elif adjacent and _follows_pair(text, start):
        stop = _SPACE
    else:
        return end
    match = stop.search(text, position)
    stopped = len(text) if match is None else match.start()
    level.found.append((position, stopped))
    return max(end, stopped)


def _follows_pair(text: bytes, start: int) -> bool:
    """Whether the word before the name is a `key=value`, as within a message that quotes a connection string.

    No expression of SQL has two of them with nothing but a blank between.
    """
    window = text[max(0, start - _LOOK_BACK) : start]
    word = len(window) - len(window.rstrip(_ASCII_WORD))
    if word == _LOOK_BACK:
        # longer than any name in a statement
        return True
    before = text[max(0, start - word - _PAIR_BACK) : start - word]
    if not before or before[-1] not in SPACE:
        return False
    before = before.translate(_SEPARATORS_BLANKED)
    words = before.rsplit(None, 1) if before.isascii() else _BLANKS.split(before.strip())
    return bool(words) and words[-1].find(b"=") > 0 and not words[-1].endswith((b",", b"=", b"("))
