"""Where quoted pieces and comments of a statement begin and end, as PostgreSQL reads them.

https://www.postgresql.org/docs/current/sql-syntax-lexical.html, with standard_conforming_strings on. Texts
are bytes in an encoding that keeps ASCII; any other byte counts as a letter, as it does for the server.

Everything runs on a worker's event loop, over text that a stranger wrote: each pattern is possessive, so that
it can't backtrack, and what a text may hold a million of is passed over within one match.
"""

import re
from bisect import bisect_left
from itertools import accumulate, islice
from typing import NamedTuple

SPACE = frozenset(b" \t\n\r\f\v")
WORD = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_" + bytes(range(0x80, 0x100))
)
_LETTER = rb"\w\x80-\xff"
_PLAIN = rb"'[^']*+(?:''[^']*+)*+"
_ESCAPED = rb"'(?:[^'\\]++|''|\\.?)*+"
_ESCAPE_PREFIX = rb"(?<=[eE])(?<![\w$\x80-\xff][eE])"
_TAG = rb"\$(?:[A-Za-z_\x80-\xff][" + _LETTER + rb"]*+)?+\$"
_COMMENT_DEPTH = 3
_COMMENT_WINDOW = 1 << 16


def _comment(depth: int) -> bytes:
    """A closed block comment with others within it, `depth` deep: no pattern knows them at any depth."""
    within = rb"[^*/]++|\*(?!/)|/(?!\*)" + (b"|" + _comment(depth - 1) if depth else b"")
    return rb"/\*(?:" + within + rb")*+\*/"


def _passing(double: bytes) -> re.Pattern[bytes]:
    """What can be passed over: plain text, and pieces that are closed before the place where the look ends.

    Bounded, because a group that is referred to forbids a possessive loop: its way back is kept in memory.
    """
    return re.compile(
        rb"(?:[^'\"$\-/:]++"
        rb"|" + _ESCAPE_PREFIX + _ESCAPED + rb"'"
        rb"|(?!" + _ESCAPE_PREFIX + rb")" + _PLAIN + rb"'"
        rb'|"' + double + rb'"'
        rb"|-(?!-)|--[^\n]*+\n"
        rb"|/(?!\*)|" + _comment(_COMMENT_DEPTH) + rb"|:(?://)?+"
        # a dollar opens nothing behind a letter, nor where no tag follows; whether one does must be in sight
        rb"|(?<=["
        + _LETTER
        + rb"])\$|\$(?:[A-Za-z_\x80-\xff]["
        + _LETTER
        + rb"]*+)?+(?=[^$"
        + _LETTER
        + rb"])"
        rb"|\$(?=[0-9])"
        rb"|(?<![" + _LETTER + rb"])(" + _TAG + rb")[^$]*+(?:(?!\1)\$[^$]*+)*+\1"
        rb"){0,2000}",
        re.DOTALL,
    )


