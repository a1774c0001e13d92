"""The bodies of the events that come with every operation, as CBOR (RFC 8949, section 3), laid out by hand.

They are encoded for each message on the hot path; what is rare goes through cbor2 (`record.encode`). The
reference of every body is `docs/recording-format.md`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from bodycam.model.operation import Fact, Parameter

_NULL: Final = b"\xf6"
_FALSE: Final = b"\xf4"
_TRUE: Final = b"\xf5"
_UNSIGNED: Final = 0x00
_NEGATIVE: Final = 0x20
_BYTES: Final = 0x40
_TEXT: Final = 0x60
_ARRAY: Final = 0x80
_MAP: Final = 0xA0
# names of facts, verbs and the like, as they are written: they come with every operation, and are few
_WORDS: Final[dict[str, bytes]] = {}
_MOST_WORDS: Final = 1024
_LONGEST_WORD: Final = 64
_SMALL: Final = [bytes((number,)) for number in range(256)]


def request(
    verb: str,
    text: str,
    parameters: Sequence[Parameter],
    facts: Mapping[str, Fact],
    weight: str,
    said: Sequence[str] | None,
    redactions: int,
) -> bytes:
    """The body of a REQUEST: what was asked, and what policy said of it if that was not a plain allow.

    Raises:
        UnicodeEncodeError: a text is not valid UTF-8.
    """
    parts: list[bytes] = [b"\x87", _word(verb)]
    _text(parts, text)
    _head(parts, _ARRAY, len(parameters))
    for kind, form, value in parameters:
        parts.append(b"\x83")
        _int(parts, kind)
        _int(parts, form)
        if value is None:
            parts.append(_NULL)
        else:
            _head(parts, _BYTES, len(value))
            parts.append(value)
    _head(parts, _MAP, len(facts))
    for name, fact in facts.items():
        parts.append(_word(name))
        if isinstance(fact, str):
            _text(parts, fact)
        elif isinstance(fact, bool):
            parts.append(_TRUE if fact else _FALSE)
        elif isinstance(fact, tuple):
            _head(parts, _ARRAY, len(fact))
            for word in fact:
                _text(parts, word)
        else:
            _int(parts, fact)
    parts.append(_word(weight))
    if said is None:
        parts.append(_NULL)
    else:
        _head(parts, _ARRAY, len(said))
        for word in said:
            _text(parts, word)
    _int(parts, redactions)
    return b"".join(parts)


def finish(
    outcome: str,
    rows: int,
    to_client: int,
    to_target: int,
    tag: str | None,
    error: Mapping[str, str] | None,
) -> bytes:
    """The body of a FINISH: how an operation ended.

    Raises:
        UnicodeEncodeError: a text is not valid UTF-8.
    """
    parts: list[bytes] = [b"\x86", _word(outcome)]
    _int(parts, rows)
    _int(parts, to_client)
    _int(parts, to_target)
    if tag is None:
        parts.append(_NULL)
    else:
        _text(parts, tag)
    if error is None:
        parts.append(_NULL)
    else:
        _head(parts, _MAP, len(error))
        for name, value in error.items():
            _text(parts, name)
            _text(parts, value)
    return b"".join(parts)


def data(flavor: int, count: int, payload: bytes) -> bytes:
    """The body of a data event: the array `[flavor, count, payload]`."""
    parts: list[bytes] = [b"\x83"]
    _head(parts, _UNSIGNED, flavor)
    _head(parts, _UNSIGNED, count)
    _head(parts, _BYTES, len(payload))
    parts.append(payload)
    return b"".join(parts)


def _int(parts: list[bytes], value: int) -> None:
    if value < 0:
        _head(parts, _NEGATIVE, -1 - value)
    else:
        _head(parts, _UNSIGNED, value)


def _word(word: str) -> bytes:
    """A text that is likely to come again."""
    known = _WORDS.get(word)
    if known is None:
        parts: list[bytes] = []
        _text(parts, word)
        known = b"".join(parts)
        if len(word) <= _LONGEST_WORD:
            if len(_WORDS) >= _MOST_WORDS:
                _WORDS.clear()
            _WORDS[word] = known
    return known


def _text(parts: list[bytes], value: str) -> None:
    encoded = value.encode()
    _head(parts, _TEXT, len(encoded))
    parts.append(encoded)


def _head(parts: list[bytes], major: int, value: int) -> None:
    if value < 24:
        parts.append(_SMALL[major | value])
    elif value < 0x100:
        parts.append(_SMALL[major | 24])
        parts.append(_SMALL[value])
    elif value < 0x10000:
        parts.append(_SMALL[major | 25])
        parts.append(value.to_bytes(2, "big"))
    elif value < 0x1_0000_0000:
        parts.append(_SMALL[major | 26])
        parts.append(value.to_bytes(4, "big"))
    else:
        parts.append(_SMALL[major | 27])
        parts.append(value.to_bytes(8, "big"))
