"""From a statement's text to its facts, once for each text."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, final

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
    """Facts by text, kept while there is room.

    Bounded by number and by the texts' characters; the ones longest not asked for go first. A text longer
    than `max_text` characters is analysed each time: few such come twice, and none shall push out hundreds
    of others.
    """

    __slots__ = ("_facts", "_kept", "_max_bytes", "_max_count", "_max_text", "hits", "misses", "seconds")

    def __init__(
        self, max_count: int = 10_000, max_bytes: int = 8 * 1024 * 1024, max_text: int = 8192
    ) -> None:
        self._max_count, self._max_bytes, self._max_text = max_count, max_bytes, max_text
        self._facts: OrderedDict[str, SqlFacts] = OrderedDict()
        self._kept = 0
        self.hits = 0
        self.misses = 0
        self.seconds = 0.0  # spent on texts that were not known yet

    def facts(self, text: str) -> SqlFacts:
        """The facts of a statement; never raises."""
        known = self._facts.get(text)
        if known is not None:
            self.hits += 1
            self._facts.move_to_end(text)
            return known
        self.misses += 1
        began = time.perf_counter()
        found = analyse(text)
        self.seconds += time.perf_counter() - began
        if len(text) <= self._max_text:
            self._keep(text, found)
        return found

    @property
    def kept(self) -> tuple[int, int]:
        """How many texts are known, and how many characters they have."""
        return len(self._facts), self._kept

    def _keep(self, text: str, found: SqlFacts) -> None:
        self._facts[text] = found
        self._kept += len(text)
        while len(self._facts) > self._max_count or self._kept > self._max_bytes:
            gone, _ = self._facts.popitem(last=False)
            self._kept -= len(gone)
