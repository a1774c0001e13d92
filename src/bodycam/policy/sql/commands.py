"""All other statements: transactions, cursors, prepared statements, COPY, EXPLAIN, upkeep."""

from collections.abc import Mapping
from typing import Final

from bodycam.policy.sql.calls import call
from bodycam.policy.sql.definitions import relation_parts, touch
from bodycam.policy.sql.gathering import Gathering, spelled
from bodycam.policy.sql.parser import inner_statement
from bodycam.policy.sql.queries import relation
from bodycam.policy.sql.scope import Scope
from bodycam.policy.sql.walker import Handler, Node, Walker

_TRANSACTIONS: Final = {
    "TRANS_STMT_BEGIN": "begin",
    "TRANS_STMT_START": "begin",
    "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_ROLLBACK": "rollback",
    "TRANS_STMT_SAVEPOINT": "savepoint",
    "TRANS_STMT_RELEASE": "release",
    "TRANS_STMT_ROLLBACK_TO": "rollback",
    "TRANS_STMT_PREPARE": "prepare-transaction",
    "TRANS_STMT_COMMIT_PREPARED": "commit",
    "TRANS_STMT_ROLLBACK_PREPARED": "rollback",
}


def _transaction(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds[_TRANSACTIONS[node["kind"]]] = None
    for option in node.get("options", ()):
        element = option["DefElem"]
        walker.gathering.settings[f"{element['defname']}={_mode(element['arg'])}"] = None


def _mode(value: Node) -> str:
    found = value["A_Const"]
    return str(found["sval"]["sval"] if "sval" in found else found["ival"].get("ival", 0))


def _copy(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    gathering.kinds["copy"] = None
    if node.get("is_program"):
        gathering.kinds["copy-program"] = None
        gathering.program = True
    elif "filename" in node:
        gathering.files = True
    for option in node.get("options", ()):
        element = option["DefElem"]
        gathering.copy_options[element["defname"], _option(element.get("arg"))] = None
    inner = Scope(scope)
    if "relation" in node:
        name = gathering.relation(node["relation"])
        inner.names = {node["relation"]["relname"]: name}
        taken = bool(node.get("is_from"))
        (gathering.writes if taken else gathering.reads)[name] = None
        columns = gathering.columns_written if taken else gathering.columns_read
        for column in node.get("attlist", ()):
            columns[f"{name}.{spelled(column['String']['sval'])}"] = None
        if "attlist" not in node:
            columns[f"{name}.*"] = None
    walker.fields(node, inner, "query", "whereClause")


def _option(value: Node | None) -> str:
    """An option's value as it is written; `*` for columns, `true` where there is none."""
    match value:
        case None:
            return "true"
        case {"String": string}:
            return str(string.get("sval", ""))
        case {"Integer": number}:
            return str(number.get("ival", 0))
        case {"Boolean": truth}:
            return "true" if truth.get("boolval") else "false"
        case _:
            return "*"


def _explain(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    gathering.kinds["explain"] = None
    if any(_turned_on(option["DefElem"]) for option in node.get("options", ())):
        walker.fields(node, scope, "query")
        return
    planned = Gathering()
    walker.gathering = planned
    try:
        walker.fields(node, scope, "query")
    finally:
        walker.gathering = gathering
    gathering.folded_in(planned)


# what defGetBoolean of the server takes for false; ANALYZE without a value is true
_OFF: Final = frozenset(("false", "off"))


def _turned_on(option: Node) -> bool:
    if option["defname"] != "analyze":
        return False
    match option.get("arg"):
        case {"String": {"sval": str(text)}}:
            return text.lower() not in _OFF
        case {"Integer": number}:
            return bool(number.get("ival", 0))
        case {"Boolean": truth}:
            return bool(truth.get("boolval"))
        case _:
            return True


def _prepare(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["prepare"] = None
    walker.gathering.prepares[node["name"], inner_statement(walker.source)] = None
    walker.fields(node, scope, "query")


def _execute(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["execute"] = None
    walker.gathering.executes[node["name"]] = None
    walker.fields(node, scope, "params")


def _deallocate(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["deallocate"] = None
    walker.gathering.deallocates[node.get("name", "*")] = None


def _discard(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["discard"] = None
    if node["target"] == "DISCARD_ALL":
        # https://www.postgresql.org/docs/current/sql-discard.html says what ALL comes to
        walker.gathering.deallocates["*"] = None
        walker.gathering.settings["*="] = None
        walker.gathering.roles["default"] = None


def _call(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["call"] = None
    call(walker, node["funccall"], scope)


def _vacuum(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    full = node.get("is_vacuumcmd")
    gathering.kinds["vacuum" if full else "analyze"] = None
    for one in node.get("rels", ()):
        named = one["VacuumRelation"]["relation"]
        (gathering.writes if full else gathering.reads)[gathering.relation(named)] = None


def _upkeep(kind: str) -> Handler:
    """CLUSTER, REINDEX, REFRESH: a relation is written anew."""

    def handle(walker: Walker, node: Node, scope: Scope) -> None:
        gathering = walker.gathering
        gathering.kinds[kind] = None
        gathering.ddl = gathering.ddl or kind != "reindex"
        if "relation" in node:
            gathering.writes[gathering.relation(node["relation"])] = None
        elif node.get("kind") == "REINDEX_OBJECT_SCHEMA":
            gathering.schemas[spelled(node["name"])] = None

    return handle


def _refresh(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["refresh"] = None
    walker.gathering.ddl = True
    touch(walker, "materialized-view", relation_parts(node["relation"]))


def _truncate(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["truncate"] = None
    for one in node["relations"]:
        walker.gathering.writes[walker.gathering.relation(one["RangeVar"])] = None


def _lock(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["lock"] = None
    for one in node["relations"]:
        relation(walker, one["RangeVar"], Scope())


def _load(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["load"] = None
    walker.gathering.files = True


def _only(kind: str) -> Handler:
    """A statement of which its kind says all; what stands in it is walked."""

    def handle(walker: Walker, node: Node, scope: Scope) -> None:
        walker.gathering.kinds[kind] = None
        walker.walk(node, scope)

    return handle


def _fetch(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["move" if node.get("ismove") else "fetch"] = None


def _inner(walker: Walker, node: Node, scope: Scope) -> None:
    walker.walk(node, scope)


COMMANDS: Mapping[str, Handler] = {
    "TransactionStmt": _transaction,
    "CopyStmt": _copy,
    "ExplainStmt": _explain,
    "PrepareStmt": _prepare,
    "ExecuteStmt": _execute,
    "DeallocateStmt": _deallocate,
    "DiscardStmt": _discard,
    "CallStmt": _call,
    "VacuumStmt": _vacuum,
    "ClusterStmt": _upkeep("cluster"),
    "ReindexStmt": _upkeep("reindex"),
    "RefreshMatViewStmt": _refresh,
    "TruncateStmt": _truncate,
    "LockStmt": _lock,
    "LoadStmt": _load,
    "FetchStmt": _fetch,
    "DeclareCursorStmt": _only("declare"),
    "ClosePortalStmt": _only("close"),
    "CheckPointStmt": _only("checkpoint"),
    "ListenStmt": _only("listen"),
    "UnlistenStmt": _only("unlisten"),
    "NotifyStmt": _only("notify"),
    "ReturnStmt": _inner,
    "ReplicaIdentityStmt": _inner,
}
