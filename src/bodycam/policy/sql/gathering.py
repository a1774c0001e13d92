"""Where the facts of a text are collected while its tree is walked."""

from typing import Any

from bodycam.policy.sql.facts import Names, SqlFacts

Found = dict[str, None]
"""A set that keeps the order in which its members were met."""


def spelled(*parts: str) -> str:
    """A name of several parts, dotted; one with a dot or a quote in it, or a star, is quoted as in SQL."""
    return ".".join(
        '"' + part.replace('"', '""') + '"' if "." in part or '"' in part or part == "*" else part
        for part in parts
        if part
    )


def texts(nodes: list[Any]) -> list[str]:
    """The strings of a list of `String` nodes, as qualified names are kept; other nodes are left out."""
    found = []
    for node in nodes:
        string = node.get("String")
        if string is not None:
            found.append(string.get("sval", ""))
    return found


class Gathering:
    """The facts found so far."""

    __slots__ = (
        "columns_read",
        "columns_stored",
        "columns_written",
        "copy_options",
        "ddl",
        "deallocates",
        "dynamic",
        "executes",
        "files",
        "functions",
        "kinds",
        "objects",
        "outputs",
        "prepares",
        "privileges",
        "program",
        "reads",
        "roles",
        "schemas",
        "settings",
        "stores_query",
        "unknown",
        "writes",
        "writes_by_function",
    )

    def __init__(self) -> None:
        self.kinds: Found = {}
        self.reads: Found = {}
        self.writes: Found = {}
        self.columns_read: Found = {}
        self.columns_stored: Found = {}
        self.columns_written: Found = {}
        self.functions: Found = {}
        self.schemas: Found = {}
        self.objects: Found = {}
        self.roles: Found = {}
        self.settings: Found = {}
        self.copy_options: dict[tuple[str, str], None] = {}
        self.prepares: dict[tuple[str, str], None] = {}
        self.executes: Found = {}
        self.deallocates: Found = {}
        self.unknown: Found = {}
        self.writes_by_function: Found = {}
        self.ddl = self.privileges = self.program = self.files = self.dynamic = False
        self.outputs = self.stores_query = False

    def relation(self, node: dict[str, Any]) -> str:
        """The name of a RangeVar, its schema noted; a database's name before it is dropped."""
        schema = node.get("schemaname")
        name = node.get("relname", "")
        if schema is None:
            return name if "." not in name and '"' not in name else spelled(name)
        self.schemas[spelled(schema)] = None
        return spelled(schema, name)

    def named(self, parts: list[str]) -> str:
        """A qualified name out of its parts, its schema noted."""
        parts = parts[-2:]
        if len(parts) == 2:
            self.schemas[spelled(parts[0])] = None
        return spelled(*parts)

    def folded_in(self, planned: "Gathering") -> None:
        """Take what a statement that is only planned would touch: all of it is looked at, nothing is done."""
        for name in (*planned.reads, *planned.writes):
            self.reads[name] = None
        for mine, theirs in (
            (self.columns_read, planned.columns_read),
            (self.functions, planned.functions),
            (self.schemas, planned.schemas),
            (self.executes, planned.executes),
            (self.unknown, planned.unknown),
        ):
            mine.update(theirs)

    def facts(self, statements: int) -> SqlFacts:
        """What was found, for good."""
        return SqlFacts(
            kinds=tuple(self.kinds),
            statements=statements,
            reads=tuple(self.reads),
            writes=tuple(self.writes),
            columns_read=tuple(self.columns_read),
            columns_stored=tuple(self.columns_read if self.stores_query else self.columns_stored),
            columns_written=tuple(self.columns_written),
            functions=tuple(self.functions),
            schemas=_known(self.schemas),
            objects=tuple(self.objects),
            ddl=self.ddl,
            privileges=self.privileges,
            program=self.program,
            files=self.files,
            dynamic=self.dynamic,
            roles=tuple(self.roles),
            settings=tuple(self.settings),
            copy_options=tuple(self.copy_options),
            prepares=tuple(self.prepares),
            executes=tuple(self.executes),
            deallocates=tuple(self.deallocates),
            unknown=tuple(self.unknown),
            writes_by_function=tuple(self.writes_by_function),
            outputs=self.outputs,
            stores_query=self.stores_query,
        )


def _known(schemas: Found) -> Names:
    return tuple(name for name in schemas if name)
