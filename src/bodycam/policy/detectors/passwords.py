"""Finds passwords in statements and connection strings, so that the record does not hold them.

Known are: `PASSWORD 'x'` in any statement (roles, user mappings, servers, subscriptions), `IDENTIFIED BY`,
`password = 'x'`, libpq's `key=value` strings, URLs with a password before the host or in the query, ADO and
JDBC strings, JSON, and environment variables such as PGPASSWORD; each also within string constants,
dollar-quoted bodies and comments, at any depth that is used in earnest.

A value never reaches beyond the constant or comment that it stands in: else a comment could hide from the
record the statement that follows it.
"""

import re

from bodycam.policy.detectors import values
from bodycam.policy.detectors.tokens import (
    Quoted,
    block_comment,
    dollar,
    double,
    inside,
    line_comment,
    single,
)

Span = tuple[int, int]

MAX_DEPTH = 8
# alternatives of plain characters: no repetition, so no backtracking, whatever the text
_NEXT = re.compile(r"['\"$]|--|/\*|passw(?:or)?d|pwd|identified|://", re.IGNORECASE | re.ASCII)


def suspicious(text: str) -> bool:
    """Whether a closer look is worth its time; False is certain."""
    low = text.lower()
    # spelled out: a loop over the hints costs more than the searches
    return "passw" in low or "pwd" in low or "://" in low or "identified" in low


def suspicious_bytes(value: bytes) -> bool:
    """`suspicious` for bytes of any encoding that keeps ASCII."""
    low = value.lower()
    return b"passw" in low or b"pwd" in low or b"://" in low or b"identified" in low


def spans(text: str) -> list[Span]:
    """Where passwords stand in `text`, in order and apart from each other."""
    found: list[Span] = []
    whole = _scan(text, found, 0)
    if not whole:
        # quotes that do not close are no statement that a server would run: here nothing can hide behind
        # a value, and a stray apostrophe in a message must not shield what comes after it
        _flat(text, found)
    return _merged(found, text)


def _scan(text: str, found: list[Span], depth: int) -> bool:
    """Look through one level; False when a quote in it was not closed."""
    style = values.style_of(text)
    position, whole, run_end = 0, True, 0
    while (match := _NEXT.search(text, position)) is not None:
        at, token = match.start(), match.group()
        match token:
            case "'":
                piece = single(text, at, backslashes=_escapes(text, at))
            case '"':
                piece = double(text, at, backslashes=depth > 0)
            case "$":
                dollared = dollar(text, at)
                if dollared is None:
                    position = at + 1
                    continue
                piece = dollared
            case "--":
                piece = line_comment(text, at)
            case "/*":
                piece = block_comment(text, at)
            case "://":
                position = match.end()
                run_end = run_end if position < run_end else values.url_end(text, position)
                if (span := values.userinfo(text, at, run_end)) is not None:
                    found.append(span)
                continue
            case _:
                position = values.after_keyword(text, match.start(), match.end(), style, found)
                continue
        whole = whole and piece.terminated
        position = _into(text, piece, style, found, depth)
    return whole


def _into(text: str, piece: Quoted, style: values.Style, found: list[Span], depth: int) -> int:
    """Look through a quoted piece; returns where to go on."""
    content, places = inside(text, piece)
    if not suspicious(content):
        return piece.after
    if piece.quote == '"' and values.is_keyword(content):
        return values.after_keyword(text, piece.start, piece.after, style, found, quoted=True)
    within: list[Span] = []
    if depth + 1 < MAX_DEPTH:
        _scan(content, within, depth + 1)
    else:
        _flat(content, within)
    for start, end in within:
        if places is None:
            found.append((piece.start + start, piece.start + end))
        else:
            found.append((places[start], places[end]))
    if piece.quote not in ("--", "/*") and values.ends_with_keyword(content):
        return values.after_concatenation(text, piece.after, found)
    return piece.after


def _flat(text: str, found: list[Span]) -> None:
    """Look for names of passwords without regard to what they stand in."""
    style = values.style_of(text)
    position = run_end = 0
    while (match := _NEXT.search(text, position)) is not None:
        position = match.end()
        token = match.group()
        if token == "://":  # noqa: S105 - not a password
            run_end = run_end if position < run_end else values.url_end(text, position)
            if (span := values.userinfo(text, match.start(), run_end)) is not None:
                found.append(span)
        elif token[0].isalpha():
            position = max(
                position, values.after_keyword(text, match.start(), match.end(), style, found, comments=False)
            )


def _escapes(text: str, at: int) -> bool:
    """Whether the quote at `at` opens an E'' constant."""
    if not at or text[at - 1] not in "eE":
        return False
    return at < 2 or not (text[at - 2].isalnum() or text[at - 2] in "_$")


def _merged(found: list[Span], text: str) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(found):
        if start >= end or text[start:end] == values.REDACTED:
            continue
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
