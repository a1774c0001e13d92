"""Fills a catalog through the indexer's write path, then measures typical searches.

python bench/search.py [--quick] [--json] [--exchanges N] [--shape mixed|prepared] [--database URL]
    [--folder FOLDER]

Two shapes: `mixed`, in which hardly two exchanges near each other are alike, so that each is a bundle of its
own; and `prepared`, in which a few statements are executed again and again, each time with another value.
"""

import argparse
import gc
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from parts.machine import Row, machine, row, show

from bodycam.archive.index import Indexer
from bodycam.catalog.engine import make_engine, reading, writing
from bodycam.catalog.exchanges import ExchangeFilter
from bodycam.catalog.schema import migrate
from bodycam.catalog.search import search
from bodycam.model.event import Event, Kind
from bodycam.model.transcript import Asked, Entry, Reader, Shown

NOON = 1_700_000_000_000_000
BOUND_MS = 150.0
TABLES = [f"table_{n}" for n in range(300)]
ROUNDS = 21
FLUSH = 1_000_000
"""Microseconds of the load's own time after which what was taken is written, as the archivist does."""

Fed = tuple[str, Event]
Question = tuple[str, ExchangeFilter]


class Plain:
    """Values that are text already, so that the figures hold no protocol's decoding."""

    def reader(self) -> Reader:
        return self

    def feed(self, event: Event) -> list[Entry]:
        if event.kind is not Kind.REQUEST:
            return []
        values = tuple(Shown("text", value.decode()) for _, _, value in event.body[2])
        return [Entry(event.at, event.exchange, Asked(event.body[0], event.body[1], values, False))]

    def skim_values(self, parameters: Sequence[tuple[int, int, bytes | None]]) -> str:
        return "\n".join(value.decode() for _, _, value in parameters if value is not None)

    def skim_output(self, columns: bytes | None, data: bytes, most: int) -> str | None:
        return ""


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


def closed(at: int) -> Event:
    return Event(Kind.CLOSED, at, 0, {"outcome": "ended", "reason": ""})


def exchange(chance: random.Random, at: int, number: int, text: str, value: str | None) -> Iterator[Event]:
    values = [] if value is None else [[25, 0, value.encode()]]
    yield Event(Kind.REQUEST, at, number, ["query", text, values, {}, "statement", None, 0])
    failed = chance.random() < 0.001
    error = {"code": "42P01", "message": f"no relation {text[-8:]}"} if failed else None
    finish = ["error" if failed else "ok", 1, 100, 50, "SELECT 1", error]
    yield Event(Kind.FINISH, at + 400, number, finish)