_DOUBLE, _DOUBLE_ESCAPED = rb'[^"]*+(?:""[^"]*+)*+', rb'(?:[^"\\]++|""|\\.?)*+'
_PASSING = {False: _passing(_DOUBLE), True: _passing(_DOUBLE_ESCAPED)}
_SINGLES = {
    # whether a backslash escapes, whether a doubled quote is one
    (False, True): re.compile(rb"'([^']*+(?:''[^']*+)*+)('?)"),
    (True, True): re.compile(rb"'((?:[^'\\]++|''|\\.?)*+)('?)", re.DOTALL),
    (True, False): re.compile(rb"'((?:[^'\\]++|\\.?)*+)('?)", re.DOTALL),
}
_DOUBLES = {
    False: re.compile(rb'"(' + _DOUBLE + rb')("?)'),
    True: re.compile(rb'"(' + _DOUBLE_ESCAPED + rb')("?)', re.DOTALL),
}
_DOLLAR_TAG = re.compile(rb"(?<![" + _LETTER + rb"])" + _TAG)
_IS_ESCAPED = re.compile(_ESCAPE_PREFIX)
_COMMENT = re.compile(_comment(_COMMENT_DEPTH))
_COMMENT_SIGN = re.compile(rb"/\*|\*/")
_COMMENT_STEP = {b"/*": 1, b"*/": -1}
_BLANK = re.compile(rb"[ \t\n\r\f\v]*+")
_OVER = re.compile(rb"(?:[ \t\n\r\f\v]++|--[^\n]*+|" + _comment(_COMMENT_DEPTH) + rb")*+")
_LITERAL = re.compile(rb"(?:[eEnNbBxX]|[uU]&)?(?=')")
_PARTS = {
    b"'": re.compile(rb"\\.|''|[^\\']++|.", re.DOTALL),
    b'"': re.compile(rb'\\.|""|[^\\"]++|.', re.DOTALL),
}
_ESCAPES = {
    (b"'", False): re.compile(rb"''"),
    (b"'", True): re.compile(rb"\\.|''", re.DOTALL),
    (b'"', False): re.compile(rb'""'),
    (b'"', True): re.compile(rb'\\.|""', re.DOTALL),
}
_BLANK_ESCAPES = ((b"\\n", b"\n"), (b"\\t", b"\t"), (b"\\r", b"\r"))
_BACKSLASHED = {b"\\" + bytes((code,)): bytes((code,)) for code in range(256)} | dict(_BLANK_ESCAPES)
# by quote: two quotes of the other kind are two characters
_UNESCAPED = {quote: _BACKSLASHED | {quote * 2: quote} for quote in (b"'", b'"')}


class Quoted(NamedTuple):
    """A quoted piece: its inside is `[start, end)`, what follows it begins at `after`."""

    start: int
    end: int
    after: int
    terminated: bool
    backslashes: bool = False
    quote: bytes = b"'"


def passed(text: bytes, position: int, until: int, *, backslashes: bool) -> int:
    """Where, from a place outside of any piece, the first piece begins that is not closed before `until`.

    `until` itself if there is none. `backslashes` says whether they escape within double quotes. The place
    may also be that of a dollar that opens nothing: `opened` tells.
    """
    pattern = _PASSING[backslashes]
    while True:
        match = pattern.match(text, position, until)
        reached = position if match is None else match.end()
        if reached == position:
            return position
        position = reached


def opened(text: bytes, position: int, *, backslashes: bool) -> Quoted | None:
    """The piece that begins at `position`, where `passed` stopped; None if none does."""
    match text[position : position + 1]:
        case b"'":
            return single(text, position, backslashes=_IS_ESCAPED.match(text, position) is not None)
        case b'"':
            return double(text, position, backslashes=backslashes)
        case b"$":
            return dollar(text, position)
        case b"-" if text.startswith(b"--", position):
            return line_comment(text, position)
        case b"/" if text.startswith(b"/*", position):
            return block_comment(text, position)
    return None


def single(text: bytes, opening: int, *, backslashes: bool, doubling: bool = True) -> Quoted:
    """The literal whose opening quote stands at `opening`."""
    match = _SINGLES[backslashes, doubling].match(text, opening)
    assert match is not None
    return Quoted(match.start(1), match.end(1), match.end(), match.end() > match.end(1), backslashes)


def double(text: bytes, opening: int, *, backslashes: bool = False) -> Quoted:
    """The piece in double quotes whose opening quote stands at `opening`."""
    match = _DOUBLES[backslashes].match(text, opening)
    assert match is not None
    return Quoted(match.start(1), match.end(1), match.end(), match.end() > match.end(1), backslashes, b'"')


def dollar(text: bytes, opening: int) -> Quoted | None:
    """The dollar-quoted literal that begins at `opening`, or None if no tag stands there."""
    match = _DOLLAR_TAG.match(text, opening)
    if match is None:
        return None
    tag, start = match.group(), match.end()
    end = text.find(tag, start)
    if end < 0:
        return Quoted(start, len(text), len(text), False, quote=tag)
    return Quoted(start, end, end + len(tag), True, quote=tag)


def line_comment(text: bytes, opening: int) -> Quoted:
    """The comment whose two dashes stand at `opening`."""
    end = text.find(b"\n", opening)
    end = len(text) if end < 0 else end
    return Quoted(opening + 2, end, end, True, quote=b"--")


