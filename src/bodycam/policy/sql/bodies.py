"""Code that a statement brings as text: DO blocks, bodies of functions, arguments that are run as SQL."""

from collections.abc import Mapping
from typing import Any, Final

from bodycam.policy.sql.definitions import touch
from bodycam.policy.sql.gathering import texts
from bodycam.policy.sql.parser import DYNAMIC_SQL, TOO_DEEP, TOO_LARGE, Form, Refused, encoded, parse, part
from bodycam.policy.sql.procedures import Head, Procedure, Step, steps
from bodycam.policy.sql.scope import Scope
from bodycam.policy.sql.settings import constant, setting
from bodycam.policy.sql.walker import Handler, Node, Walker

MAX_DEPTH: Final = 4
"""How deep a body may hold a body, and so on, before nobody looks any further."""
MAX_BODIES: Final = 1000
"""How many pieces of code a text may bring."""


def run_text(walker: Walker, text: str, form: Form = Form.STATEMENTS) -> None:
    """Walk what another text does, as a part of this one; what can't be told of it can't be told of this."""
    if walker.depth >= MAX_DEPTH:
        walker.gathering.unknown[TOO_DEEP] = None
        return
    if not _counted(walker):
        return
    around, level = walker.source, walker.level
    walker.depth += 1
    try:
        source = encoded(text)
        for statement in parse(source, form):
            walker.source = part(source, statement)
            tree = statement["stmt"]
            if form is Form.STATEMENTS:
                walker.walk(tree, Scope())
            else:
                _expression(walker, tree)
    except Refused as refused:
        walker.gathering.unknown[refused.args[0]] = None
    finally:
        walker.source, walker.level = around, level
        walker.depth -= 1


def _counted(walker: Walker) -> bool:
    walker.bodies += 1
    if walker.bodies <= MAX_BODIES:
        return True
    walker.gathering.unknown[TOO_LARGE] = None
    return False


def _expression(walker: Walker, tree: Node) -> None:
    # an expression of PL/pgSQL comes as a query that selects it; that one is nobody's statement
    query = tree["PLAssignStmt"]["val"] if "PLAssignStmt" in tree else tree["SelectStmt"]
    walker.walk(query, Scope())


def _do(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    gathering.kinds["do"] = None
    gathering.dynamic = True
    body, language = "", "plpgsql"
    for option in node["args"]:
        element = option["DefElem"]
        if element["defname"] == "as":
            body = element["arg"]["String"].get("sval", "")
        elif element["defname"] == "language":
            language = element["arg"]["String"].get("sval", "")
    if language.lower() == "plpgsql":
        _procedure(walker, Procedure(body))
    else:
        gathering.unknown[DYNAMIC_SQL] = None


def _function(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    gathering.kinds["create"] = None
    gathering.ddl = gathering.dynamic = True
    kind = "procedure" if node.get("is_procedure") else "function"
    touch(walker, kind, texts(node["funcname"]))
    body: list[str] = []
    language = "sql"
    for option in node.get("options", ()):
        element = option["DefElem"]
        match element["defname"]:
            case "as":
                body = texts(element["arg"]["List"]["items"])
            case "language":
                language = element["arg"]["String"].get("sval", "").lower()
            case "set":
                setting(walker, element["arg"]["VariableSetStmt"])
    walker.fields(node, Scope(scope), "parameters", "returnType", "sql_body")
    if "sql_body" in node:
        return
    if language == "sql" and len(body) == 1:
        run_text(walker, body[0])
    elif language == "plpgsql" and len(body) == 1:
        _procedure(walker, _declared(node, body[0]))
    else:
        gathering.unknown[DYNAMIC_SQL] = None


# the ones that RETURN doesn't name; a table's columns are such too
_OUT: Final = {"FUNC_PARAM_OUT": "out", "FUNC_PARAM_INOUT": "inout", "FUNC_PARAM_TABLE": "out"}


def _declared(node: Node, body: str) -> Procedure:
    parameters = [parameter["FunctionParameter"] for parameter in node.get("parameters", ())]
    modes = [_OUT.get(one["mode"], "") for one in parameters]
    shapes = [_shape(texts(one["argType"]["names"])) for one in parameters]
    head = _head(node, len(modes) - modes.count(""))
    if head is Head.ONES:
        # RETURNS TABLE of one column: the result's type has to be that of the one parameter that is it
        shapes = ["int" if mode else shape for mode, shape in zip(modes, shapes, strict=True)]
    names = [one.get("name", "") for one in parameters]
    return Procedure(body, head, tuple(zip(modes, names, shapes, strict=True)))


def _shape(type_name: list[str]) -> str:
    if type_name[-1:] == ["refcursor"]:
        return "refcursor"
    return "int" if type_name[:1] == ["pg_catalog"] or type_name in _PLAIN else "record"


_PLAIN: Final = [
    [name] for name in ("text", "name", "uuid", "json", "jsonb", "date", "bytea", "oid", "regclass")
]


def _head(node: Node, outs: int) -> Head:
    if node.get("is_procedure"):
        return Head.PROCEDURE
    returns = node.get("returnType", {})
    name = texts(returns.get("names", []))[-1:]
    if name in (["trigger"], ["event_trigger"]):
        return Head.TRIGGER
    if returns.get("setof"):
        return Head.ONES if outs == 1 else Head.ROWS
    if outs or not name:
        return Head.OUT_PARAMETERS
    return Head.NOTHING if name == ["void"] else Head.VALUE


def _procedure(walker: Walker, procedure: Procedure) -> None:
    if not _counted(walker):
        return
    try:
        found = steps(procedure)
    except Refused as refused:
        walker.gathering.unknown[refused.args[0]] = None
        return
    for step in found:
        match step:
            case Step(kind=str(kind)):
                walker.gathering.kinds[kind] = None
            case Step(text=text, form=form, runs=runs):
                run_text(walker, text, form)
                if runs:
                    _executed(walker, text)


def _executed(walker: Walker, expression: str) -> None:
    """EXECUTE of PL/pgSQL: what it runs can be told where it is a constant, or constants put together."""
    walker.gathering.kinds["execute"] = None
    try:
        tree: Any = parse(encoded(expression), Form.EXPRESSION)[0]["stmt"]["SelectStmt"]["targetList"][0]
        text = _joined(tree["ResTarget"]["val"])
    except (Refused, KeyError, IndexError, RecursionError):
        text = None
    if text is None:
        walker.gathering.unknown[DYNAMIC_SQL] = None
    else:
        run_text(walker, text)


def _joined(node: Node) -> str | None:
    operation = node.get("A_Expr")
    if operation is None:
        return constant(node)
    if texts(operation["name"]) != ["||"] or "lexpr" not in operation:
        return None
    left, right = _joined(operation["lexpr"]), _joined(operation["rexpr"])
    return None if left is None or right is None else left + right


def _alter_function(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    gathering.kinds["alter"] = None
    gathering.ddl = True
    kind = "procedure" if node["objtype"] == "OBJECT_PROCEDURE" else "function"
    touch(walker, kind, texts(node["func"]["objname"]))
    for action in node.get("actions", ()):
        if action["DefElem"]["defname"] == "set":
            setting(walker, action["DefElem"]["arg"]["VariableSetStmt"])


BODIES: Mapping[str, Handler] = {
    "DoStmt": _do,
    "CreateFunctionStmt": _function,
    "AlterFunctionStmt": _alter_function,
}
