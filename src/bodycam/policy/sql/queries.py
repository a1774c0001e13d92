"""SELECT, INSERT, UPDATE, DELETE, MERGE and what stands in them."""

from collections.abc import Mapping
from typing import Any

from bodycam.policy.sql.gathering import spelled, texts
from bodycam.policy.sql.scope import DERIVED, NOT_READ, Scope
from bodycam.policy.sql.walker import Handler, Node, Walker


def select(walker: Walker, node: Node, scope: Scope) -> None:
    """A query, or one arm of a set operation; VALUES alone is one too."""
    walker.gathering.kinds["select"] = None
    _select(walker, node, scope)


def _select(walker: Walker, node: Node, outer: Scope) -> None:
    scope = Scope(outer)
    if "withClause" in node:
        _with(walker, node["withClause"], scope)
    if "intoClause" in node:
        into(walker, node["intoClause"])
    if "larg" in node:
        walker.down()
        _select(walker, node["larg"], scope)
        _select(walker, node["rarg"], scope)
        walker.up()
    for source in node.get("fromClause", ()):
        walker.walk(source, scope)
    targets = node.get("targetList")
    if targets is not None:
        walker.walk(targets, scope)
    sorts = node.get("sortClause")
    if sorts is not None:
        _sort(walker, sorts, targets or [], scope)
    for field, inner in node.items():
        if field not in _SELECT_DONE and (inner.__class__ is list or inner.__class__ is dict):
            walker.walk(inner, scope)


_SELECT_DONE = frozenset(
    ("withClause", "intoClause", "larg", "rarg", "fromClause", "targetList", "sortClause", "lockingClause")
)


def _sort(walker: Walker, sorts: list[Node], targets: list[Node], scope: Scope) -> None:
    # ORDER BY a bare name is the output column of that name, if there is one, and only then an input column
    outputs = {target.get("ResTarget", {}).get("name") for target in targets}
    for sort in sorts:
        by = sort["SortBy"]["node"]
        fields: list[Node] = by["ColumnRef"]["fields"] if "ColumnRef" in by else []
        if len(fields) != 1 or fields[0].get("String", {}).get("sval") not in outputs:
            walker.walk(by, scope)


def _with(walker: Walker, clause: Node, scope: Scope) -> None:
    queries = [one["CommonTableExpr"] for one in clause["ctes"]]
    scope.tables = {one["ctename"] for one in queries} if clause.get("recursive") else set()
    for one in queries:
        walker.rest(one, scope, "aliascolnames")
        scope.tables.add(one["ctename"])


def into(walker: Walker, clause: Node) -> None:
    """SELECT INTO and CREATE TABLE AS: the table that they make."""
    gathering = walker.gathering
    made = gathering.relation(clause["rel"])
    gathering.kinds["create"] = None
    gathering.writes[made] = None
    gathering.objects[f"table:{made}"] = None
    gathering.ddl = gathering.stores_query = True


def relation(walker: Walker, node: Node, scope: Scope) -> None:
    """A relation that is read, or the name of a WITH query."""
    name = node.get("relname", "")
    alias = node["alias"]["aliasname"] if "alias" in node else name
    if "schemaname" not in node and scope.is_common_table(name):
        scope.names[alias] = DERIVED
        return
    read = walker.gathering.relation(node)
    walker.gathering.reads[read] = None
    scope.names[alias] = read


def _derived(walker: Walker, node: Node, scope: Scope) -> None:
    walker.rest(node, scope, "alias")
    _hide(node, scope)


def _function(walker: Walker, node: Node, scope: Scope) -> None:
    _derived(walker, node, scope)
    if scope.calls is None:
        scope.calls = {}
    alias = node.get("alias", {})
    columns = {one["ColumnDef"]["colname"] for one in node.get("coldeflist", ())}
    scope.calls.setdefault(alias.get("aliasname", ""), columns).update(texts(alias.get("colnames", [])))


