"""Rules as a real file has them: presets, and conditions over kinds, tables, targets and people."""

from typing import Any


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
