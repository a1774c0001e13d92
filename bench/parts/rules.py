"""Rules as a real file has them: presets, and conditions over kinds, tables, targets and people."""

from typing import Any


def web_rules(count: int) -> list[dict[str, Any]]:
    """So many rules about requests, none of which matches what the load asks for."""
    # a CONNECT has neither path nor query
    shapes = (
        "has(op.http.path) && op.http.path.startsWith('/admin-{n}/') && op.http.method in ['POST', 'PUT']",
        "op.http.host.endsWith('.internal-{n}.example') && target.labels.env == 'prod'",
        "has(op.http.query) && op.http.query.contains('export-{n}=all') && run.agent == 'bot-{n}'",
        "'group-{n}' in principal.groups && op.http.method == 'DELETE'",
        "op.http.port == 80{n} || (has(op.http.path) && op.http.path.contains('/secret-{n}'))",
    )
    actions = ("deny", "require_approval", "alert")
    return [
        {"name": f"rule-{n}", "when": shapes[n % len(shapes)].format(n=n), "then": actions[n % len(actions)]}
        for n in range(count)
    ]


def shell_rules(count: int) -> list[dict[str, Any]]:
    """So many rules about commands and files, none of which matches what the load does."""
    shapes = (
        "has(op.shell) && 'tool-{n}' in op.shell.programs",
        "op.text.contains('--force-{n}') && run.agent == 'bot-{n}'",
        "has(op.file) && op.file.path.startsWith('/secret-{n}/')",
        "'group-{n}' in principal.groups && op.verb == 'exec'",
        "has(op.shell) && op.shell.sudo.size() > 0 && target.labels.env == 'prod-{n}'",
    )
    actions = ("deny", "require_approval", "alert")
    return [
        {"name": f"rule-{n}", "when": shapes[n % len(shapes)].format(n=n), "then": actions[n % len(actions)]}
        for n in range(count)
    ]


def rules(count: int) -> list[dict[str, Any]]:
    """So many rules, none of which matches what pgbench does."""
    presets: list[dict[str, Any]] = [{"preset": "no-destructive-sql"}, {"preset": "no-program"}]
    shapes = (
        "op.sql.writes.exists(t, t == 'payroll_{n}') && target.labels.env == 'prod'",
        "op.sql.kinds.exists(k, k in ['grant', 'revoke', 'alter']) && run.agent == 'bot-{n}'",
        "op.sql.reads.exists(t, t.startsWith('secret_{n}_'))",
        "'group-{n}' in principal.groups && op.sql.ddl",
        "op.sql.functions.exists(f, f == 'pg_sleep_{n}') || op.sql.schemas.exists(s, s == 'private_{n}')",
    )
    actions = ("deny", "require_approval", "alert")
    made = [
        {"name": f"rule-{n}", "when": shapes[n % len(shapes)].format(n=n), "then": actions[n % len(actions)]}
        for n in range(count - len(presets))
    ]
    return presets + made
