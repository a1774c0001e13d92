"""Statements without their literals, for those who may not see values."""

from functools import lru_cache
from typing import Final

from postgast.errors import PgQueryError
from postgast.pg_query_pb2 import (
    BCONST,
    C_COMMENT,
    FALSE_P,
    FCONST,
    ICONST,
    SCONST,
    SQL_COMMENT,
    TRUE_P,
    USCONST,
    XCONST,
)
from postgast.scan import scan

from bodycam.policy.sql.parser import Refused, encoded, parse

_LITERALS: Final = frozenset({BCONST, FALSE_P, FCONST, ICONST, SCONST, TRUE_P, USCONST, XCONST})
_COMMENTS: Final = frozenset({C_COMMENT, SQL_COMMENT})
_LONGEST: Final = 16_384
"""Characters of a text that is remembered; statements come again and again."""


def without_literals(text: str) -> str | None:
    """A statement with `?` for each constant and without its comments; None for what can't be read.

    Names stay, quoted ones too. What is no whole statement is not read: of a cut or broken one nobody knows
    where its constants end.
    """
    return _remembered(text) if len(text) <= _LONGEST else _told(text)


def _told(text: str) -> str | None:
    try:
        source = encoded(text)
        parse(source)
        tokens = scan(text).tokens
    except (Refused, PgQueryError):
        return None
    said, end = bytearray(), 0
    for token in tokens:
        said += _between(source[end : token.start])
        if token.token in _LITERALS:
            said += b"?"
        elif token.token in _COMMENTS:
            said += b" "
        else:
            said += source[token.start : token.end]
        end = token.end
    said += _between(source[end:])
    return said.decode().strip()


_remembered = lru_cache(maxsize=1024)(_told)


def _between(gap: bytes) -> bytes:
    """What lies between tokens: white space, and nothing else may."""
    return gap if gap.isspace() else b" " if gap else b""
