"""Statements that define: CREATE, ALTER, DROP, COMMENT, GRANT and their like."""

from collections.abc import Mapping
from typing import Any, Final

from bodycam.policy.sql.gathering import spelled, texts
from bodycam.policy.sql.queries import relation, type_name
from bodycam.policy.sql.scope import Scope
from bodycam.policy.sql.walker import Handler, Node, Walker

# objects whose definition is a relation's: https://www.postgresql.org/docs/current/catalog-pg-class.html
_RELATIONS: Final = frozenset(("table", "view", "materialized-view", "sequence", "index", "foreign-table"))
# objects that belong to a relation, which stands before them in the name
_PARTS: Final = frozenset(("column", "trigger", "rule", "policy", "constraint", "default"))
_PRIVILEGES: Final = frozenset(("role", "policy", "user-mapping"))

_WORDS: Final = {
    "matview": "materialized-view",
    "fdw": "foreign-data-wrapper",
    "foreign-server": "server",
    "tabconstraint": "constraint",
    "domconstraint": "domain",
    "statistic-ext": "statistics",
    "opclass": "operator-class",
    "opfamily": "operator-family",
    "tsconfiguration": "text-search-configuration",
    "tsdictionary": "text-search-dictionary",
    "tsparser": "text-search-parser",
    "tstemplate": "text-search-template",
    "largeobject": "large-object",
    "parameter-acl": "setting",
    "attribute": "type",
    "routine": "function",
}


def object_kind(word: str) -> str:
    """The word of an object's kind, as facts use it, out of the parser's own (`OBJECT_MATVIEW`)."""
    plain = word.removeprefix("OBJECT_").lower().replace("_", "-")
    return _WORDS.get(plain, plain)


def touch(walker: Walker, kind: str, parts: list[str]) -> None:
    """Note an object that is made, changed or dropped; one that is or belongs to a relation writes that."""
    gathering = walker.gathering
    if kind in _PARTS and len(parts) > 1:
        owner = gathering.named(parts[:-1])
        gathering.writes[owner] = None
        name = spelled(parts[-1])
        if kind == "column":
            gathering.columns_written[f"{owner}.{name}"] = None
            kind, name = "table", owner
    elif kind == "schema":
        name = gathering.named(parts)
        gathering.schemas[name] = None
    else:
        name = gathering.named(parts)
        if kind in _RELATIONS:
            gathering.writes[name] = None
    gathering.privileges = gathering.privileges or kind in _PRIVILEGES
    gathering.objects[f"{kind}:{name}"] = None


def parts_of(node: Any) -> list[str]:
    """The parts of an object's name, in whichever of the parser's forms it comes."""
    match node:
        case {"String": string}:
            return [string.get("sval", "")]
        case {"List": {"items": items}}:
            return [name for item in items for name in parts_of(item)]
        case {"ObjectWithArgs": {"objname": names}} | {"TypeName": {"names": names}} | {"names": names}:
            return texts(names)
        case {"RangeVar": named}:
            return relation_parts(named)
        case {"relname": _}:
            return relation_parts(node)
        case {"RoleSpec": role}:
            return [role_name(role)]
        case {"Integer": number} | {"Float": number}:
            return [str(number.get("ival", number.get("fval", 0)))]
        case list():
            return [name for item in node for name in parts_of(item)]
        case str():
            return [node]
        case _:
            return []


def relation_parts(node: Node) -> list[str]:
    """Schema and name of a RangeVar."""
    schema = node.get("schemaname")
    return [node["relname"]] if schema is None else [schema, node["relname"]]


def role_name(role: Node) -> str:
    """A role's name; `public`, `current_user` and `session_user` are said as such."""
    named: str | None = role.get("rolename")
    return role["roletype"].removeprefix("ROLESPEC_").lower() if named is None else named