def block_comment(text: bytes, opening: int) -> Quoted:
    """The comment, perhaps with others within it, that begins at `opening`."""
    match = _COMMENT.match(text, opening)
    if match is not None:
        return Quoted(opening + 2, match.end() - 2, match.end(), True, quote=b"/*")
    depth, position, window, closing = 1, opening + 2, 1024, -1
    while True:
        if closing < position:
            closing = text.find(b"*/", position)
            if closing < 0:
                return Quoted(opening + 2, len(text), len(text), False, quote=b"/*")
        until = position + window
        signs = _COMMENT_SIGN.findall(text, position, until)
        openings = signs.count(b"/*")
        closings = len(signs) - openings
        if closings >= depth:
            depths = list(accumulate(map(_COMMENT_STEP.__getitem__, signs), initial=depth))
            if 0 in depths:
                nth = depths.index(0) - 1
                last = next(islice(_COMMENT_SIGN.finditer(text, position), nth, None))
                return Quoted(opening + 2, last.start(), last.end(), True, quote=b"/*")
        # a sign may stand across the window's end
        position = until - 1 if signs[-1:] != [text[until - 2 : until]] else until
        depth, window = depth + openings - closings, min(window * 2, _COMMENT_WINDOW)


def blank(text: bytes, position: int) -> int:
    """The first place at or after `position` that is no white space."""
    match = _BLANK.match(text, position)
    return position if match is None else match.end()


def skip(text: bytes, position: int) -> int:
    """The first place at or after `position` that is neither white space nor within a comment."""
    while True:
        match = _OVER.match(text, position)
        position = position if match is None else match.end()
        if not text.startswith(b"/*", position):
            return position
        # one that is not closed, or that holds more of them than the pattern knows
        position = block_comment(text, position).after


def literal(text: bytes, position: int) -> Quoted | None:
    """The string constant that begins at `position`, with its prefix if it has one; None if there is none."""
    match = _LITERAL.match(text, position)
    if match is not None:
        return single(text, match.end(), backslashes=match.group() in (b"e", b"E"))
    return dollar(text, position) if text.startswith(b"$", position) else None


def inside(text: bytes, piece: Quoted) -> bytes:
    """The value of a quoted piece.

    Of escapes, only those for white space are decoded, others keep their letter: passwords are looked for by
    their names, and no name is written in escapes.
    """
    raw = text[piece.start : piece.end]
    if piece.backslashes and b"\\" in raw:
        return _unescaped(raw, piece.quote)
    return raw.replace(piece.quote * 2, piece.quote) if piece.quote in (b"'", b'"') else raw


def _unescaped(raw: bytes, quote: bytes) -> bytes:
    spare = next((code for code in range(0xFF, -1, -1) if code not in raw), None)
    if spare is None:
        parts = _PARTS[quote].findall(raw)
        return b"".join(map(_UNESCAPED[quote].get, parts, parts))
    # a dozen times faster: with what is left of the backslashes when each pair has its own sign
    pair = bytes((spare,))
    kept = raw.replace(b"\\\\", pair).replace(quote * 2, quote)
    last = b"\\" if kept.endswith(b"\\") else b""
    for escape, blank_space in _BLANK_ESCAPES:
        kept = kept.replace(escape, blank_space)
    return (kept.replace(b"\\", b"") + last).replace(pair, b"\\")


def places(text: bytes, piece: Quoted, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans of what `inside` gave, as spans of `text`."""
    pattern = _ESCAPES.get((piece.quote, piece.backslashes))
    if pattern is None or not spans:
        return [(piece.start + start, piece.start + end) for start, end in spans]
    # where, in the value, the characters stand that are written as two
    doubles = [
        match.start() - piece.start - before
        for before, match in enumerate(pattern.finditer(text, piece.start, piece.end))
    ]
    return [
        (
            piece.start + start + bisect_left(doubles, start),
            piece.start + end + bisect_left(doubles, end),
        )
        for start, end in spans
    ]
