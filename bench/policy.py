"""What policy costs: fifty rules and all detectors, beside the same gateway without them, from one run.

python bench/policy.py [--quick] [--json]
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # the server and the gateway are the tests' own

from parts.machine import Row, machine, row, show  # noqa: E402
from parts.pgbench import pgbench  # noqa: E402
from parts.process import cpu  # noqa: E402
from parts.rules import rules  # noqa: E402
from tests.stage import Gateway, Postgres, folder, postgres, shop  # noqa: E402
from tests.unit.policy.rules.cases import Subject, query, settings  # noqa: E402

from bodycam.policy.decision import DecisionPoint  # noqa: E402
from bodycam.policy.rules.compiling import compile_rules  # noqa: E402
from bodycam.policy.sql.analysis import SqlAnalysis  # noqa: E402

RULES = 50
WIDE = """\
create table wide_{name} as select rpad(case when i % 100 = 0 and {hits} then
format('order %s paid by 4111111111111111, shipped to %s Example Street', i, i % 311)
else format('order %s of customer %s, shipped to %s Example Street', i, i * 7919 % 100003, i % 311)
end, 100, '.') as line from generate_series(1, {rows}::bigint) i"""


@dataclass(frozen=True, slots=True)
class Size:
    """Seconds of one load, rounds of it, rows of the wide tables."""

    seconds: int
    rounds: int
    rows: int


QUICK = Size(seconds=1, rounds=2, rows=100_000)
FULL = Size(seconds=5, rounds=4, rows=1_000_000)


def first_sight(size: Size) -> list[Row]:
    """A statement that nobody has seen, judged: parsed, its facts told, its rules asked."""
    import yaml

    written = rules(RULES)
    loaded = settings("\n".join("  " + line for line in yaml.safe_dump(written).splitlines()) + "\n")
    point = DecisionPoint(compile_rules(loaded), "p1", languages={"postgres": SqlAnalysis()})
    judge = point.open(Subject())
    text = "select o.id, c.name from orders o join customers c on c.id = o.customer_id where o.id = {}"
    times = []
    for n in range(2_000):
        operation = query(text.format(n))
        begun = time.perf_counter()
        judge.decide(operation)
        times.append((time.perf_counter() - begun) * 1e6)
    again = query(text.format(1))
    judge.decide(again)
    begun = time.perf_counter()
    for _ in range(20_000):
        judge.decide(again)
    known = (time.perf_counter() - begun) / 20_000 * 1e6
    return [
        row("first sight of a statement, 50 rules: p50", statistics.median(times), "us", at_most=100.0),
        row("first sight of a statement, 50 rules: p99", sorted(times)[-20], "us"),
        row("a statement seen before, 50 rules", known, "us"),
    ]


def made(server: Postgres, place: Path, **more: Any) -> Gateway:
    """A gateway that is started."""
    target = shop(server, tls={"sslmode": "disable"}, labels={"env": "prod"})
    gateway = Gateway(place, {"shop": target}, **more)
    gateway.init()
    gateway.start()
    return gateway


def measure(size: Size) -> list[Row]:
    """Everything, on a server and two gateways made for it."""
    rows = first_sight(size)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres())
        server.sql("alter system set log_statement = 'none'", "select pg_reload_conf()")
        server.sql(WIDE.format(name="clean", hits="false", rows=size.rows))
        server.sql(WIDE.format(name="hits", hits="true", rows=size.rows), "vacuum analyze")
        subprocess.run(
            [server.bin / "pgbench", "-i", "-q", "-s", "5"],
            env=server.direct(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=True,
        )
        place = stack.enter_context(folder())
        gateways = {
            "without policy": made(server, place / "plain"),
            "50 rules, all detectors": made(
                server, place / "guarded", rules=rules(RULES), masking=[{"detect": ["secrets", "pii"]}]
            ),
        }
        for gateway in gateways.values():
            stack.callback(gateway.stop)
        plain, guarded = gateways
        tps: dict[str, list[float]] = {name: [] for name in gateways}
        used: dict[str, list[float]] = {name: [] for name in gateways}
        for _ in range(size.rounds):
            for name, gateway in gateways.items():
                worker = tuple(gateway.children()["worker"])
                before = cpu(worker)
                arguments = ("-S", "-M", "prepared", "-c", "16", "-j", "2", "-T", str(size.seconds))
                done = pgbench(server.bin / "pgbench", gateway.run().environment, *arguments)
                tps[name].append(done.tps)
                used[name].append((cpu(worker) - before) / done.transactions * 1e6)
        middle = {name: statistics.median(found) for name, found in tps.items()}
        cost = {name: statistics.median(found) for name, found in used.items()}
        rows.append(row(f"pgbench -S prepared: {plain}", middle[plain], "tps"))
        rows.append(
            row(
                f"pgbench -S prepared: {guarded}",
                middle[guarded],
                "tps",
                against=plain,
                base=middle[plain],
                at_least=0.85,
            )
        )
        rows.append(
            row(
                f"{guarded}: worker's CPU",
                cost[guarded],
                "us/tx",
                against=plain,
                base=cost[plain],
            )
        )
        for table, what, bound in (("clean", "no hits", 0.8), ("hits", "hits in 1 %", 0.5)):
            script = server.folder / f"{table}.sql"
            script.write_text(f"select line from wide_{table};\n")
            rates: dict[str, list[float]] = {name: [] for name in gateways}
            for _ in range(size.rounds):
                for name, gateway in gateways.items():
                    environment = gateway.run().environment
                    begun = time.perf_counter()
                    pgbench(server.bin / "pgbench", environment, "-f", str(script), "-c", "1", "-t", "1")
                    rates[name].append(size.rows / (time.perf_counter() - begun))
            base, masked = (statistics.median(rates[name]) for name in gateways)
            label = f"SELECT of {size.rows:,} rows of 100 bytes, {what}"
            rows.append(row(f"{label}: {plain}", base, "rows/s"))
            rows.append(row(f"{label}: masked", masked, "rows/s", against=plain, base=base, at_least=bound))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short loads, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    about = machine()
    show("policy", measure(QUICK if options.quick else FULL), about, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