def defines(verb: str, kind: str, field: str, *skipped: str) -> Handler:
    """A statement that makes, changes or drops one object named in a field; all else in it is walked."""

    def handle(walker: Walker, node: Node, scope: Scope) -> None:
        walker.gathering.kinds[verb] = None
        walker.gathering.ddl = True
        parts = parts_of(node[field]) if field in node else []
        # without a name the server makes one up (CREATE INDEX ON t)
        touch(walker, kind, parts or [""])
        # a default or a check only names columns, nobody reads them yet
        before, walker.gathering.columns_read = walker.gathering.columns_read, {}
        walker.rest(node, Scope(scope), field, *skipped)
        walker.gathering.columns_read = before

    return handle


def part_of(verb: str, kind: str, name: str, owner: str) -> Handler:
    """The same for what belongs to a relation: a trigger, a rule, a policy."""

    def handle(walker: Walker, node: Node, scope: Scope) -> None:
        walker.gathering.kinds[verb] = None
        walker.gathering.ddl = True
        touch(walker, kind, [*relation_parts(node[owner]), node[name]])
        inner = Scope(scope)
        owned = walker.gathering.relation(node[owner])
        inner.names = {node[owner]["relname"]: owned}
        inner.aside = {"old": owned, "new": owned}
        walker.rest(node, inner, owner, "args", "roles", "columns")

    return handle


