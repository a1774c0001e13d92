"""Sessions and exchanges for the catalog's suites, written through the archivist's own path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from bodycam.catalog import ingest, runs, sessions
from bodycam.catalog.bundles import Bundle
from bodycam.catalog.engine import writing
from bodycam.catalog.statement import statement_of
from bodycam.catalog.tables import bundles
from bodycam.catalog.tables import runs as run_table
from bodycam.model.identity import Principal, PrincipalKind, Run

NOON = 1_700_000_000_000_000
CI = Principal("api", "ci", PrincipalKind.SERVICE, frozenset({"dev"}))


def add_session(engine: Engine, name: str, **changes: Any) -> tuple[int, int]:
    """A session of run `run_<name's first part>`; gives its key and its run's."""
    given: dict[str, Any] = {
        "run": "run_a",
        "agent": "bot",
        "principal": "ci@api",
        "target": "orders",
        "protocol": "postgres",
        "database": "shop",
        "address": "127.0.0.1:5000",
        "claims": {"application": "psql"},
        "policy": "p1",
        "opened": NOON,
        "worker": "ab" * 16,
        "opening": 1,
    } | changes
    with writing(engine) as connection:
        if runs.get_run(connection, given["run"]) is None:
            run = Run(given["run"], CI, given["agent"], NOON / 1e6 + 60)
            runs.add_run(connection, run, None, given["opened"])
        key, _ = sessions.open_session(connection, sessions.Opening(id=name, **given))
        run_key = select(run_table.c.key).where(run_table.c.id == given["run"])
        return key, int(connection.execute(run_key).scalar_one())


@dataclass(frozen=True)
class Told:
    """One exchange, as a test tells of it."""

    keys: tuple[int, int]
    number: int
    text: str
    changes: dict[str, Any]


def exchange(keys: tuple[int, int], number: int, text: str, **changes: Any) -> Told:
    """The exchange `number` of a session, started `number` milliseconds after noon."""
    return Told(keys, number, text, changes)


def bundled(rows: Sequence[Told]) -> list[Bundle]:
    """The exchanges in bundles, as the indexer makes them."""
    found: list[Bundle] = []
    latest: dict[tuple[Any, ...], Bundle] = {}
    for one in rows:
        given: dict[str, Any] = {
            "started": NOON + one.number * 1000,
            "verb": "query",
            "aside": False,
            "status": "ok",
            "duration": 100,
            "rows": 1,
            "size": 10,
            "code": None,
            "values": "",
            "error": "",
            "output": "",
            "trace": None,
            "span": None,
            "details": None,
            "shape": None,
        } | one.changes
        common = [given.pop(name) for name in ("verb", "aside", "status", "code")]
        names = ("started", "duration", "rows", "size", "values", "error", "output")
        kept, own = (one.text, "") if given["shape"] is None else (given["shape"], one.text)
        item: Any = (one.number, *(given[name] for name in names), own)
        claims = [given[name] for name in ("trace", "span", "details")]
        key = (one.keys, kept, own == "", *common, *claims)
        weight = sum(len(given[name]) for name in ("values", "error", "output"))
        if key not in latest or not latest[key].add(item, weight):
            latest[key] = Bundle(statement_of(kept, 65_536), *common, *one.keys, f"ses_{one.keys[0]}")
            latest[key].trace, latest[key].span, latest[key].details = claims
            latest[key].add(item, weight)
            found.append(latest[key])
    return found


def write(engine: Engine, rows: Sequence[Told]) -> int:
    """Index the exchanges; returns how many of them were new."""
    with writing(engine, durable=False) as connection:
        added = ingest.write(connection, bundled(rows))
        total = select(func.coalesce(func.sum(bundles.c.exchanges), 0)).where(bundles.c.id.in_(added))
        return int(connection.execute(total).scalar_one())