def _hide(node: Node, scope: Scope) -> None:
    # without an alias it still is a source of rows that a bare column may come from
    alias = node["alias"]["aliasname"] if "alias" in node else f" {len(scope.names)}"
    scope.names[alias] = DERIVED


def _join(walker: Walker, node: Node, scope: Scope) -> None:
    walker.fields(node, scope, "larg", "rarg", "quals")
    for name in node.get("usingClause", ()):
        walker.gathering.columns_read[spelled(name["String"]["sval"])] = None
    for name in ("alias", "join_using_alias"):
        if name in node:
            scope.names[node[name]["aliasname"]] = DERIVED


def _nothing(walker: Walker, node: Node, scope: Scope) -> None:
    """A leaf in which there is nothing to find."""


def _target(walker: Walker, node: Node, outer: Scope) -> tuple[Scope, str]:
    scope = Scope(outer)
    if "withClause" in node:
        _with(walker, node["withClause"], scope)
    named = node["relation"]
    name = walker.gathering.relation(named)
    walker.gathering.writes[name] = None
    scope.names[named["alias"]["aliasname"] if "alias" in named else named["relname"]] = name
    scope.target = name
    return scope, name


def _assigned(walker: Walker, targets: list[Node], name: str, scope: Scope) -> None:
    gathering = walker.gathering
    before, gathering.columns_read = gathering.columns_read, {}
    for one in targets:
        target = one["ResTarget"]
        gathering.columns_written[f"{name}.{spelled(target['name'])}"] = None
        walker.fields(target, scope, "indirection", "val")
    gathering.columns_stored.update(gathering.columns_read)
    before.update(gathering.columns_read)
    gathering.columns_read = before


def _returning(walker: Walker, node: Node, name: str, scope: Scope) -> None:
    clause = node.get("returningClause")
    if clause is None:
        return
    walker.gathering.reads[name] = None
    scope.aside = {"old": name, "new": name}
    for option in clause.get("options", ()):
        scope.aside[option["ReturningOption"]["value"]] = name
    walker.walk(clause["exprs"], scope)


def insert(walker: Walker, node: Node, outer: Scope) -> None:
    """INSERT; its columns are all of the table's where none is named."""
    gathering = walker.gathering
    gathering.kinds["insert"] = None
    before = len(gathering.reads)
    scope, name = _target(walker, node, outer)
    if "cols" in node:
        _assigned(walker, node["cols"], name, scope)
    else:
        gathering.columns_written[f"{name}.*"] = None
    source = node.get("selectStmt", {}).get("SelectStmt")
    if source is not None:
        # the source doesn't see the target
        sees = Scope(outer)
        sees.tables = scope.tables
        if "valuesLists" in source:
            _select(walker, source, sees)
        else:
            select(walker, source, sees)
        if "valuesLists" not in source or len(gathering.reads) > before:
            gathering.stores_query = True
    conflict = node.get("onConflictClause")
    if conflict is not None:
        _conflict(walker, conflict, name, scope)
    _returning(walker, node, name, scope)


def _conflict(walker: Walker, clause: Node, name: str, scope: Scope) -> None:
    infer = clause.get("infer", {})
    for element in infer.get("indexElems", ()):
        walker.fields(element["IndexElem"], scope, "expr")
    walker.fields(infer, scope, "whereClause")
    scope.aside = {"excluded": NOT_READ}
    if "targetList" in clause:
        walker.gathering.kinds["update"] = None
        _assigned(walker, clause["targetList"], name, scope)
    walker.fields(clause, scope, "whereClause")


def update(walker: Walker, node: Node, outer: Scope) -> None:
    """UPDATE; the target is read too where one of its columns is looked at."""
    gathering = walker.gathering
    gathering.kinds["update"] = None
    before, gathering.reads = gathering.reads, {}
    scope, name = _target(walker, node, outer)
    _hidden_settings(walker, name)
    walker.fields(node, scope, "fromClause")
    _assigned(walker, node["targetList"], name, scope)
    walker.fields(node, scope, "whereClause")
    if gathering.reads.keys() - {name}:
        gathering.stores_query = True
    before.update(gathering.reads)
    gathering.reads = before
    _returning(walker, node, name, scope)


