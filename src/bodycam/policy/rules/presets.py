"""Ready-made rules for agents, by name. `docs/rules.md` lists them."""

from dataclasses import dataclass

from bodycam.config.rules import Action


@dataclass(frozen=True, slots=True)
class Preset:
    """A rule of Bodycam's own."""

    when: str
    then: Action
    message: str
    hint: str
    meaning: str


_WRITING = (
    '["insert", "update", "delete", "merge", "truncate", "drop", "create", "alter", "grant", "revoke", '
    '"copy-program", "call", "do", "comment", "refresh", "reindex", "cluster", "vacuum", "reassign", '
    '"security-label", "alter-system", "load", "import", "rename", "rule"]'
)

PRESETS: dict[str, Preset] = {
    "read-only": Preset(
        "op.sql.writes.size() > 0 || op.sql.writes_by_function.size() > 0 || op.sql.ddl || op.sql.privileges"
        " || op.sql.program || op.sql.files || op.sql.dynamic"
        f" || op.sql.kinds.exists(k, k in {_WRITING}) || op.verb == 'function'",
        Action.DENY,
        "only reading is allowed here",
        "Ask for a target on which this agent may write.",
        "Nothing that writes, defines, grants, runs programs or hides what it does.",
    ),
    "no-destructive-sql": Preset(
        'op.sql.kinds.exists(k, k in ["drop", "truncate"])',
        Action.DENY,
        "dropping and truncating are not allowed here",
        "Delete the rows that you mean, or let a person do it.",
        "No `DROP` and no `TRUNCATE`, wherever they hide.",
    ),
    "no-program": Preset(
        "op.sql.program || op.sql.files"
        ' || op.sql.kinds.exists(k, k in ["load", "alter-system"])'
        ' || op.sql.objects.exists(o, o.startsWith("extension:") || o.startsWith("language:"))',
        Action.DENY,
        "running programs and touching files of the database server are not allowed here",
        "Use COPY ... FROM STDIN or TO STDOUT; the client has the file.",
        "No `COPY ... PROGRAM`, no files of the server, no `LOAD`, no extensions, no `ALTER SYSTEM`.",
    ),
    "no-bulk-export": Preset(
        '(op.sql.kinds.exists(k, k == "copy") && op.sql.reads.size() > 0) || usage.run.rows > 100000',
        Action.DENY,
        "taking data out in bulk is not allowed here",
        "Ask for fewer rows, or let the database aggregate them.",
        "No `COPY ... TO`, and no more than 100,000 rows a run.",
    ),
    "no-unclear-requests": Preset(
        '(has(op.llm.unknown) && op.llm.unknown != "") || (has(op.mcp.unknown) && op.mcp.unknown != "")',
        Action.DENY,
        "it can't be told for certain what this asks of a model or a tool",
        "Send plain JSON in UTF-8, with each key once.",
        "No request to a model or a server of tools that two parsers could read in two ways.",
    ),
}
