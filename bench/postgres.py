"""PostgreSQL through Bodycam beside direct, HAProxy (TCP) and pgbouncer (session mode), all from one run.

python bench/postgres.py [--quick] [--json]

Full recording is on, facts are told of every statement, and ten rules are asked; no leg of any route speaks
TLS. A bound that is missed is reported, and is no failure of the benchmark.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # the server and the gateway are the tests' own

import psycopg  # noqa: E402
from parts.baselines import LOGIN, PASSWORD, carried, found, haproxy, pgbouncer  # noqa: E402
from parts.machine import Row, machine, row, show  # noqa: E402
from parts.pgbench import Load, pgbench  # noqa: E402
from parts.process import cpu, folder_size, private_memory  # noqa: E402
from parts.rules import rules  # noqa: E402
from tests.stage import Credential, Gateway, Postgres, folder, postgres, shop  # noqa: E402

DIRECT, HAPROXY, PGBOUNCER, BODYCAM = "direct", "HAProxy", "pgbouncer", "Bodycam"
CLIENTS = 16
LIMITS = {"connections_per_run": 3_000, "connections": 3_000, "pending_logins": 256}
WIDE = """\
create table wide as select rpad(format(
'order %s of customer %s, paid %s EUR on %s, shipped to %s Example Street',
i, i * 7919 % 100003, i * 31 % 99991 / 100.0, date '2024-01-01' + (i % 700)::int, i % 311), 100, '.') as line
from generate_series(1, {rows}::bigint) i"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: seconds of one load, rounds of it, rows of the wide table, idle connections."""

    seconds: int
    rounds: int
    rows: int
    idle: int


QUICK = Size(seconds=1, rounds=1, rows=200_000, idle=60)
FULL = Size(seconds=5, rounds=3, rows=1_000_000, idle=2_000)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to the server: a client's environment, and the processes of the proxy in between."""

    name: str
    environment: Mapping[str, str]
    pids: tuple[int, ...] = ()


