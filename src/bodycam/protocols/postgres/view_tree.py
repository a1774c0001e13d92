"""Where the columns of a view come from, out of the query tree that the server keeps of it.

`pg_rewrite.ev_action` is a list of one query, written by PostgreSQL's nodeToString: nodes in braces, fields
after colons, anything odd in a name behind a backslash. Of each entry of the query's target list the server
notes the relation and the column that it is, unchanged, or 0 where it is computed: the same two numbers that
it puts into a result's description.
https://github.com/postgres/postgres/blob/master/src/backend/nodes/outfuncs.c
https://www.postgresql.org/docs/current/catalog-pg-rewrite.html
"""

import re
from typing import Final

from bodycam.model.relation import Place

_TOKEN: Final = re.compile(r"\\.|\{|\}|:([a-zA-Z_]+)(?: ([0-9]+|true|false)(?=[ )}]))?", re.DOTALL)

_QUERY, _ENTRY = 1, 2
"""How deep in braces the query's own fields are, and those of its target list's entries."""


def sources(tree: str) -> dict[int, Place]:
    """For each column of the view that is a column of something else, unchanged: which one.

    What can't be read is left out, as what is computed is.
    """
    found: dict[int, Place] = {}
    entry: dict[str, str] = {}
    depth, listed = 0, False
    for token in _TOKEN.finditer(tree):
        match token.group(0):
            case "{":
                depth += 1
            case "}":
                if depth == _ENTRY and listed:
                    _note(entry, found)
                    entry = {}
                depth -= 1
            case _ if token.group(1) and depth == _QUERY:
                listed = token.group(1) == "targetList"
            case _ if token.group(1) and depth == _ENTRY and listed:
                entry[token.group(1)] = token.group(2) or ""
    return found


def _note(entry: dict[str, str], found: dict[int, Place]) -> None:
    number, relation, column = (entry.get(name, "") for name in ("resno", "resorigtbl", "resorigcol"))
    if entry.get("resjunk") != "false" or not (number.isdigit() and relation.isdigit() and column.isdigit()):
        return
    if int(relation) and int(column):
        found[int(number)] = (int(relation), int(column))