def _index(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["create"] = None
    walker.gathering.ddl = True
    table = walker.gathering.relation(node["relation"])
    walker.gathering.writes[table] = None
    # an index lives in its table's schema
    schema = [node["relation"]["schemaname"]] if "schemaname" in node["relation"] else []
    name = spelled(*schema, node["idxname"]) if "idxname" in node else ""
    walker.gathering.objects[f"index:{name}"] = None
    inner = Scope(scope)
    inner.names = {node["relation"]["relname"]: table}
    walker.rest(node, inner, "relation")


def _own_name(kind: str, parts: list[str]) -> list[str]:
    # operator classes are named behind their access method; casts and transforms have two names, the last
    # one is what they lead to
    match kind:
        case "operator-class" | "operator-family":
            return parts[1:]
        case "cast" | "transform":
            return parts[-1:]
        case _:
            return parts


def _drop(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["drop"] = None
    walker.gathering.ddl = True
    kind = object_kind(node["removeType"])
    for one in node["objects"]:
        touch(walker, kind, _own_name(kind, parts_of(one)))


def _alter_table(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    gathering.kinds["alter"] = None
    gathering.ddl = True
    named = node["relation"]
    kind = object_kind(node["objtype"])
    touch(walker, kind, relation_parts(named))
    name = gathering.relation(named)
    before, gathering.columns_read = gathering.columns_read, {}
    for one in node["cmds"]:
        command = one["AlterTableCmd"]
        subtype: str = command["subtype"]
        if subtype in _OWNERSHIP or "RowSecurity" in subtype:
            gathering.privileges = True
        if kind in _RELATIONS and ("Column" in subtype or "NotNull" in subtype):
            column = command.get("name") or command.get("def", {}).get("ColumnDef", {}).get("colname")
            if column:
                gathering.columns_written[f"{name}.{spelled(column)}"] = None
        partition = command.get("def", {}).get("PartitionCmd", {}).get("name")
        if partition is not None:
            gathering.writes[gathering.relation(partition)] = None
        walker.rest(command, Scope(scope), "newowner")
    gathering.columns_read = before


_OWNERSHIP: Final = frozenset(("AT_ChangeOwner",))


def _rename(walker: Walker, node: Node, scope: Scope) -> None:
    kind = object_kind(node["renameType"])
    parts = relation_parts(node["relation"]) if "relation" in node else parts_of(node.get("object"))
    if kind in _PARTS and "relation" in node:
        parts = [*parts, node["subname"]]
    _altered(walker, kind, parts or [node.get("subname", "")])


def _alter_object(walker: Walker, node: Node, scope: Scope) -> None:
    kind = object_kind(node["objectType"])
    parts = relation_parts(node["relation"]) if "relation" in node else parts_of(node.get("object"))
    parts = _own_name(kind, parts)
    if kind in _PARTS and "relation" in node:
        parts = [*parts, *parts_of(node.get("object"))]
    _altered(walker, kind, parts)
    if "newschema" in node:
        walker.gathering.schemas[spelled(node["newschema"])] = None
    if "newowner" in node:
        walker.gathering.privileges = True


def _altered(walker: Walker, kind: str, parts: list[str]) -> None:
    walker.gathering.kinds["alter"] = None
    walker.gathering.ddl = True
    touch(walker, kind, parts)


def _comment(walker: Walker, node: Node, scope: Scope) -> None:
    labels = "label" in node or "provider" in node
    walker.gathering.kinds["security-label" if labels else "comment"] = None
    walker.gathering.ddl = True
    walker.gathering.privileges = walker.gathering.privileges or labels
    kind = object_kind(node["objtype"])
    touch(walker, kind, _own_name(kind, parts_of(node["object"])))


def _schema(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["create"] = None
    walker.gathering.ddl = True
    touch(walker, "schema", [node.get("schemaname") or role_name(node.get("authrole", {"roletype": ""}))])
    walker.fields(node, scope, "schemaElts")


def _foreign_table(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    gathering.kinds["create"] = None
    gathering.ddl = True
    touch(walker, "foreign-table", relation_parts(node["base"]["relation"]))
    walker.rest(node["base"], scope, "relation")
    options = {one["DefElem"]["defname"] for one in node.get("options", ())}
    # of file_fdw: https://www.postgresql.org/docs/current/file-fdw.html
    gathering.program = gathering.program or "program" in options
    gathering.files = gathering.files or "filename" in options


def _view(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["create"] = None
    walker.gathering.ddl = walker.gathering.stores_query = True
    touch(walker, "view", relation_parts(node["view"]))
    walker.fields(node, scope, "query")


def table_as(walker: Walker, node: Node, scope: Scope) -> None:
    """CREATE TABLE AS and CREATE MATERIALIZED VIEW."""
    walker.gathering.kinds["create"] = None
    walker.gathering.ddl = walker.gathering.stores_query = True
    touch(walker, object_kind(node["objtype"]), relation_parts(node["into"]["rel"]))
    walker.fields(node, scope, "query")


def _read(walker: Walker, node: Node, scope: Scope) -> None:
    relation(walker, node, Scope())


def _like(walker: Walker, node: Node, scope: Scope) -> None:
    relation(walker, node["relation"], Scope())


def _called_later(walker: Walker, node: list[Node], scope: Scope) -> None:
    walker.gathering.functions[walker.gathering.named(texts(node))] = None


def _published(walker: Walker, node: Node, scope: Scope) -> None:
    if "pubtable" in node:
        inner = Scope(scope)
        relation(walker, node["pubtable"]["relation"], inner)
        walker.fields(node["pubtable"], inner, "whereClause")
    elif "name" in node:
        walker.gathering.schemas[spelled(node["name"])] = None


def _column_definition(walker: Walker, node: Node, scope: Scope) -> None:
    if "typeName" in node:
        type_name(walker, node["typeName"], scope)
    walker.rest(node, scope, "typeName", "fdwoptions")


def _import_schema(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["import"] = None
    walker.gathering.ddl = True
    touch(walker, "schema", [node["local_schema"]])
    touch(walker, "server", [node["server_name"]])


def _define(walker: Walker, node: Node, scope: Scope) -> None:
    walker.gathering.kinds["create"] = None
    walker.gathering.ddl = True
    touch(walker, object_kind(node["kind"]), texts(node["defnames"]))
    walker.fields(node, scope, "args", "definition")


DEFINITIONS: Mapping[str, Handler] = {
    "CreateStmt": defines("create", "table", "relation"),
    "CreateTableAsStmt": table_as,
    "ViewStmt": _view,
    "IndexStmt": _index,
    "CreateForeignTableStmt": _foreign_table,
    "CreateSeqStmt": defines("create", "sequence", "sequence"),
    "AlterSeqStmt": defines("alter", "sequence", "sequence"),
    "DropStmt": _drop,
    "AlterTableStmt": _alter_table,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _alter_object,
    "AlterObjectDependsStmt": _alter_object,
    "AlterOwnerStmt": _alter_object,
    "CommentStmt": _comment,
    "SecLabelStmt": _comment,
    "CreateSchemaStmt": _schema,
    "ImportForeignSchemaStmt": _import_schema,
    "CreateTrigStmt": part_of("create", "trigger", "trigname", "relation"),
    "CreatePolicyStmt": part_of("create", "policy", "policy_name", "table"),
    "AlterPolicyStmt": part_of("alter", "policy", "policy_name", "table"),
    "RuleStmt": part_of("create", "rule", "rulename", "relation"),
    "DefineStmt": _define,
    "AlterExtensionContentsStmt": defines("alter", "extension", "extname"),
    # what stands inside definitions
    "funcname": _called_later,
    "TableLikeClause": _like,
    "pktable": _read,
    "constrrel": _read,
    "PublicationObjSpec": _published,
    "ColumnDef": _column_definition,
    **{
        tag: defines(verb, kind, field)
        for tag, verb, kind, field in (
            ("AlterCollationStmt", "alter", "collation", "collname"),
            ("AlterDatabaseRefreshCollStmt", "alter", "database", "dbname"),
            ("AlterDatabaseStmt", "alter", "database", "dbname"),
            ("AlterDomainStmt", "alter", "domain", "typeName"),
            ("AlterEnumStmt", "alter", "type", "typeName"),
            ("AlterEventTrigStmt", "alter", "event-trigger", "trigname"),
            ("AlterExtensionStmt", "alter", "extension", "extname"),
            ("AlterFdwStmt", "alter", "foreign-data-wrapper", "fdwname"),
            ("AlterForeignServerStmt", "alter", "server", "servername"),
            ("AlterOpFamilyStmt", "alter", "operator-family", "opfamilyname"),
            ("AlterOperatorStmt", "alter", "operator", "opername"),
            ("AlterPublicationStmt", "alter", "publication", "pubname"),
            ("AlterStatsStmt", "alter", "statistics", "defnames"),
            ("AlterSubscriptionStmt", "alter", "subscription", "subname"),
            ("AlterTSConfigurationStmt", "alter", "text-search-configuration", "cfgname"),
            ("AlterTSDictionaryStmt", "alter", "text-search-dictionary", "dictname"),
            ("AlterTableMoveAllStmt", "alter", "tablespace", "orig_tablespacename"),
            ("AlterTableSpaceOptionsStmt", "alter", "tablespace", "tablespacename"),
            ("AlterTypeStmt", "alter", "type", "typeName"),
            ("AlterUserMappingStmt", "alter", "user-mapping", "servername"),
            ("CompositeTypeStmt", "create", "type", "typevar"),
            ("CreateAmStmt", "create", "access-method", "amname"),
            ("CreateCastStmt", "create", "cast", "targettype"),
            ("CreateConversionStmt", "create", "conversion", "conversion_name"),
            ("CreateDomainStmt", "create", "domain", "domainname"),
            ("CreateEnumStmt", "create", "type", "typeName"),
            ("CreateEventTrigStmt", "create", "event-trigger", "trigname"),
            ("CreateExtensionStmt", "create", "extension", "extname"),
            ("CreateFdwStmt", "create", "foreign-data-wrapper", "fdwname"),
            ("CreateForeignServerStmt", "create", "server", "servername"),
            ("CreateOpClassStmt", "create", "operator-class", "opclassname"),
            ("CreateOpFamilyStmt", "create", "operator-family", "opfamilyname"),
            ("CreatePLangStmt", "create", "language", "plname"),
            ("CreatePublicationStmt", "create", "publication", "pubname"),
            ("CreateRangeStmt", "create", "type", "typeName"),
            ("CreateStatsStmt", "create", "statistics", "defnames"),
            ("CreateSubscriptionStmt", "create", "subscription", "subname"),
            ("CreateTableSpaceStmt", "create", "tablespace", "tablespacename"),
            ("CreateTransformStmt", "create", "transform", "lang"),
            ("CreateUserMappingStmt", "create", "user-mapping", "servername"),
            ("CreatedbStmt", "create", "database", "dbname"),
            ("DropSubscriptionStmt", "drop", "subscription", "subname"),
            ("DropTableSpaceStmt", "drop", "tablespace", "tablespacename"),
            ("DropUserMappingStmt", "drop", "user-mapping", "servername"),
            ("DropdbStmt", "drop", "database", "dbname"),
        )
    },
}
