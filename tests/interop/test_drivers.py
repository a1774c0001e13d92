"""Drivers through the gateway give what they give directly: the same code, both ways, compared."""

import asyncio
import datetime as dt
import io
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row

from tests import stage


def sync_queries(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection, connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("select %s::int as a, %s::text as b, %s::date as c", (1, "ü", dt.date(2024, 2, 29)))
        first = cursor.fetchall()
        cursor.execute("select * from generate_series(1, %s) g", (2000,))
        return first, len(cursor.fetchall())


def prepared(dsn: str) -> Any:
    with psycopg.connect(dsn, prepare_threshold=1) as connection:
        return [connection.execute("select %s::int * 2", (n,)).fetchone() for n in range(20)]


def binary(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection, connection.cursor(binary=True) as cursor:
        cursor.execute("select 1::int8, 2.5::float8, 'x'::bytea, now() > 'epoch', array[1,2,null]::int[]")
        return cursor.fetchall()


def copy_both_ways(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute("create temp table t (a int, b text)")
        with cursor.copy("copy t from stdin") as copy:
            for number in range(5000):
                copy.write_row((number, f"row {number}"))
        with cursor.copy("copy t from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for number in range(100):
                copy.write_row((number, "binary"))
        out = io.BytesIO()
        with cursor.copy("copy (select * from t order by a, b) to stdout") as copy:
            for data in copy:
                out.write(data)
        return cursor.execute("select count(*), sum(a) from t").fetchone(), out.getvalue()


def errors(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection:
        found = []
        for statement in ("select 1/0", "selec", "select * from not_there"):
            try:
                connection.execute(statement)
            except psycopg.Error as error:
                found.append((error.sqlstate, str(error)))
                connection.rollback()
        return found


def transactions(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection:
        connection.execute("create temp table t (a int)")
        with pytest.raises(ZeroDivisionError), connection.transaction():
            connection.execute("insert into t values (1)")
            raise ZeroDivisionError
        with connection.transaction():
            connection.execute("insert into t values (2)")
        return connection.execute("select a from t").fetchall(), connection.info.transaction_status


def pipeline(dsn: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        with connection.pipeline():
            cursors = [connection.execute("select %s::int", (n,)) for n in range(50)]
        return [cursor.fetchone() for cursor in cursors]


def pipeline_with_an_error(dsn: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        with pytest.raises(psycopg.Error) as caught, connection.pipeline():
            connection.execute("select 1")
            connection.execute("select 1/0")
            connection.execute("select 2")
        return type(caught.value).__name__, connection.execute("select 3").fetchone()


def server_cursor(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection, connection.cursor(name="c") as cursor:
        cursor.execute("select generate_series(1, 100)")
        return cursor.fetchmany(7), cursor.fetchmany(3)


def notifications(dsn: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("listen jobs")
        connection.execute("select pg_notify('jobs', 'hello')")
        return [(n.channel, n.payload) for n in connection.notifies(timeout=5, stop_after=1)]


def notices(dsn: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        said: list[str | None] = []
        connection.add_notice_handler(lambda diagnostic: said.append(diagnostic.message_primary))
        connection.execute("do $$ begin raise warning 'mind %', 1; end $$")
        return said


def large_values(dsn: str) -> Any:
    with psycopg.connect(dsn) as connection:
        big = "x" * 3_000_000
        return connection.execute("select length(%s::text), md5(%s::text)", (big, big)).fetchone()


def with_sqlalchemy(dsn: str) -> Any:
    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
    table = sqlalchemy.Table(
        "things",
        sqlalchemy.MetaData(),
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("name", sqlalchemy.String),
        prefixes=["TEMPORARY"],
    )
    try:
        with engine.begin() as connection:
            table.create(connection)
            connection.execute(table.insert(), [{"id": n, "name": f"n{n}"} for n in range(200)])
            query = sqlalchemy.select(table).where(table.c.id < 3).order_by(table.c.id)
            return [tuple(row) for row in connection.execute(query)]
    finally:
        engine.dispose()


async def async_psycopg(dsn: str) -> Any:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        cursor = await connection.execute("select %s::int[]", ([1, 2, 3],))
        return await cursor.fetchall()


async def with_asyncpg(dsn: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select $1::int as a, $2::jsonb as b, $3::timestamptz as c", 7, '{"k": [1]}',
                                      dt.datetime(2024, 1, 1, tzinfo=dt.UTC))  # fmt: skip
        await connection.execute("create temp table t (a int, b text)")
        await connection.executemany("insert into t values ($1, $2)", [(n, str(n)) for n in range(100)])
        await connection.copy_records_to_table("t", records=[(n, "copied") for n in range(100)])
        async with connection.transaction():
            cursor = await connection.cursor("select a from t order by a limit 10")
            fetched = await cursor.fetch(4)
        total = await connection.fetchval("select count(*) from t")
        try:
            await connection.fetch("select 1/0")
        except asyncpg.PostgresError as error:
            failed = error.sqlstate
        return [tuple(row) for row in rows], [row[0] for row in fetched], total, failed
    finally:
        await connection.close()


SYNC = [
    sync_queries, prepared, binary, copy_both_ways, errors, transactions, pipeline, pipeline_with_an_error,
    server_cursor, notifications, notices, large_values, with_sqlalchemy,
]  # fmt: skip


@pytest.mark.parametrize("work", SYNC, ids=lambda work: work.__name__)
def test_the_same_by_psycopg_and_sqlalchemy(
    work: Callable[[str], Any], gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    direct = f"postgresql://app@127.0.0.1:{server.port}/postgres?sslmode=disable"

    assert work(run.dsn()) == work(direct)


@pytest.mark.parametrize("work", [async_psycopg, with_asyncpg], ids=lambda work: work.__name__)
async def test_the_same_by_async_drivers(
    work: Callable[[str], Awaitable[Any]],
    gateway: stage.Gateway,
    server: stage.Postgres,
    run: stage.Credential,
) -> None:
    direct = f"postgresql://app@127.0.0.1:{server.port}/postgres?sslmode=disable"

    assert await work(run.dsn()) == await work(direct)


def test_prepared_once_and_executed_a_thousand_times_is_a_thousand_exchanges_with_their_values(
    gateway: stage.Gateway, run: stage.Credential
) -> None:
    with psycopg.connect(run.dsn(), prepare_threshold=0, autocommit=True) as connection:
        for number in range(1000):
            connection.execute("select %s::int + 1", (number,))
    gateway.end(run)

    executed = [one for one in gateway.exchanges(run.run) if one["verb"] == "execute"]
    assert len(executed) == 1000
    assert {one["text"] for one in executed} == {"select $1::int + 1"}
    assert sorted(int(one["parameters"]) for one in executed) == list(range(1000))
    assert all(one["rows"] == 1 and one["status"] == "ok" for one in executed)


def test_binary_values_are_readable_on_the_record(gateway: stage.Gateway, run: stage.Credential) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(run.dsn())
        await connection.fetch("select $1::int8, $2::date, $3::text", 2**40, dt.date(2024, 2, 29), "né")
        await connection.close()

    asyncio.run(work())
    gateway.end(run)

    (listed,) = [one for one in gateway.exchanges(run.run) if one["verb"] == "execute"]
    assert listed["parameters"].split("\n") == [str(2**40), "2024-02-29", "né"]


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(mode: str, gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential) -> None:
    pgbench = str(server.bin / "pgbench")
    subprocess.run([pgbench, "-i", "-q"], env=server.direct(), check=True, capture_output=True, timeout=60)
    before = int(server.sql("select count(*) from pgbench_history"))
    done = subprocess.run(
        [pgbench, "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "50"],
        env=run.environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=90,
    )
    gateway.end(run)

    assert "number of failed transactions: 0" in done.stdout
    assert int(server.sql("select count(*) from pgbench_history")) == before + 200
    texts = [one["text"] for one in gateway.exchanges(run.run)]
    assert sum(text.upper().startswith("INSERT INTO PGBENCH_HISTORY") for text in texts) == 200
    assert sum(text.upper().startswith("END") for text in texts) == 200
