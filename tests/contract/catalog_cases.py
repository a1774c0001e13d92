"""Sessions and exchanges for the catalog's suites, written through the archivist's own path."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select

from bodycam.catalog import ingest, runs, sessions
from bodycam.catalog.engine import writing
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
        key = sessions.open_session(connection, sessions.Opening(id=name, **given))
        run_key = select(run_table.c.key).where(run_table.c.id == given["run"])
        return key, int(connection.execute(run_key).scalar_one())


def exchange(keys: tuple[int, int], number: int, text: str, **changes: Any) -> ingest.ExchangeRow:
    """The exchange `number` of a session, started `number` milliseconds after noon."""
    given: dict[str, Any] = {
        "started": NOON + number * 1000,
        "verb": "query",
        "aside": False,
        "status": "ok",
        "duration": 100,
        "rows": 1,
        "bytes": 10,
        "code": None,
    } | changes
    return ingest.ExchangeRow(
        session=keys[0],
        session_id=f"ses_{keys[0]}",
        run=keys[1],
        number=number,
        statement=ingest.statement_of(text, 65_536),
        **given,
    )


def write(engine: Engine, rows: Sequence[ingest.ExchangeRow]) -> int:
    with writing(engine, durable=False) as connection:
        return len(ingest.write(connection, rows))
