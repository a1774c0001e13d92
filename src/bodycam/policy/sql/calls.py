"""Calls of functions, and what a known one does besides returning a value."""

import re
from collections.abc import Mapping
from typing import Final

from bodycam.policy.sql.bodies import run_text
from bodycam.policy.sql.functions import HIDDEN, Effect, Named, effect_of
from bodycam.policy.sql.gathering import spelled, texts
from bodycam.policy.sql.parser import DYNAMIC_SQL
from bodycam.policy.sql.scope import Scope, read_column
from bodycam.policy.sql.settings import assign, constant
from bodycam.policy.sql.walker import Handler, Node, Walker

_PART: Final = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.|$)')


def call(walker: Walker, node: Node, scope: Scope) -> None:
    """A call of a function or an aggregate; its arguments are walked too."""
    gathering = walker.gathering
    parts = texts(node["funcname"])
    if node["funcformat"] == "COERCE_SQL_SYNTAX":
        # EXTRACT, TRIM, AT TIME ZONE: the schema is the grammar's, nobody wrote it
        parts = parts[-1:]
    name = gathering.named(parts)
    gathering.functions[name] = None
    arguments = node.get("args", [])
    effect = effect_of(parts[-2] if len(parts) > 1 else None, parts[-1])
    if effect is not None:
        _acts(walker, effect, name, arguments)
        if parts[-1] == "set_config":
            _set_config(walker, arguments)
    for field, inner in node.items():
        if field != "funcname" and (inner.__class__ is list or inner.__class__ is dict):
            walker.walk(inner, scope)


def _attribute(walker: Walker, node: Node, scope: Scope) -> None:
    """`(x).f`: a field of x or, where it has no such field, a call f(x); the text doesn't tell which."""
    arguments: list[Node] = [node["arg"]]
    for step in node["indirection"]:
        name = step.get("String", {}).get("sval")
        if name is None:
            arguments = []
            continue
        _maybe_called(walker, name, arguments)
        arguments = []
    walker.fields(node, scope, "arg", "indirection")


def _column(walker: Walker, node: Node, scope: Scope) -> None:
    """A column, or `g.f` where `g` is what a function gives: a column of it or a call f(g)."""
    fields = node["fields"]
    read_column(walker.gathering, scope, fields)
    if len(fields) == 2 and "String" in fields[1]:
        name = fields[1]["String"]["sval"]
        if scope.may_call(fields[0]["String"]["sval"], name):
            _maybe_called(walker, name, [])


def _maybe_called(walker: Walker, name: str, arguments: list[Node]) -> None:
    walker.gathering.functions[spelled(name)] = None
    effect = effect_of(None, name)
    if effect is not None:
        _acts(walker, effect, spelled(name), arguments)


def _acts(walker: Walker, effect: Effect, name: str, arguments: list[Node]) -> None:
    gathering = walker.gathering
    if effect.writes:
        gathering.writes_by_function[name] = None
    if effect.files:
        gathering.files = True
    told = effect.relation is None or _named_relation(walker, effect.relation, arguments)
    if effect.relation is Named.SHOWS and not told:
        gathering.dynamic = True
        gathering.unknown[DYNAMIC_SQL] = None
    if effect.runs is None:
        return
    if name.rpartition(".")[2] == "ts_rewrite" and len(arguments) != 2:
        return
    gathering.dynamic = True
    text = None if effect.runs == HIDDEN else constant(_argument(arguments, effect.runs))
    if text is None:
        gathering.unknown[DYNAMIC_SQL] = None
    else:
        run_text(walker, text)


# what the argument that matters is called where a call may name it
_NAMES: Final = frozenset(("query", "tbl"))


def _argument(arguments: list[Node], position: int) -> Node:
    """The argument that is run, or names a relation: by position, or by name, which may be in any order."""
    if position < len(arguments) and "NamedArgExpr" not in arguments[position]:
        return arguments[position]
    for argument in arguments:
        named = argument.get("NamedArgExpr", {})
        if named.get("name") in _NAMES:
            found: Node = named["arg"]
            return found
    return {}


def _named_relation(walker: Walker, does: Named, arguments: list[Node]) -> bool:
    text = constant(_argument(arguments, 0))
    parts = None if text is None else _name_parts(text)
    if parts is None:
        return False
    name = walker.gathering.named(parts)
    match does:
        case Named.WRITES:
            walker.gathering.writes[name] = None
        case Named.READS:
            walker.gathering.reads[name] = None
        case Named.SHOWS:
            walker.gathering.reads[name] = None
            walker.gathering.columns_read[f"{name}.*"] = None
    return True


def _name_parts(text: str) -> list[str] | None:
    """The parts of a name as regclass reads it, or None for what is no name."""
    parts: list[str] = []
    position = 0
    while True:
        found = _PART.match(text, position)
        if found is None:
            return None
        quoted, plain, then = found.groups()
        if plain is not None and plain[0] in "0123456789":
            # the number of a relation, which only its database can tell the name of
            return None
        parts.append(plain.lower() if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if then != ".":
            return parts


def _set_config(walker: Walker, arguments: list[Node]) -> None:
    named = {
        argument["NamedArgExpr"]["name"]: argument["NamedArgExpr"]["arg"]
        for argument in arguments
        if "NamedArgExpr" in argument
    }
    plain = [argument for argument in arguments if "NamedArgExpr" not in argument]
    name = constant(plain[0] if plain else named.get("setting_name"))
    value = constant(plain[1] if len(plain) > 1 else named.get("new_value"))
    assign(walker, "?" if name is None else name.lower(), value)


CALLS: Mapping[str, Handler] = {
    "FuncCall": call,
    "A_Indirection": _attribute,
    "ColumnRef": _column,
}
