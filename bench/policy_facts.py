"""What it takes to tell a statement's facts: at its first sight, and once it is known.

`python bench/policy_facts.py [--quick] [--json]`. The statements are those of the tables of
tests/unit/policy/sql that parse, and a few of an application's size, for which the parser and the loading of
its tree are measured apart; what is left is the walk.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent

from parts.machine import Row, machine, row, show  # noqa: E402

from bodycam.policy.sql import parser  # noqa: E402
from bodycam.policy.sql.analysis import SqlAnalysis, analyse  # noqa: E402

TABLES = ROOT / "tests" / "unit" / "policy" / "sql" / "tables"
SHORT = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;"
REPORT = """
with recent as (select o.id, o.customer, o.total from orders o where o.placed > now() - interval '30 days'),
best as (select customer, sum(total) as spent from recent group by customer having sum(total) > 1000)
select c.id, c.name, b.spent, count(r.id) as orders, rank() over (order by b.spent desc) as place
from best b join customers c on c.id = b.customer left join recent r on r.customer = c.id
where c.country in ('de', 'fr', 'it') and (c.closed is null or c.closed > current_date)
group by c.id, c.name, b.spent order by b.spent desc limit 50 offset $1
"""
ROWS = "insert into orders (id, customer, total, note) values " + ", ".join(
    f"({n}, {n % 97}, {n}.5, 'note number {n}')" for n in range(100)
)
NAMED = {"pgbench -S": SHORT, "a report of 800 bytes": REPORT, "an INSERT of 100 rows": ROWS}


def timed(work: Callable[[], Any], times: int) -> float:
    """The median of many calls, in microseconds."""
    found = []
    for _ in range(times):
        started = time.perf_counter_ns()
        work()
        found.append(time.perf_counter_ns() - started)
    return statistics.median(found) / 1000


def measure(times: int) -> list[Row]:
    rows: list[Row] = []
    texts = [
        case["sql"] for table in sorted(TABLES.glob("*.yaml")) for case in yaml.safe_load(table.read_text())
    ]
    texts = [text for text in texts if "does not parse" not in analyse(text).unknown]
    each = sorted(timed(lambda text=text: analyse(text), max(5, times // 100)) for text in texts)
    rows.append(
        row(f"first sight, p50 of {len(texts)} statements", statistics.median(each), "us", at_most=100)
    )
    rows.append(row("first sight, p99 of them", each[len(each) * 99 // 100], "us"))
    for name, text in NAMED.items():
        source = parser.encoded(text)
        made = parser._parse(source, parser.Form.STATEMENTS)
        whole = timed(lambda text=text: analyse(text), times)
        parsed = timed(lambda source=source: parser._parse(source, parser.Form.STATEMENTS), times)
        loaded = timed(lambda made=made: json.loads(made), times)
        rows.append(row(f"first sight of {name}", whole, "us"))
        rows.append(row("  of that the parser", parsed, "us"))
        rows.append(row("  of that loading the tree", loaded, "us"))
    analysis = SqlAnalysis()
    for text in texts:
        analysis.facts(text)
    rows.append(row("known", timed(lambda: [analysis.facts(SHORT) for _ in range(100)], times) / 100, "us"))
    rows.append(
        row(
            "known, 800 bytes", timed(lambda: [analysis.facts(REPORT) for _ in range(100)], times) / 100, "us"
        )
    )
    return rows


def main() -> int:
    parsed = argparse.ArgumentParser(description=__doc__)
    parsed.add_argument("--quick", action="store_true")
    parsed.add_argument("--json", action="store_true")
    arguments = parsed.parse_args()
    about = machine()
    rows = measure(300 if arguments.quick else 2000)
    show("policy_facts", rows, about, as_json=arguments.json)
    return 0 if all(one["ok"] for one in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
