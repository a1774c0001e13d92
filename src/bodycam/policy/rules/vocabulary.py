"""What a rule's condition may read: every path, what type it has, and how long it stays the same.

`docs/rules.md` is the reference for people; a test holds both together.
"""

from collections.abc import Sequence
from typing import Any, final

from bodycam.policy.rules.lasting import Known, Lasting
from bodycam.policy.rules.told import TOLD

_S, _T, _O = Lasting.SESSION, Lasting.STATEMENT, Lasting.OPERATION
_WORDS = ("word",)

SQL = tuple(
    Known(f"op.sql.{name}", _T, sample, meaning)
    for name, sample, meaning in (
        ("kinds", _WORDS, "what the statements do: `select`, `insert`, `drop`, `copy`, `grant`, ..."),
        ("statements", 1, "how many statements the text has"),
        ("reads", _WORDS, "tables and views read, as written"),
        ("writes", _WORDS, "tables written, created, altered or dropped"),
        ("columns_read", _WORDS, "columns read, `table.column` where the table can be told"),
        ("columns_stored", _WORDS, "columns read whose values the statement may write somewhere"),
        ("columns_written", _WORDS, "columns written"),
        ("functions", _WORDS, "functions called"),
        ("schemas", _WORDS, "schemas named"),
        ("objects", _WORDS, "objects defined or dropped, as `kind:name`"),
        ("ddl", True, "whether a definition changes"),
        ("privileges", True, "whether rights, roles or owners change"),
        ("program", True, "whether the server is told to run a program (`COPY ... PROGRAM`)"),
        ("files", True, "whether files of the server are read or written"),
        ("dynamic", True, "whether SQL is made and run at run time (`DO`, functions that take SQL)"),
        ("roles", _WORDS, "roles that are switched to"),
        ("settings", _WORDS, "settings changed, as `name=value`"),
        ("writes_by_function", _WORDS, "functions called that write or act by themselves"),
        ("outputs", True, "whether rows of relations come back"),
        ("stores_query", True, "whether a query's result is kept under another name"),
        ("unknown", _WORDS, "why the effect can't be told; empty where it can"),
    )
)

SHELL = tuple(
    Known(f"op.shell.{name}", _T, sample, meaning)
    for name, sample, meaning in (
        ("programs", _WORDS, "programs and builtins that run, without their folders"),
        ("programs_written", _WORDS, "the same as they are written: `/bin/rm`"),
        ("argv", _WORDS, "each command with its arguments, as one text"),
        ("reads", _WORDS, "paths that are read, by redirections and by programs that are known"),
        ("writes", _WORDS, "paths that are written"),
        ("deletes", _WORDS, "paths that are deleted or moved away"),
        ("redirects", _WORDS, "redirections: `>/tmp/x`, `2>&1`, `<<`"),
        ("pipes", _WORDS, "what flows from one program into another: `curl|sh`"),
        ("sudo", _WORDS, "users that something is run as: `root`, `?` where the text doesn't tell"),
        ("interpreters", _WORDS, "interpreters of other languages that run"),
        ("functions", _WORDS, "functions defined"),
        ("variables", _WORDS, "variables read"),
        ("assigns", _WORDS, "variables set"),
        ("substitutions", True, "whether commands are put in the place of words: `$(...)`, `<(...)`"),
        ("background", True, "whether something is left to run in the background by `&`"),
        ("unknown", _WORDS, "why it can't be told what runs; empty where it can"),
    )
)

KNOWN: tuple[Known, ...] = (
    Known(
        "op.verb",
        _T,
        "query",
        "the protocol's word for it: `query`, `prepare`, `bind`, `execute`, `function`",
    ),
    Known("op.text", _T, "select 1", "what was asked, in the client's own words"),
    *SQL,
    *SHELL,
    *TOLD,
    Known("op.parameters", _O, _WORDS, "the values handed over beside the text, as text; null for NULL"),
    Known("op.facts", _O, {"portal": "c"}, "what else the protocol knows of it", open=True),
    Known("principal.issuer", _S, "bodycam", "who vouches for whoever started the run"),
    Known("principal.subject", _S, "ada", "whoever started the run"),
    Known("principal.kind", _S, "human", "`human` or `service`"),
    Known("principal.groups", _S, _WORDS, "the groups of whoever started the run"),
    Known("run.id", _S, "run_a", "the run"),
    Known("run.agent", _S, "billing-bot", "the agent that acts"),
    Known("run.grade", _S, "advisory", "`isolated`, `separated` or `advisory`"),
    Known("run.labels", _S, {"ticket": "T-1"}, "the run's labels: claims of the client", open=True),
    Known("target.name", _S, "orders", "the target"),
    Known("target.protocol", _S, "http", "its protocol"),
    Known("target.labels", _S, {"env": "prod"}, "its labels", open=True),
    Known("session.database", _S, "orders", "the database, or what else was chosen behind the target"),
    Known("usage.session.operations", _O, 3, "operations of this session so far"),
    Known("usage.session.rows", _O, 3, "rows that this session has moved so far"),
    Known("usage.run.operations", _O, 3, "operations of this run so far"),
    Known("usage.run.rows", _O, 3, "rows that this run has moved so far"),
    Known("usage.run.per_minute", _O, 3, "operations of this run in the last 60 seconds"),
    Known("now.unix", _O, 1_800_000_000, "seconds of the Unix epoch"),
    Known("now.hour", _O, 9, "hour of the day, UTC, 0 to 23"),
    Known("now.weekday", _O, 1, "1 for Monday to 7 for Sunday, UTC"),
)

MISSING = object()
"""What stands at the path of a label that is not there."""


@final
class Vocabulary:
    """What one kind of condition may read.

    Attributes:
        known: every path; `by_path` has them by their text.
        roots: the names that paths begin with.
        branches: paths that lead to facts and are none themselves.
        page: where people find them described.
    """

    __slots__ = ("branches", "by_path", "known", "page", "roots")

    def __init__(self, known: Sequence[Known], page: str) -> None:
        self.known, self.page = tuple(known), page
        self.by_path = {one.path: one for one in known}
        self.roots = frozenset(one.path.split(".")[0] for one in known)
        self.branches = frozenset(
            one.path.rsplit(".", depth)[0] for one in known for depth in range(1, one.path.count(".") + 1)
        )

    def tree(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values by path as the nested maps that a condition reads; what is MISSING is left out."""
        grown: dict[str, Any] = {root: {} for root in self.roots}
        for path, value in values.items():
            place = grown
            *steps, leaf = path.split(".")
            for step in steps:
                place = place.setdefault(step, {})
            if value is MISSING:
                continue
            if path in self.branches:
                place.setdefault(leaf, {})
            else:
                place[leaf] = _plain(value)
        return grown


def _plain(value: Any) -> Any:
    """A value as conditions take it, which know lists and no tuples."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


RULES = Vocabulary(KNOWN, "docs/rules.md")

__all__ = ["KNOWN", "MISSING", "RULES", "Known", "Lasting", "Vocabulary"]
