"""Statements that change who may do what: roles, GRANT, REVOKE, default privileges, ownership."""

from collections.abc import Mapping

from bodycam.policy.sql.definitions import object_kind, parts_of, role_name
from bodycam.policy.sql.gathering import spelled
from bodycam.policy.sql.scope import Scope
from bodycam.policy.sql.settings import setting
from bodycam.policy.sql.walker import Handler, Node, Walker


def _changes(walker: Walker, kind: str) -> None:
    gathering = walker.gathering
    gathering.kinds[kind] = None
    gathering.ddl = gathering.privileges = True


def _role(verb: str) -> Handler:
    def handle(walker: Walker, node: Node, scope: Scope) -> None:
        _changes(walker, verb)
        named = node.get("role")
        roles = node.get("roles", [] if named is None else [named])
        for role in roles:
            if isinstance(role, str):
                name = role
            else:
                name = role_name(role.get("RoleSpec", role))
            walker.gathering.objects[f"role:{spelled(name)}"] = None
        if "setstmt" in node:
            if not roles:
                walker.gathering.objects["role:all"] = None
            setting(walker, node["setstmt"])

    return handle


def _grant(walker: Walker, node: Node, scope: Scope) -> None:
    gathering = walker.gathering
    _changes(walker, "grant" if node.get("is_grant") else "revoke")
    kind = object_kind(node["objtype"])
    for one in node.get("objects", ()):
        if node["targtype"] == "ACL_TARGET_ALL_IN_SCHEMA":
            gathering.schemas[gathering.named(parts_of(one))] = None
            continue
        name = gathering.named(parts_of(one))
        if kind == "schema":
            gathering.schemas[name] = None
        gathering.objects[f"{kind}:{name}"] = None


def _grant_role(walker: Walker, node: Node, scope: Scope) -> None:
    _changes(walker, "grant" if node.get("is_grant") else "revoke")
    for granted in node["granted_roles"]:
        walker.gathering.objects[f"role:{spelled(granted['AccessPriv']['priv_name'])}"] = None


def _default_privileges(walker: Walker, node: Node, scope: Scope) -> None:
    _changes(walker, "alter")
    for option in node.get("options", ()):
        if option["DefElem"]["defname"] == "schemas":
            for name in parts_of(option["DefElem"]["arg"]):
                walker.gathering.schemas[spelled(name)] = None
    _grant(walker, node["action"], scope)


def _owned(kind: str) -> Handler:
    def handle(walker: Walker, node: Node, scope: Scope) -> None:
        _changes(walker, kind)
        for role in node["roles"]:
            walker.gathering.objects[f"role:{spelled(role_name(role['RoleSpec']))}"] = None

    return handle


PRIVILEGES: Mapping[str, Handler] = {
    "CreateRoleStmt": _role("create"),
    "AlterRoleStmt": _role("alter"),
    "AlterRoleSetStmt": _role("alter"),
    "DropRoleStmt": _role("drop"),
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant_role,
    "AlterDefaultPrivilegesStmt": _default_privileges,
    "DropOwnedStmt": _owned("drop"),
    "ReassignOwnedStmt": _owned("reassign"),
}
