"""SET in its many forms, and the roles that are taken by it."""

from collections.abc import Mapping
from typing import Any

from bodycam.policy.sql.definitions import touch
from bodycam.policy.sql.gathering import spelled, texts
from bodycam.policy.sql.scope import Scope
from bodycam.policy.sql.walker import Handler, Node, Walker

ROLE_SETTINGS = frozenset(("role", "session_authorization"))
_SHOWN_AS_SET = frozenset(("VAR_RESET", "VAR_RESET_ALL", "VAR_SET_DEFAULT", "VAR_SET_CURRENT"))


def constant(node: Any) -> str | None:
    """The text of a constant, as the server would turn it into text; None for all else."""
    match node:
        case {"A_Const": {"sval": {"sval": str(text)}}} | {"A_Const": {"fval": {"fval": str(text)}}}:
            return text
        case {"A_Const": {"sval": _}}:
            return ""
        case {"A_Const": {"ival": number}}:
            return str(number.get("ival", 0))
        case {"A_Const": {"boolval": truth}}:
            return "true" if truth.get("boolval") else "false"
        case {"TypeCast": {"arg": arg, "typeName": cast}}:
            # varchar(4) and arrays make another text of it, and so may a type of somebody's own
            names = texts(cast["names"])
            same = names[-1] in _TEXTS and names[:-1] in ([], ["pg_catalog"])
            return constant(arg) if same and "typmods" not in cast and "arrayBounds" not in cast else None
        case _:
            return None


_TEXTS = frozenset(("text", "varchar", "unknown", "regclass", "cstring"))


def assign(walker: Walker, name: str, value: str | None) -> None:
    """Note one setting and its value, None where the text doesn't tell it, and a role that it takes."""
    shown = "?" if value is None else value
    walker.gathering.settings[f"{name}={shown}"] = None
    if name in ROLE_SETTINGS:
        walker.gathering.roles[shown or ("none" if name == "role" else "default")] = None
    elif name == "?":
        walker.gathering.roles["?"] = None


def setting(walker: Walker, node: Node) -> None:
    """Note what one VariableSetStmt sets, wherever it stands."""
    kind, name = node["kind"], node.get("name", "").lower()
    if kind == "VAR_RESET_ALL":
        assign(walker, "*", "")
    elif kind == "VAR_SET_MULTI":
        _several(walker, name, node)
    elif kind in _SHOWN_AS_SET:
        assign(walker, name, "" if kind != "VAR_SET_CURRENT" else None)
    else:
        values = [constant(one) for one in node.get("args", ())]
        known = [one for one in values if one is not None]
        assign(walker, name, ", ".join(known) if len(known) == len(values) else None)


def _several(walker: Walker, name: str, node: Node) -> None:
    # SET TRANSACTION and its like: each mode is a setting of its own; for the session they are the defaults
    prefix = "default_" if name == "session characteristics" else ""
    for one in node.get("args", ()):
        mode = one.get("DefElem")
        if mode is None:
            assign(walker, name.replace(" ", "_"), constant(one))
        else:
            assign(walker, prefix + mode["defname"], constant(mode.get("arg")))


def _set(walker: Walker, node: Node, scope: Scope) -> None:
    name = node.get("name", "").lower()
    kind = f"set-{name.replace('_', '-')}" if name in ROLE_SETTINGS else "set"
    walker.gathering.kinds[kind] = None
    setting(walker, node)


def _alter_system(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["alter-system"] = None
    walker.gathering.ddl = True
    setting(walker, node["setstmt"])


def _alter_database(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["alter"] = None
    walker.gathering.ddl = True
    touch(walker, "database", [spelled(node["dbname"])])
    setting(walker, node["setstmt"])


def _show(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["show"] = None


def _constraints(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["set"] = None


SETTINGS: Mapping[str, Handler] = {
    "VariableSetStmt": _set,
    "AlterSystemStmt": _alter_system,
    "AlterDatabaseSetStmt": _alter_database,
    "VariableShowStmt": _show,
    "ConstraintsSetStmt": _constraints,
}
