"""Finds passwords in statements and connection strings, so that the record does not hold them.

Known are: `PASSWORD 'x'` in any statement (roles, user mappings, servers, subscriptions), `IDENTIFIED BY`,
`password = 'x'`, libpq's `key=value` strings, URLs with a password before the host or in the query, ADO and
JDBC strings, JSON, and environment variables such as PGPASSWORD, under all the `NAMES`; each also within
string constants, dollar-quoted bodies and comments, at any depth that is used in earnest.

A value never reaches beyond the constant or comment that it stands in: else a comment could hide from the
record the statement that follows it. Only a text with thousands of such places loses more (`effort`).
"""

from typing import NamedTuple

from bodycam.policy.detectors import values
from bodycam.policy.detectors.effort import Effort, Span, TooMuch
from bodycam.policy.detectors.names import Hints, name_end, suspicious, trailing_name
from bodycam.policy.detectors.tokens import Quoted, inside, opened, passed, places
from bodycam.policy.detectors.values import REDACTED, Level

__all__ = ["Found", "find", "suspicious"]

MAX_DEPTH = 8


class Found(NamedTuple):
    """What to redact of a text: spans, in order and apart from each other, and all from `rest` on, if any."""

    spans: list[Span]
    rest: int | None = None


def find(text: bytes) -> Found:
    """Where passwords stand in a text whose encoding keeps ASCII."""
    if Hints(text).next(0) == len(text):
        return Found([])
    level = _level(text, Effort())
    whole, rest = _scan(level, 0)
    if not whole:
        # quotes that do not close are no statement that a server would run: here nothing can hide behind
        # a value, and a stray apostrophe in a message must not shield what comes after it
        level = Level(text, level.style, Effort(), level.found, comments=False)
        rest = min(_flat(level, rest), rest)
    return Found(_merged(level.found, text, rest), None if rest == len(text) else rest)


def _level(text: bytes, effort: Effort, *, comments: bool = True) -> Level:
    return Level(text, values.style_of(text), effort, comments=comments)


def _scan(level: Level, depth: int) -> tuple[bool, int]:
    """Look through one level.

    Returns whether all quotes in it were closed, and how far it was looked at: at depth 0 maybe not all.
    """
    text, size, escaping = level.text, len(level.text), depth > 0
    hints = Hints(text)
    whole, position = True, 0
    while True:
        hint = hints.next(position)
        if hint == size and escaping:
            return whole, size
        position = passed(text, position, hint, backslashes=escaping)
        if position == size:
            return whole, size
        try:
            if position == hint:
                position = _unquoted(level, hints, position)
                continue
            piece = opened(text, position, backslashes=escaping)
            if piece is None:
                position += 1
                continue
            whole = whole and piece.terminated
            position = _into(level, piece, depth) if piece.after > hint else piece.after
        except TooMuch:
            if depth:
                raise
            # whether what was not looked at closes its quotes is not known
            return False, position


def _flat(level: Level, until: int) -> int:
    """Look for names of passwords without regard to what they stand in; returns how far it was looked at."""
    hints = Hints(level.text)
    position = 0
    while (hint := hints.next(position)) < until:
        try:
            position = _unquoted(level, hints, hint)
        except TooMuch:
            return hint
    return until


def _unquoted(level: Level, hints: Hints, at: int) -> int:
    """Take what the hint at `at`, outside of quotes, leads to; returns where to go on."""
    level.effort.place()
    text = level.text
    if text.startswith(b"://", at):
        span = values.userinfo(text, at, hints.url_end(at + 3))
        if span is not None:
            level.found.append(span)
        return at + 3
    end = name_end(text, at)
    # the hint may be a name with backslashes in it, which is one in a constant only
    return at + 1 if end == at else values.after_name(level, at, end)


def _into(level: Level, piece: Quoted, depth: int) -> int:
    """Look through a quoted piece; returns where to go on."""
    text, effort = level.text, level.effort
    effort.place()
    content = inside(text, piece)
    if piece.quote == b'"' and trailing_name(content):
        return values.after_name(level, piece.start, piece.after, quoted=True)
    if not effort.may_look_into(len(content)):
        level.take(piece)
    elif Hints(content).next(0) < len(content):
        within = _level(content, effort, comments=depth + 1 < MAX_DEPTH)
        if within.comments:
            _scan(within, depth + 1)
        else:
            _flat(within, len(content))
        level.found.extend(places(text, piece, within.found))
    if piece.quote not in (b"--", b"/*") and values.ends_with_name(content):
        return values.after_concatenation(level, piece.after)
    return piece.after


def _merged(found: list[Span], text: bytes, rest: int) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(found):
        end = min(end, rest)
        if start >= end or (end - start == len(REDACTED) and text.startswith(REDACTED, start)):
            continue
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