def _hidden_settings(walker: Walker, name: str) -> None:
    # the view's rule calls set_config for each row: https://www.postgresql.org/docs/current/view-pg-settings.html
    if name in ("pg_settings", "pg_catalog.pg_settings"):
        walker.gathering.settings["?=?"] = None
        walker.gathering.roles["?"] = None


def delete(walker: Walker, node: Node, outer: Scope) -> None:
    """DELETE, with what USING, WHERE and RETURNING look at."""
    walker.gathering.kinds["delete"] = None
    scope, name = _target(walker, node, outer)
    walker.fields(node, scope, "usingClause", "whereClause")
    _returning(walker, node, name, scope)


def merge(walker: Walker, node: Node, outer: Scope) -> None:
    """MERGE, and each kind of change among its branches."""
    gathering = walker.gathering
    gathering.kinds["merge"] = None
    scope, name = _target(walker, node, outer)
    walker.fields(node, scope, "sourceRelation", "joinCondition")
    for branch in node["mergeWhenClauses"]:
        clause = branch["MergeWhenClause"]
        walker.fields(clause, scope, "condition")
        kind = _MERGED.get(clause["commandType"])
        if kind is not None:
            gathering.kinds[kind] = None
            gathering.stores_query = gathering.stores_query or kind != "delete"
        if kind == "insert" and "targetList" not in clause:
            gathering.columns_written[f"{name}.*"] = None
        _assigned(walker, clause.get("targetList", []), name, scope)
        walker.fields(clause, scope, "values")
    _returning(walker, node, name, scope)


_MERGED = {"CMD_INSERT": "insert", "CMD_UPDATE": "update", "CMD_DELETE": "delete"}


def type_name(walker: Walker, node: Any, scope: Scope) -> None:
    """A type; only its schema says something. What ALTER TYPE and CREATE DOMAIN name are plain lists."""
    if node.__class__ is list:
        return
    names = node.get("names", ())
    # `int` is pg_catalog.int4 in the tree: that schema is the grammar's own word as a rule
    if len(names) > 1:
        schema = names[-2]["String"]["sval"]
        if schema != "pg_catalog":
            walker.gathering.schemas[spelled(schema)] = None
    walker.fields(node, scope, "typmods")


def _operator(walker: Walker, node: Node, scope: Scope) -> None:
    name = node.get("name", ())
    if len(name) > 1:
        walker.gathering.schemas[spelled(name[0]["String"]["sval"])] = None
    left, right = node.get("lexpr"), node.get("rexpr")
    if left is not None:
        walker.walk(left, scope)
    if right is not None:
        walker.walk(right, scope)


def _passed(walker: Walker, node: Node, scope: Scope) -> None:
    value = node.get("val")
    if value is not None:
        walker.walk(value, scope)
    inner = node.get("indirection")
    if inner is not None:
        walker.walk(inner, scope)


def _collation(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.named(texts(node["collname"]))
    walker.fields(node, scope, "arg")


QUERIES: Mapping[str, Handler] = {
    "SelectStmt": select,
    "InsertStmt": insert,
    "UpdateStmt": update,
    "DeleteStmt": delete,
    "MergeStmt": merge,
    "RangeVar": relation,
    "RangeSubselect": _derived,
    "RangeFunction": _function,
    "RangeTableFunc": _derived,
    "JsonTable": _derived,
    "JoinExpr": _join,
    "ResTarget": _passed,
    "A_Expr": _operator,
    "CollateClause": _collation,
    "A_Const": _nothing,
    "ParamRef": _nothing,
    "TypeName": type_name,
    "typeName": type_name,
}
