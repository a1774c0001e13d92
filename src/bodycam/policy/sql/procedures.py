"""The statements in a PL/pgSQL body, by PL/pgSQL's own grammar (libpg_query has it too).

Only the body is handed over, in a statement of our own around it: in trials, statements in which the body's
option was missing or doubled ended the process, millions of mutated bodies did not.
"""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from postgast import pg_query_pb2 as tokens
from postgast.scan import scan

from bodycam.policy.sql.parser import DYNAMIC_SQL, TOO_DEEP, Form, Refused, encoded, parse_procedure


class Head(StrEnum):
    """What stands before a body, as far as its grammar cares: what RETURN may be followed by, NEW and OLD."""

    BLOCK = "do"
    PROCEDURE = "create procedure f({}) language plpgsql as"
    NOTHING = "create function f({}) returns void language plpgsql as"
    VALUE = "create function f({}) returns int language plpgsql as"
    OUT_PARAMETERS = "create function f({}) language plpgsql as"
    ONES = "create function f({}) returns setof int language plpgsql as"
    ROWS = "create function f({}) returns setof record language plpgsql as"
    TRIGGER = "create function f({}) returns trigger language plpgsql as"


@dataclass(frozen=True, slots=True)
class Procedure:
    """A body and what stands before it.

    Its parameters are `(mode, name, type)`, a nameless one with an empty name. Of the type only its shape
    counts: `int` for a plain value, `record` for what may have fields, `refcursor` for what OPEN may open.
    """

    body: str
    head: Head = Head.BLOCK
    parameters: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of SQL in a body, its value run as SQL if `runs`; or `kind`, a statement of PL/pgSQL."""

    text: str = ""
    form: Form = Form.STATEMENTS
    runs: bool = False
    kind: str | None = None


# fields whose expression gives the text of a statement, in the order here: EXECUTE, FOR ... IN EXECUTE,
# RETURN QUERY EXECUTE, OPEN ... FOR EXECUTE
_RUNS: Final = frozenset(
    (
        ("PLpgSQL_stmt_dynexecute", "query"),
        ("PLpgSQL_stmt_dynfors", "query"),
        ("PLpgSQL_stmt_return_query", "dynquery"),
        ("PLpgSQL_stmt_open", "dynquery"),
    )
)
_KINDS: Final = {
    "PLpgSQL_stmt_commit": "commit",
    "PLpgSQL_stmt_rollback": "rollback",
    "PLpgSQL_stmt_fetch": "fetch",
}
# the special variables of a trigger come as broken JSON: https://github.com/pganalyze/libpg_query/issues/337
_TRIGGER: Final = re.compile(rb'(\{"PLpgSQL_rec":\{"refname":"old","dno":1\}\})(?:,\{\}\})+')
# words that begin what acts; each in a body has to be in one of its pieces, or a piece was lost on the way
_ACTING: Final = frozenset(
    (
        tokens.ALTER,
        tokens.CALL,
        tokens.COPY,
        tokens.CREATE,
        tokens.DELETE_P,
        tokens.DO,
        tokens.DROP,
        tokens.GRANT,
        tokens.INSERT,
        tokens.MERGE,
        tokens.REVOKE,
        tokens.SELECT,
        tokens.TRUNCATE,
        tokens.UPDATE,
    )
)


def steps(procedure: Procedure) -> list[Step]:
    """The pieces of SQL in a body, in order; raises Refused if it doesn't parse or a piece can't be told."""
    made = parse_procedure(_wrapped(procedure))
    if procedure.head is Head.TRIGGER:
        made = _TRIGGER.sub(rb"\1", made, count=1)
    try:
        found: list[Step] = []
        _collect(json.loads(made), "", "", found)
        if _acting(procedure.body) > sum(_acting(step.text) for step in found):
            raise Refused(DYNAMIC_SQL)
    except RecursionError:
        raise Refused(TOO_DEEP) from None
    except (ValueError, KeyError, TypeError):
        raise Refused(DYNAMIC_SQL) from None
    return found


def _wrapped(procedure: Procedure) -> bytes:
    number = 0
    while f"$body{number}$" in procedure.body:
        number += 1
    quote = f"$body{number}$"
    parameters = ", ".join(
        '{} "{}" {}'.format(mode, name.replace('"', '""'), shape) if name else f"{mode} {shape}"
        for mode, name, shape in procedure.parameters
    )
    head = procedure.head.format(parameters)
    # the line break keeps a body's end from becoming a part of the quote
    return encoded(f"{head} {quote}{procedure.body}\n{quote}")


def _collect(value: Any, node: str, field: str, found: list[Step]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, node, field, found)
        return
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key == "PLpgSQL_expr":
            form = Form(inner.get("parseMode", 0))
            found.append(Step(inner["query"], form, runs=(node, field) in _RUNS))
        elif key.startswith("PLpgSQL_"):
            if key in _KINDS:
                found.append(Step(kind=_KINDS[key]))
            _collect(inner, key, "", found)
        else:
            _collect(inner, node, key, found)


def _acting(text: str) -> int:
    try:
        return sum(token.token in _ACTING for token in scan(text).tokens)
    except Exception:
        raise Refused(DYNAMIC_SQL) from None
