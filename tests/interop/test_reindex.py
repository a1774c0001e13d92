"""Law 4 on a real gateway's data: what `bodycam reindex` builds is what was there before, row by row."""

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests import stage

QUESTIONS = ("", "unbekannt", "needle", "value-7", "sel*", '"from thing"', "boom", "syntax", "copied", "wide")


@pytest.fixture(scope="module")
def house(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway of our own, for it is stopped."""
    targets = {"shop": stage.shop(server), "down": stage.shop(server, address="127.0.0.1:1")}
    with stage.gateway(targets, workers=2) as gateway:
        yield gateway


def statements(connection: psycopg.Connection[Any]) -> None:
    """Values, errors, transactions, output of all sizes, COPY both ways, notices."""
    connection.execute("create temp table thing (id int, name text, raw bytea)")
    for number in range(30):
        values = (number, f"value-{number}", bytes((number,)) * 10)
        connection.execute("insert into thing values (%s, %s, %s)", values, prepare=number > 10)
    connection.execute("select * from thing where name like %s", ("value-%",)).fetchall()
    connection.execute("select 'wide ' || repeat('x', 100000), repeat('needle ', 20000)").fetchall()
    connection.execute("select g, 'row ' || g from generate_series(1, 5000) g").fetchall()
    connection.execute(
        "select %s::text, %s::int, null", ("unbekannt \u00e4\u00f6 \U0001f600", None)
    ).fetchall()
    for wrong in ("syntax error here", "select 1 / 0", "select missing from thing"):
        with contextlib.suppress(psycopg.Error), connection.transaction():
            connection.execute(wrong)  # type: ignore[arg-type]
    connection.execute("do $$ begin raise notice 'boom %', 42; end $$")
    with connection.cursor() as cursor:
        with cursor.copy("copy thing (id, name) from stdin") as copy:
            for number in range(2000):
                copy.write_row((number, f"copied {number}"))
        with cursor.copy("copy thing to stdout") as copy:
            for _ in copy:
                pass
        with connection.pipeline():
            for number in range(5):
                cursor.execute("select %s::int", (number,))


def work(gateway: stage.Gateway) -> list[stage.Credential]:
    """Runs with sessions that ended in every way."""
    runs = [gateway.run(labels={"of": "reindex"}), gateway.run()]
    for run in runs:
        for _ in range(2):
            with psycopg.connect(run.dsn(), autocommit=True) as connection:
                statements(connection)
    with contextlib.suppress(psycopg.Error):
        psycopg.connect(runs[0].dsn("down"))
    killed = psycopg.connect(runs[1].dsn(), autocommit=True)
    killed.execute("select 'before the end'")
    until(lambda: states(gateway, runs[1]) == {"open": 1, "sealed": 2})
    (session,) = gateway.api("GET", f"/v1/sessions?run={runs[1].run}&state=open").json()["sessions"]
    assert gateway.api("POST", f"/v1/sessions/{session['id']}/kill", json={"reason": "enough"}).is_success
    until(lambda: states(gateway, runs[1]) == {"sealed": 3})
    killed.close()
    lost = psycopg.connect(runs[0].dsn(), autocommit=True)
    lost.execute("select 'before the worker died'")
    workers = gateway.children()["worker"]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(workers) & set(gateway.children()["worker"]))
    gateway.wait_ready()
    lost.close()
    for run in runs:
        gateway.end(run)
    return runs


def states(gateway: stage.Gateway, run: stage.Credential) -> Counter[str]:
    return Counter(one["state"] for one in pages(gateway, f"/v1/sessions?run={run.run}", "sessions"))


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def metric(gateway: stage.Gateway, name: str) -> float:
    lines = gateway.api("GET", "/metrics", key=False).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def pages(gateway: stage.Gateway, path: str, name: str) -> list[dict[str, Any]]:
    """Everything that a listing has, in its order."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = gateway.api("GET", f"{path}&limit=100{cursor}")
        assert answer.status_code == 200, answer.text
        said = answer.json()
        found += said[name]
        if not said["next"]:
            return found
        cursor = f"&cursor={said['next']}"


def index(gateway: stage.Gateway) -> dict[str, list[dict[str, Any]]]:
    """Everything that the API says out of the index."""
    until(lambda: metric(gateway, "bodycam_index_backlog") == 0)
    return {
        "sessions": pages(gateway, "/v1/sessions?", "sessions"),
        "exchanges": pages(gateway, "/v1/exchanges?asides=true", "exchanges"),
        **{f"search {q}": pages(gateway, f"/v1/search?asides=true&q={q}", "hits") for q in QUESTIONS},
    }


def test_what_is_rebuilt_is_what_was_there(house: stage.Gateway) -> None:
    work(house)
    before = index(house)
    assert Counter(one["outcome"] for one in before["sessions"]) == {
        "ended": 4, "failed": 1, "cut": 1, "interrupted": 1
    }  # fmt: skip
    assert len(before["exchanges"]) > 200
    for question in QUESTIONS:
        assert before[f"search {question}"], question

    assert house.stop() == 0
    done = house.bodycam("reindex", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"sessions": 7, "faults": []}
    house.start()

    after = index(house)
    assert after.keys() == before.keys()
    differences = {
        (name, field): (old.get(field), new.get(field))
        for name in before
        for old, new in zip(before[name], after[name], strict=True)
        for field in old.keys() | new.keys()
        if old.get(field) != new.get(field)
    }
    assert differences == {}
