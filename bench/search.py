"""Fills a catalog through the indexer's write path, then measures typical searches.

python bench/search.py [--quick] [--exchanges N] [--database URL] [--json]
"""

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bodycam.archive.index import Indexer
from bodycam.catalog.engine import make_engine, reading
from bodycam.catalog.exchanges import ExchangeFilter
from bodycam.catalog.schema import migrate
from bodycam.catalog.search import search
from bodycam.model.event import Event, Kind
from bodycam.model.transcript import Asked, Entry, Reader, Shown

NOON = 1_700_000_000_000_000
BOUND_MS = 150.0
TABLES = [f"table_{n}" for n in range(300)]
ROUNDS = 15


class Plain:
    """Values that are text already, so that the figures hold no protocol's decoding."""

    def reader(self) -> Reader:
        return self

    def feed(self, event: Event) -> list[Entry]:
        if event.kind is not Kind.REQUEST:
            return []
        values = tuple(Shown("text", value.decode()) for _, _, value in event.body[2])
        return [Entry(event.at, event.exchange, Asked(event.body[0], event.body[1], values, False))]


def opened(number: int, at: int) -> Event:
    body = {
        "run": f"run_{number % 1000}",
        "principal": {"issuer": "api", "subject": f"user{number % 50}", "kind": "service", "groups": []},
        "agent": f"agent{number % 20}",
        "target": {"name": f"target{number % 10}", "protocol": "plain", "labels": {}},
        "database": "shop",
        "grade": "advisory",
        "address": "127.0.0.1:1",
        "claims": {},
        "worker": b"\1" * 16,
        "opening": number,
        "started": at,
    }
    return Event(Kind.OPENED, 0, 0, body)


def asked(chance: random.Random, number: int) -> tuple[str, list[list[Any]]]:
    """Three in five are prepared and hot, one has a value, one is a text of its own."""
    table = chance.choice(TABLES)
    match number % 5:
        case 0 | 1 | 2:
            return f"SELECT balance FROM {table} WHERE id = $1 LIMIT {number % 7}", []
        case 3:
            who = f"user{chance.randrange(10**6)}@example.com".encode()
            return f"UPDATE {table} SET email = $1", [[25, 0, who]]
        case _:
            return f"SELECT name, total FROM {table} WHERE ref = 'r{chance.randrange(10**7)}'", []


def fill(indexer: Indexer, exchanges: int, per_session: int = 200) -> tuple[float, float]:
    """Wall and CPU seconds of indexing so many exchanges."""
    chance, at = random.Random(1), NOON
    wall, cpu = time.perf_counter(), time.process_time()
    for session in range(exchanges // per_session):
        name = f"ses_{session}"
        indexer.feed(name, opened(session, at))
        for number in range(1, per_session + 1):
            text, values = asked(chance, number)
            request = ["query", text, values, {}, "statement", None, 0]
            indexer.feed(name, Event(Kind.REQUEST, number * 900, number, request))
            failed = chance.random() < 0.001
            error = {"code": "42P01", "message": f"no relation {text[-8:]}"} if failed else None
            finish = ["error" if failed else "ok", 1, 100, 50, "SELECT 1", error]
            indexer.feed(name, Event(Kind.FINISH, number * 900 + 400, number, finish))
            if indexer.due:
                indexer.flush()
        closed = {"outcome": "ended", "reason": ""}
        indexer.feed(name, Event(Kind.CLOSED, per_session * 1000, 0, closed))
        at += per_session * 1000
    indexer.flush()
    return time.perf_counter() - wall, time.process_time() - cpu


def questions(exchanges: int) -> dict[str, tuple[str, ExchangeFilter]]:
    middle = NOON + exchanges * 500
    return {
        "common word": ("select", ExchangeFilter()),
        "table": ("table_77", ExchangeFilter()),
        "phrase": ('"total from table_77"', ExchangeFilter()),
        "prefix": ("r123*", ExchangeFilter()),
        "value": ("example.com", ExchangeFilter()),
        "one e-mail": ("user123456@example.com", ExchangeFilter()),
        "statement and value": ("table_5 user1*", ExchangeFilter()),
        "absent": ("nowhere", ExchangeFilter()),
        "error": ("relation", ExchangeFilter(status="error")),
        "in a run": ("table_77", ExchangeFilter(run="run_7")),
        "by an agent": ("select", ExchangeFilter(agent="agent7")),
        "by agent and target": ("table_9", ExchangeFilter(agent="agent7", target="target7")),
        "in a time": ("balance", ExchangeFilter(since=middle, until=middle + 10**8)),
        "old, common": ("total", ExchangeFilter(until=NOON + exchanges * 100)),
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", action="store_true")
    options.add_argument("--exchanges", type=int)
    options.add_argument("--database")
    given = options.parse_args()
    exchanges = given.exchanges or (100_000 if given.quick else 1_000_000)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(given.database or f"sqlite:///{Path(folder) / 'catalog.db'}")
        migrate(engine)
        wall, cpu = fill(Indexer(engine, {"plain": Plain()}), exchanges)
        rows.append(_row("index", exchanges / wall, "exchanges/s"))
        rows.append(_row("index CPU", cpu / exchanges * 1e6, "us/exchange"))
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        rows.append(_row("index size", size / exchanges, "B/exchange"))
        for name, (question, wanted) in questions(exchanges).items():
            times = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                with reading(engine) as connection:
                    search(connection, question, wanted, limit=50)
                times.append((time.perf_counter() - begun) * 1000)
            p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
            rows.append(_row(f"search {name} p50", p50, "ms"))
            rows.append({**_row(f"search {name} p95", p95, "ms"), "bound": BOUND_MS, "ok": p95 <= BOUND_MS})
        engine.dispose()
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    if given.json:
        print(json.dumps({"bench": "search", "machine": machine, "exchanges": exchanges, "rows": rows}))
        return
    print(f"{exchanges} exchanges, {machine}")
    for row in rows:
        print(f"{row['measure']:34} {row['value']:12.1f} {row['unit']}")


def _row(measure: str, value: float, unit: str) -> dict[str, Any]:
    return {
        "measure": measure,
        "value": value,
        "unit": unit,
        "against": None,
        "ratio": None,
        "bound": None,
        "ok": True,
    }


if __name__ == "__main__":
    main()