class Bench:
    """The stage and what has been measured on it so far."""

    def __init__(self, server: Postgres, gateway: Gateway, size: Size) -> None:
        self.server, self.gateway, self.size = server, gateway, size
        self.rows: list[Row] = []
        self.routes: dict[str, Route] = {DIRECT: Route(DIRECT, server.direct())}
        self.carried: Callable[[], int] | None = None
        children = gateway.children()
        self.workers, self.archivist, self.control = (
            tuple(children[role]) for role in ("worker", "archivist", "control")
        )

    def add(self, measure: str, value: float | None, unit: str, **rest: float | str | None) -> None:
        """Keep one row; a missing baseline is named."""
        against = rest.get("against")
        if against in (HAPROXY, PGBOUNCER) and against not in self.routes:
            rest["against"] = f"{against} (missing: install the package {str(against).lower()})"
        self.rows.append(row(measure, value, unit, **rest))  # type: ignore[arg-type]

    def fresh(self) -> Credential:
        """A run of its own, so that what it recorded can be sealed and counted."""
        credential = self.gateway.run()
        self.routes[BODYCAM] = Route(BODYCAM, credential.environment, self.workers)
        return credential

    def load(self, route: Route, *arguments: str, latencies: bool = False) -> tuple[Load, float]:
        """One pgbench over a route; also the CPU of its proxy in microseconds a transaction."""
        before = cpu(route.pids)
        done = pgbench(self.server.bin / "pgbench", route.environment, *arguments, latencies=latencies)
        return done, (cpu(route.pids) - before) / done.transactions * 1e6

    # -- the measures ---------------------------------------------------------------------------

    def throughput(self, mode: str, bound: float) -> None:
        """16 clients that read one row by its key."""
        credential = self.fresh()
        tps: dict[str, list[float]] = {name: [] for name in self.routes}
        used: dict[str, list[float]] = {name: [] for name in self.routes}
        archivist, transactions, wire, stored = cpu(self.archivist), 0, 0.0, folder_size(self._recordings)
        worker = 0.0
        for _ in range(self.size.rounds):
            for name, route in self.routes.items():
                carried_before = self.carried() if self.carried else 0
                done, each = self.load(
                    route, "-S", "-M", mode, "-c", str(CLIENTS), "-j", "2", "-T", str(self.size.seconds)
                )
                tps[name].append(done.tps)
                used[name].append(each)
                if name == HAPROXY and self.carried:
                    wire = (self.carried() - carried_before) / done.transactions
                if name == BODYCAM:
                    transactions += done.transactions
                    worker += each * done.transactions / 1e6
        self.gateway.end(credential, wait=60)
        archivist = cpu(self.archivist) - archivist
        middle = {name: statistics.median(found) for name, found in tps.items()}
        cost = {name: statistics.median(found) for name, found in used.items()}
        what = f"pgbench -S {mode}"
        self.add(f"{what}: direct", middle[DIRECT], "tps")
        for name in (HAPROXY, PGBOUNCER):
            if name in middle:
                self.add(f"{what}: {name}", middle[name], "tps", against=DIRECT, base=middle[DIRECT])
                self.add(f"{what}: {name}, CPU", cost[name], "us/tx")
        ours = middle[BODYCAM]
        self.add(f"{what}: Bodycam", ours, "tps", against=HAPROXY, base=middle.get(HAPROXY), at_least=bound)
        self.add(f"{what}: Bodycam", ours, "tps", against=PGBOUNCER, base=middle.get(PGBOUNCER))
        self.add(f"{what}: Bodycam", ours, "tps", against=DIRECT, base=middle[DIRECT])
        limit = {"at_most": 1.8} if mode == "prepared" else {}
        mine = cost[BODYCAM]
        self.add(f"{what}: worker, CPU", mine, "us/tx", against=HAPROXY, base=cost.get(HAPROXY), **limit)
        each = archivist / transactions * 1e6
        limit = {"at_most": 0.5} if mode == "prepared" else {}
        base = worker / transactions * 1e6
        self.add(f"{what}: archivist, CPU", each, "us/tx", against="worker", base=base, **limit)
        if mode == "prepared":
            size = (folder_size(self._recordings) - stored) / transactions
            missing = "raw wire bytes" if wire else "raw wire bytes (missing: HAProxy counts them)"
            self.add(f"{what}: recording", size, "B/tx", against=missing, base=wire or None, at_most=0.2)

    def latency(self) -> None:
        """What one client waits for longer."""
        self.fresh()
        found = {
            name: self.load(
                route, "-S", "-M", "prepared", "-c", "1", "-T", str(self.size.seconds), latencies=True
            )[0]
            for name, route in self.routes.items()
        }
        for part, bound in ((50, 2.0), (99, None)):
            direct = found[DIRECT].percentile(part)
            self.add(f"one client: direct p{part}", direct, "us")
            added = {name: load.percentile(part) - direct for name, load in found.items()}
            for name in (HAPROXY, PGBOUNCER):
                if name in added:
                    self.add(f"one client: {name}, added p{part}", added[name], "us")
            base = added.get(HAPROXY)
            self.add(
                f"one client: Bodycam, added p{part}",
                added[BODYCAM],
                "us",
                against=HAPROXY,
                base=base,
                at_most=bound,
            )

    def wide(self) -> None:
        """All rows of 100 bytes: selected, and copied out."""
        self.server.sql(WIDE.format(rows=self.size.rows), "vacuum analyze wide")
        script = self.server.folder / "wide.sql"
        script.write_text("select line from wide;\n")
        credential = self.fresh()
        stored, times = folder_size(self._recordings), 1 if self.size is QUICK else 3
        wire: int | None = None
        found: dict[str, dict[str, list[float]]] = {"SELECT": {}, "COPY": {}}
        cost: dict[str, list[float]] = {"SELECT": [], "COPY": []}
        archivist = cpu(self.archivist)
        for _ in range(times):
            for name, route in self.routes.items():
                for what, work in (("SELECT", self._select), ("COPY", self._copy)):
                    carried_before, used = self.carried() if self.carried else 0, cpu(route.pids)
                    begun = time.perf_counter()
                    work(route, script)
                    found[what].setdefault(name, []).append(self.size.rows / (time.perf_counter() - begun))
                    if name == HAPROXY and self.carried:
                        wire = (wire or 0) + self.carried() - carried_before
                    if name == BODYCAM:
                        cost[what].append((cpu(route.pids) - used) / self.size.rows * 1e6)
        self.gateway.end(credential, wait=60)
        archivist = (cpu(self.archivist) - archivist) / (2 * times * self.size.rows) * 1e6
        for what, each in found.items():
            label = f"{what} of {self.size.rows:,} rows of 100 bytes"
            middle = {name: statistics.median(rates) for name, rates in each.items()}
            self.add(f"{label}: direct", middle[DIRECT], "rows/s")
            for name in (HAPROXY, PGBOUNCER, BODYCAM):
                if name in middle:
                    limit = {"at_least": 0.7} if name == BODYCAM else {}
                    self.add(
                        f"{label}: {name}",
                        middle[name],
                        "rows/s",
                        against=DIRECT,
                        base=middle[DIRECT],
                        **limit,
                    )
            self.add(f"{what}: worker, CPU", statistics.median(cost[what]), "us/row")
        mean = statistics.mean(statistics.median(one) for one in cost.values())
        self.add("both: archivist, CPU", archivist, "us/row", against="worker", base=mean)
        size = folder_size(self._recordings) - stored
        missing = "raw wire bytes" if wire else "raw wire bytes (missing: HAProxy counts them)"
        self.add(
            "both: recording", size / 2**20, "MiB", against=missing, base=wire and wire / 2**20, at_most=0.2
        )

    def idle(self) -> None:
        """What the worker keeps for a connection on which nothing happens."""
        environment = self.fresh().environment
        with contextlib.ExitStack() as stack:

            def connect() -> None:
                stack.enter_context(
                    psycopg.connect(
                        host=environment["PGHOST"],
                        port=environment["PGPORT"],
                        user=environment["PGUSER"],
                        password=environment["PGPASSWORD"],
                        dbname=environment["PGDATABASE"],
                        sslmode="disable",
                        autocommit=True,
                    )
                ).execute("select 1")

            for _ in range(10):
                connect()
            before = sum(map(private_memory, self.workers))
            archivist = sum(map(private_memory, self.archivist))
            for _ in range(self.size.idle):
                connect()
            time.sleep(1)
            grown = sum(map(private_memory, self.workers)) - before
            beside = sum(map(private_memory, self.archivist)) - archivist
            busy, cost = self.load(self.routes[BODYCAM], *self._prepared)
        self.add("memory per idle connection: worker", grown / self.size.idle / 1024, "KiB", at_most=64)
        self.add("memory per idle connection: archivist", beside / self.size.idle / 1024, "KiB")
        alone, alone_cost = self.load(self.routes[BODYCAM], *self._prepared)
        what = f"pgbench -S prepared, {self.size.idle:,} idle connections beside it"
        self.add(f"{what}: Bodycam", busy.tps, "tps", against="without them", base=alone.tps)
        self.add(f"{what}: worker, CPU", cost, "us/tx", against="without them", base=alone_cost)

    def connections(self) -> None:
        """Connections that are opened, used once and closed."""
        self.fresh()
        found, used = {}, {}
        arguments = ("-S", "-C", "-c", "4", "-T", str(self.size.seconds))
        control = cpu(self.control)
        for name, route in self.routes.items():
            load, used[name] = self.load(route, *arguments)
            found[name] = load
        control = (cpu(self.control) - control) / found[BODYCAM].transactions * 1e6
        for name, load in found.items():
            if name != BODYCAM:
                self.add(f"connections opened and closed: {name}", load.tps, "1/s")
        base = found[PGBOUNCER].tps if PGBOUNCER in found else None
        ours = found[BODYCAM].tps
        self.add(
            "connections opened and closed: Bodycam", ours, "1/s", against=PGBOUNCER, base=base, at_least=0.5
        )
        self.add("connections opened and closed: worker, CPU", used[BODYCAM], "us")
        self.add("connections opened and closed: control, CPU", control, "us")

    @property
    def _prepared(self) -> tuple[str, ...]:
        return ("-S", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(self.size.seconds))

    @property
    def _recordings(self) -> Path:
        return self.gateway.data / "recordings"

    def _select(self, route: Route, script: Path) -> None:
        self.load(route, "-f", str(script), "-c", "1", "-t", "1")

    def _copy(self, route: Route, script: Path) -> None:
        subprocess.run(
            [self.server.bin / "psql", "-X", "-q", "-c", "copy wide to stdout"],
            env=dict(route.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=300,
            check=True,
        )


def otherwise(server: Postgres, place: Path, size: Size, one: float, what: str, **settings: object) -> Row:
    """The prepared load once more, on a gateway that is set otherwise."""
    gateway = Gateway(place, {"shop": plain(server)}, **settings)
    gateway.init()
    gateway.start()
    try:
        arguments = ("-S", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(size.seconds))
        done = pgbench(server.bin / "pgbench", gateway.run().environment, *arguments)
    finally:
        gateway.stop()
    return row(f"pgbench -S prepared: {what}", done.tps, "tps", against="one worker", base=one)


def plain(server: Postgres) -> dict[str, object]:
    """The target, reached as HAProxy reaches it."""
    return shop(server, tls={"sslmode": "disable"}, labels={"env": "bench"})


def measure(size: Size) -> list[Row]:
    """Everything, on a server and a gateway made for it."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(postgres(max_connections=size.idle + 100))
        # the stage logs every statement, which would slow the server and flatter each proxy
        server.sql("alter system set log_statement = 'none'", "select pg_reload_conf()")
        subprocess.run(
            [server.bin / "pgbench", "-i", "-q", "-s", "5"],
            env=server.direct(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=True,
        )
        place = stack.enter_context(folder())
        gateway = Gateway(place / "gateway", {"shop": plain(server)}, limits=LIMITS, rules=rules(10))
        gateway.init()
        gateway.start()
        stack.callback(gateway.stop)
        bench = Bench(server, gateway, size)
        for name, start in ((HAPROXY, haproxy), (PGBOUNCER, pgbouncer)):
            if found(name.lower()):
                own = stack.enter_context(folder())
                port, pid = stack.enter_context(start(own, server.port))
                client = server.direct() | {"PGPORT": str(port), "PGUSER": LOGIN, "PGPASSWORD": PASSWORD}
                bench.routes[name] = Route(name, client, (pid,))
                if name == HAPROXY:
                    bench.carried = lambda place=own: carried(place)  # type: ignore[misc]
        for mode, bound in (("prepared", 0.75), ("simple", 0.65), ("extended", 0.65)):
            bench.throughput(mode, bound)
        bench.latency()
        bench.connections()
        bench.idle()
        bench.wide()
        if size is FULL:
            one = next(one["value"] for one in bench.rows if one["measure"] == "pgbench -S prepared: Bodycam")
            strict = {"fsync": "strict"}
            bench.rows.append(otherwise(server, place / "two", size, one, "two workers", workers=2))
            bench.rows.append(otherwise(server, place / "strict", size, one, "fsync strict", journal=strict))
        return bench.rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short loads, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    about = machine()
    show("postgres", measure(QUICK if options.quick else FULL), about, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
