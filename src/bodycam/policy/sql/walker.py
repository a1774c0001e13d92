"""The walk over a statement's tree: a table says which nodes mean something, others are passed through."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bodycam.policy.sql.gathering import Gathering
from bodycam.policy.sql.parser import TOO_DEEP, Refused
from bodycam.policy.sql.scope import Scope

Node = dict[str, Any]
Handler = Callable[["Walker", Any, Scope], None]

MAX_LEVEL: Final = 1000
"""Levels of a tree; a link of a chain of operators is one to two of them."""


class Walker:
    """Walks one text's trees and gathers facts.

    `nodes` is the table: the JSON key of a node (`SelectStmt`), or of a field whose node comes without its
    name (`pktable`), to what notes it. `source` is the text being walked, in bytes; `depth` how many bodies
    are nested in one another, because a body may hold a body; `bodies` how many there were; `level` how far
    down the walk is.
    """

    __slots__ = ("bodies", "depth", "gathering", "level", "nodes", "source")

    def __init__(self, nodes: Mapping[str, Handler], gathering: Gathering) -> None:
        self.nodes, self.gathering = nodes, gathering
        self.source = b""
        self.depth = 0
        self.bodies = 0
        self.level = 0

    def walk(self, value: Any, scope: Scope) -> None:
        """Visit a node, a list of nodes or a node's fields; raises Refused far down."""
        self.down()
        if value.__class__ is dict:
            nodes = self.nodes
            for key, inner in value.items():
                kind = inner.__class__
                if kind is dict or kind is list:
                    handler = nodes.get(key)
                    if handler is None:
                        self.walk(inner, scope)
                    else:
                        handler(self, inner, scope)
        elif value.__class__ is list:
            for item in value:
                self.walk(item, scope)
        self.up()

    def down(self) -> None:
        """Go one level down; raises Refused where nobody's statement goes.

        Compiled, the walk's recursion is bounded by nothing else: the interpreter doesn't count it.
        """
        self.level += 1
        if self.level > MAX_LEVEL:
            raise Refused(TOO_DEEP)

    def up(self) -> None:
        """Come back from there."""
        self.level -= 1

    def fields(self, node: Node, scope: Scope, *names: str) -> None:
        """Visit some fields of a node, in this order."""
        for name in names:
            inner = node.get(name)
            if inner is not None:
                self.walk(inner, scope)

    def rest(self, node: Node, scope: Scope, *but: str) -> None:
        """Visit all fields of a node but some."""
        for name, inner in node.items():
            if name not in but:
                self.walk({name: inner}, scope)
