"""From a statement's text to its facts, once for each shape of a text."""

from collections.abc import Mapping
from typing import Any, Final, final

from bodycam.policy.known_texts import KnownTexts
from bodycam.policy.sql.bodies import BODIES
from bodycam.policy.sql.calls import CALLS
from bodycam.policy.sql.commands import COMMANDS
from bodycam.policy.sql.definitions import DEFINITIONS
from bodycam.policy.sql.facts import SqlFacts, undecidable
from bodycam.policy.sql.gathering import Gathering
from bodycam.policy.sql.parser import TOO_DEEP, Refused, encoded, parse, part
from bodycam.policy.sql.privileges import PRIVILEGES
from bodycam.policy.sql.queries import QUERIES
from bodycam.policy.sql.scope import Scope
from bodycam.policy.sql.settings import SETTINGS
from bodycam.policy.sql.shape import shape, tells
from bodycam.policy.sql.walker import Handler, Walker

NODES: Final[Mapping[str, Handler]] = {
    **DEFINITIONS,
    **PRIVILEGES,
    **SETTINGS,
    **COMMANDS,
    **BODIES,
    **CALLS,
    **QUERIES,
}

DIALECT: Final = "postgresql"
"""Whose grammar this is."""

PARSER_FAILED: Final = "parser failed"
UNKNOWN_STATEMENT: Final = "unknown statement"


def analyse(text: str, nodes: Mapping[str, Handler] = NODES) -> SqlFacts:
    """The facts of a text in the grammar of PostgreSQL; never raises, `unknown` says why there are none.

    `nodes` is the table of what is understood; tests leave something out of it.
    """
    try:
        source = encoded(text)
        statements = parse(source)
        gathering = Gathering()
        walker = Walker(nodes, gathering)
        for statement in statements:
            _statement(walker, source, statement)
        return gathering.facts(len(statements))
    except Refused as refused:
        return undecidable(refused.args[0])
    except RecursionError:
        return undecidable(TOO_DEEP)
    except Exception:
        # a tree that nobody foresaw; what is unknown is denied, and no statement may end a worker
        return undecidable(PARSER_FAILED)


def _statement(walker: Walker, source: bytes, statement: dict[str, Any]) -> None:
    tree: dict[str, Any] = statement["stmt"]
    walker.source = part(source, statement)
    (kind,) = tree
    if kind not in walker.nodes:
        walker.gathering.unknown[UNKNOWN_STATEMENT] = None
    walker.walk(tree, Scope())
    if _returns_rows(kind, tree[kind]) and _shows_something(walker.gathering):
        walker.gathering.outputs = True


def _returns_rows(kind: str, node: dict[str, Any]) -> bool:
    match kind:
        case "SelectStmt":
            first = node
            while "larg" in first:
                first = first["larg"]
            return "intoClause" not in first
        case "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt":
            return "returningClause" in node
        case "CopyStmt":
            return not node.get("is_from") and "filename" not in node
        case "ExecuteStmt" | "CallStmt":
            return True
        case "FetchStmt":
            return not node.get("ismove")
        case _:
            return False


def _shows_something(gathering: Gathering) -> bool:
    kinds = gathering.kinds
    return bool(
        gathering.reads or gathering.functions or gathering.executes or "fetch" in kinds or "call" in kinds
    )


@final
class SqlAnalysis:
    """Facts by text; texts of one shape (`shape.py`) have the same ones."""

    __slots__ = ("texts",)

    def __init__(self) -> None:
        self.texts: KnownTexts[SqlFacts] = KnownTexts(
            analyse, max_count=10_000, max_characters=8 << 20, max_text=8_192
        )

    def facts(self, text: str) -> SqlFacts:
        """The facts of a statement; never raises."""
        texts = self.texts
        known = texts.known(text)
        if known is not None:
            return known
        shaped = shape(text)
        if shaped is not None and shaped != text:
            known = texts.known(shaped)
            if known is None:
                known = texts.analysed(shaped)
            if tells(known):
                return known
        return texts.analysed(text)

    def shape(self, text: str) -> str | None:
        """A text that stands for this one where it has the very same facts; None where there is none."""
        return shape(text)
