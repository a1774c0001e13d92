"""JSON (RFC 8259) read so that nobody else can read something else in it.

Parsers differ in what they do with keys that stand twice, keys in other letters (Go's ignores case), marks
of the byte order, invalid UTF-8, numbers without end and what follows the value. Policy must not see another
tool than the server does, so all of these are refused rather than guessed at.
"""

import json
from collections.abc import Mapping
from typing import Final, NoReturn

LONGEST_NAME: Final = 1024
"""Characters of a name (a tool, a model, a method) at most."""

MOST_DEEP: Final = 200
"""Objects and lists within one another; parsers give up at different depths."""

MOST_KEYS: Final = 1000
"""Keys of an object of which some mean something."""

_MOST_NUMBER: Final = 1 << 63


class Unclear(Exception):
    """A body that can't be told for certain; the message says why, without any of its values."""


def read(body: bytes) -> object:
    """The value that a body is.

    Raises:
        Unclear: it is no JSON, or not the same JSON for every reader.
    """
    if not body.strip():
        raise Unclear("there is no body")
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Unclear("it begins with a byte order mark")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unclear("it is not UTF-8") from None
    try:
        value: object = json.loads(text, object_pairs_hook=_once, parse_constant=_constant)
    except Unclear:
        raise
    except RecursionError:
        raise Unclear("it is nested too deeply") from None
    except ValueError:
        raise Unclear("it is no JSON") from None
    shallow(value)
    return value


def mapping(value: object, what: str) -> Mapping[str, object]:
    """An object.

    Raises:
        Unclear: it is something else.
    """
    if isinstance(value, dict):
        return value
    raise Unclear(f"{what} is no object")


def field(fields: Mapping[str, object], name: str) -> object:
    """What stands under a name; None where nothing does.

    Raises:
        Unclear: a key is the same but for its letters' case, or there are too many.
    """
    if len(fields) > MOST_KEYS:
        raise Unclear("an object has too many keys")
    for key in fields:
        if key != name and key.casefold() == name:
            raise Unclear(f"{name} is written in other letters")
    return fields.get(name)


def called(value: object, what: str) -> str:
    """A name.

    Raises:
        Unclear: it is none, is too long, or holds what some readers drop.
    """
    if not isinstance(value, str) or not value:
        raise Unclear(f"{what} has no name")
    if len(value) > LONGEST_NAME:
        raise Unclear(f"the name of {what} is too long")
    # lone surrogates, controls (C servers end at a NUL) and what is invisible
    if not value.isprintable():
        raise Unclear(f"the name of {what} has invisible characters")
    return value


def yes(value: object, what: str) -> bool:
    """A truth; nothing is no.

    Raises:
        Unclear: it is neither.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Unclear(f"{what} is neither true nor false")


def amount(value: object, what: str) -> int:
    """A whole number, -1 for nothing.

    Raises:
        Unclear: it is none, or too large.
    """
    if value is None:
        return -1
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST_NUMBER:
        raise Unclear(f"{what} is no number")
    return value


def compact(value: object) -> str:
    """A value as JSON without blanks, all characters as they are, so that conditions can look for them."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def shallow(value: object) -> None:
    """Nothing, for a value that is not nested too deeply.

    Raises:
        Unclear: it is.
    """
    level: list[object] = [value]
    for _ in range(MOST_DEEP):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        if not inner:
            return
        level = inner
    raise Unclear("it is nested too deeply")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unclear("a key stands twice")
    return fields


def _constant(_: str) -> NoReturn:
    raise Unclear("it has numbers that JSON has not")
