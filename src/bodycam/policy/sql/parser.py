"""Texts to trees, by libpg_query: the parser of PostgreSQL 18 itself, run in this process.

The tree is taken as JSON: parsing to it and loading it takes 10 us for a short statement, where the protobuf
tree takes 15 us and every field read of it costs a call more. What hostile texts did to the parser in trials
is bounded here: left-deep chains (`1+1+1...`) recurse on the C stack, 130,000 links crash a thread of 8 MiB;
runs of operator characters (`/*/*/*...`, `+++...`) are read again from each of their characters.
"""

import json
import re
import threading
from collections.abc import Callable
from ctypes import c_char_p, c_int
from enum import IntEnum
from typing import Any, Final

from postgast.native import PgQueryParseResult, lib
from postgast.pg_query_pb2 import AS, ScanResult
from postgast.scan import scan

Tree = dict[str, Any]

MAX_TEXT: Final = 256 * 1024  # bytes
MAX_TREE: Final = 8 * 1024 * 1024  # bytes of JSON; loaded it takes about 15 times that for a moment
MAX_RUN: Final = 256  # operator characters side by side

# up to here a chain's recursion fits into 256 KiB of stack; beyond, the parser gets a stack of its own
_SMALL_TEXT: Final = 2048
_STACK: Final = 64 * 1024 * 1024  # reserved, not used, but for hostile texts: 512 bytes for each 2 of text
_RUN: Final = re.compile(rf"[~!@#^&|`?+\-*/%<>=]{{{MAX_RUN + 1}}}")

TOO_LARGE: Final = "too large"
TOO_DEEP: Final = "too deep"
INVALID_ENCODING: Final = "invalid encoding"
DOES_NOT_PARSE: Final = "does not parse"
DYNAMIC_SQL: Final = "dynamic sql"


class Refused(Exception):
    """A text that has no tree; the argument is the reason, a word of `SqlFacts.unknown`."""


def encoded(text: str) -> bytes:
    """The bytes of a text as the parser takes them; raises Refused for what can't be one statement's text."""
    if len(text) > MAX_TEXT:
        raise Refused(TOO_LARGE)
    try:
        source = text.encode()
    except UnicodeEncodeError:
        raise Refused(INVALID_ENCODING) from None
    if b"\0" in source:
        raise Refused(INVALID_ENCODING)
    if len(source) > MAX_TEXT:
        raise Refused(TOO_LARGE)
    if len(text) > MAX_RUN and _RUN.search(text) is not None:
        raise Refused(TOO_DEEP)
    return source


class Form(IntEnum):
    """What a text is: statements, or what PL/pgSQL has in their place; by libpg_query's parse modes."""

    STATEMENTS = 0
    EXPRESSION = 2
    ASSIGNMENT = 3
    ASSIGNMENT_TO_FIELD = 4
    ASSIGNMENT_TO_INNER_FIELD = 5


def parse(source: bytes, form: Form = Form.STATEMENTS) -> list[Tree]:
    """The statements of a text, each `{"stmt": ..., "stmt_location": ..., "stmt_len": ...}`; or Refused."""
    if len(source) <= _SMALL_TEXT:
        made = _parse(source, form)
    else:
        made = _with_stack(lambda: _parse(source, form))
    if len(made) > MAX_TREE:
        raise Refused(TOO_LARGE)
    try:
        statements: list[Tree] = json.loads(made).get("stmts", [])
    except RecursionError:
        raise Refused(TOO_DEEP) from None
    return statements


def part(source: bytes, statement: Tree) -> bytes:
    """The text of one statement of several."""
    start, length = statement.get("stmt_location", 0), statement.get("stmt_len", 0)
    return source[start : start + length] if length else source[start:]


def parse_procedure(source: bytes) -> bytes:
    """What libpg_query says of the PL/pgSQL in a text: JSON in form, but not always valid; raises Refused."""
    if len(source) <= _SMALL_TEXT:
        return _parse_procedure(source)
    return _with_stack(lambda: _parse_procedure(source))


def inner_statement(source: bytes) -> str:
    """The statement that a PREPARE prepares, as written: all after the first AS outside parentheses."""
    result: ScanResult = scan(source.decode())
    depth = 0
    for token in result.tokens:
        mark = source[token.start : token.end]
        if mark == b"(":
            depth += 1
        elif mark == b")":
            depth -= 1
        elif token.token == AS and depth == 0:
            return source[token.end :].decode().strip()
    raise Refused(DOES_NOT_PARSE)


# postgast declares the calls that it offers itself; this one has the parse modes
lib.pg_query_parse_opts.argtypes = [c_char_p, c_int]
lib.pg_query_parse_opts.restype = PgQueryParseResult


def _parse(source: bytes, form: int) -> bytes:
    result = lib.pg_query_parse_opts(source, int(form))
    try:
        if result.error:
            message = result.error.contents.message or b""
            raise Refused(TOO_DEEP if b"memory exhausted" in message else DOES_NOT_PARSE)
        made: bytes = result.parse_tree
        return made
    finally:
        lib.pg_query_free_parse_result(result)


def _parse_procedure(source: bytes) -> bytes:
    result = lib.pg_query_parse_plpgsql(source)
    try:
        if result.error:
            raise Refused(DYNAMIC_SQL)
        made: bytes = result.plpgsql_funcs
        return made
    finally:
        lib.pg_query_free_plpgsql_parse_result(result)


_starting = threading.Lock()


def _with_stack(work: Callable[[], bytes]) -> bytes:
    """Run one parse in a thread that has stack enough, while the caller waits."""
    outcome: list[bytes | Exception] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, name="sql parser", daemon=True)
    with _starting:
        before = threading.stack_size(_STACK)
        try:
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    made = outcome[0]
    if isinstance(made, Exception):
        raise made
    return made