def mixed(exchanges: int, each: int = 200) -> Iterator[Fed]:
    """One session after another, a thousand exchanges a second.

    Three in five are prepared and hot, one has a value, one is a text of its own.
    """
    chance = random.Random(1)
    for session in range(exchanges // each):
        name = f"ses_{session}"
        yield name, opened(session, NOON + session * each * 1000)
        for number in range(1, each + 1):
            table, value = chance.choice(TABLES), None
            match number % 5:
                case 0 | 1 | 2:
                    text = f"SELECT balance FROM {table} WHERE id = $1 LIMIT {number % 7}"
                case 3:
                    text = f"UPDATE {table} SET email = $1"
                    value = f"user{chance.randrange(10**6)}@example.com"
                case _:
                    text = f"SELECT name, total FROM {table} WHERE ref = 'r{chance.randrange(10**7)}'"
            for event in exchange(chance, number * 900, number, text, value):
                yield name, event
        yield name, closed(each * 1000)


def prepared(exchanges: int, each: int = 20_000, beside: int = 16) -> Iterator[Fed]:
    """Sixteen sessions beside each other, ten thousand exchanges a second, of four statements."""
    chance = random.Random(1)
    each, at = min(each, exchanges // beside), NOON
    for first in range(0, exchanges // each, beside):
        names = [f"ses_{first + place}" for place in range(beside)]
        for place, name in enumerate(names):
            yield name, opened(first + place, at)
        for number in range(1, each + 1):
            for place, name in enumerate(names):
                table = TABLES[number % 4]
                value = f"user{chance.randrange(10**6)}@example.com"
                text = f"SELECT balance, total FROM {table} WHERE email = $1"
                for event in exchange(chance, number * 1600 + place * 100, number, text, value):
                    yield name, event
        for name in names:
            yield name, closed((each + 1) * 1600)
        at += (each + 2) * 1600


SHAPES: dict[str, Callable[[int], Iterator[Fed]]] = {"mixed": mixed, "prepared": prepared}


def fill(indexer: Indexer, load: Iterator[Fed]) -> tuple[float, float]:
    """Wall and CPU seconds of indexing all this."""
    wall, cpu = time.perf_counter(), time.process_time()
    started: dict[str, int] = {}
    flush_at = NOON + FLUSH
    for name, event in load:
        if event.kind is Kind.OPENED:
            started[name] = event.body["started"]
        indexer.feed(name, event)
        if indexer.due or started[name] + event.at >= flush_at:
            flush_at = started[name] + event.at + FLUSH
            indexer.flush()
        if event.kind is Kind.CLOSED:
            del started[name]
    indexer.flush()
    return time.perf_counter() - wall, time.process_time() - cpu


def questions(shape: str, exchanges: int) -> dict[str, Question]:
    span = exchanges * (1000 if shape == "mixed" else 100)
    middle = NOON + span // 2
    some = "table_77" if shape == "mixed" else "table_2"
    return {
        "common word": ("select", ExchangeFilter()),
        "table": (some, ExchangeFilter()),
        "phrase": (f'"total from {some}"', ExchangeFilter()),
        "prefix": ("r123*" if shape == "mixed" else "user123*", ExchangeFilter()),
        "value": ("example.com", ExchangeFilter()),
        "one e-mail": ("user123456@example.com", ExchangeFilter()),
        "statement and value": ("table_5 user1*" if shape == "mixed" else "table_3 user1*", ExchangeFilter()),
        "absent": ("nowhere", ExchangeFilter()),
        "error": ("relation", ExchangeFilter(status="error")),
        "in a run": (some, ExchangeFilter(run="run_7")),
        "absent in a run": ("nowhere", ExchangeFilter(run="run_7")),
        "by an agent": ("select", ExchangeFilter(agent="agent7")),
        "by agent and target": ("table_1", ExchangeFilter(agent="agent7", target="target7")),
        "in a time": ("balance", ExchangeFilter(since=middle, until=middle + 10**8)),
        "old, common": ("total", ExchangeFilter(until=NOON + span // 10)),
    }


def measure(shape: str, exchanges: int, database: str | None, folder: Path | None) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        engine = make_engine(database or f"sqlite:///{Path(place) / 'catalog.db'}")
        migrate(engine)
        wall, cpu = fill(Indexer(engine, {"plain": Plain()}), SHAPES[shape](exchanges))
        rows.append(row(f"{shape}: indexed", exchanges / wall, "exchanges/s"))
        rows.append(row(f"{shape}: index, CPU", cpu / exchanges * 1e6, "us/exchange"))
        if database is not None:
            with writing(engine) as connection:
                connection.exec_driver_sql("ANALYZE")  # as both databases' upkeep does in time
        else:
            size = sum(path.stat().st_size for path in Path(place).iterdir())
            rows.append(row(f"{shape}: index", size / exchanges, "B/exchange"))
        for name, (question, wanted) in questions(shape, exchanges).items():
            times = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                with reading(engine) as connection:
                    search(connection, question, wanted, limit=50)
                times.append((time.perf_counter() - begun) * 1000)
            middle, late = statistics.median(times), statistics.quantiles(times, n=20, method="inclusive")[-1]
            rows.append(row(f"{shape}: {name}, p50", middle, "ms"))
            rows.append(row(f"{shape}: {name}, p95", late, "ms", at_most=BOUND_MS))
        engine.dispose()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer exchanges, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--exchanges", type=int, help="how many of each shape; a million else")
    parser.add_argument("--shape", choices=sorted(SHAPES), help="one of the two; both else")
    parser.add_argument("--database", help="a catalog's URL; a SQLite file in a temporary folder else")
    parser.add_argument("--folder", type=Path, help="where that folder is made")
    options = parser.parse_args()
    exchanges = options.exchanges or (160_000 if options.quick else 1_000_000)
    about = machine() | {"exchanges": exchanges}
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as the archivist does
    rows: list[Row] = []
    for shape in [options.shape] if options.shape else sorted(SHAPES):
        rows += measure(shape, exchanges, options.database, options.folder)
    show("search", rows, about, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
