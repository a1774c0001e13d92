"""Rules in front of a real server: its own log is witness that nothing denied got through.

The connection lives on after every denial, and what client and server think of the transaction stays the same.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import pq

from tests import stage
from tests.interop.raw import until

RULES = [
    {"preset": "no-destructive-sql"},
    {"preset": "no-program"},
    {
        "name": "no-boss",
        "when": "op.parameters.exists(p, p == 'boss')",
        "then": "deny",
        "message": "not the boss",
        "hint": "ask for somebody else",
    },
    {"name": "watch", "when": "op.sql.writes.exists(t, t == 'watched')", "then": "alert"},
]


@pytest.fixture(scope="module")
def guarded(server: stage.Postgres) -> Iterator[stage.Gateway]:
    server.sql(
        "create table if not exists precious (id int primary key, a text)",
        "create table if not exists watched (id int)",
        "insert into precious values (1, 'gold') on conflict do nothing",
        "create or replace function harmless() returns int language sql as 'select 1'",
    )
    with stage.gateway({"shop": stage.shop(server)}, rules=RULES) as gateway:
        yield gateway


class Log:
    """What the server's log says from here on."""

    def __init__(self, server: stage.Postgres) -> None:
        self._server, self._start = server, server.log.stat().st_size

    def lines(self) -> list[str]:
        with self._server.log.open(errors="replace") as log:
            log.seek(self._start)
            return log.read().splitlines()


@pytest.fixture
def log(server: stage.Postgres) -> Log:
    return Log(server)


@pytest.fixture
def client(guarded: stage.Gateway) -> Iterator[psycopg.Connection]:
    with psycopg.connect(guarded.run().dsn(), autocommit=True) as connection:
        yield connection


EVASIONS = [
    "drop table precious",
    "DROP/**/TABLE/* x /* nested */ y */precious",
    "drop -- comment\n table precious",
    "dr\u006fp table precious",
    "select 1; drop table precious; select 2",
    "begin; drop table precious; commit",
    "select 'a''b'; drop table precious --'",
    r"select E'\'; select 1; --'; drop table precious",
    r"select 'a\'; drop table precious; --'",
    "select $$;$$; drop table precious",
    "select $x$ $$ '$x$; drop table precious",
    "select U&'\\0027'; drop table precious",
    'drop table U&"\\0070recious"',
    'drop table "precious"',
    "drop table public.precious cascade",
    "drop table if exists nothing, precious",
    "do $$ begin drop table precious; end $$",
    "do $$ begin execute 'dr' || 'op table precious'; end $$",
    "do language plpgsql $$ begin execute format('%s table precious', 'drop'); end $$",
    "truncate precious",
    "truncate only public.precious restart identity",
    "explain analyze execute nobody",
    "prepare p as select 1; execute q; drop table precious",
    "select query_to_xml('drop table precious', true, true, '')",
    "create function f() returns void language plpgsql as $$ begin execute 'drop table precious'; end $$; select f()",
    "copy precious to program 'cat'",
    "copy precious from program 'echo 2'",
    "copy precious to '/tmp/precious'",
    "select pg_read_file('/etc/passwd')",
    "create extension plperlu",
    "load '/tmp/x.so'",
    "alter system set log_statement = 'none'",
    "set standard_conforming_strings = off",
    "select set_config('standard_conforming_strings', 'off', false)",
    "set client_encoding = 'SJIS'",
    "\uff44\uff52\uff4f\uff50 table precious",
    "drop table precious \x0b",
    "drop schema public cascade",
    "drop owned by app",
    "select 1 \\; drop table precious",
]


@pytest.mark.parametrize("text", EVASIONS)
def test_no_way_round(client: psycopg.Connection, log: Log, server: stage.Postgres, text: str) -> None:
    # one simple query, with all its statements
    result = client.pgconn.exec_(text.encode())
    assert result.error_field(pq.DiagnosticField.SQLSTATE) == b"42501", result.error_message
    assert b"denied by rule" in result.error_message

    assert client.execute("select a from precious").fetchall() == [("gold",)]
    ran = [line for line in log.lines() if "LOG:  statement:" in line or "LOG:  execute" in line]
    assert [line for line in ran if "precious" in line and "select a from precious" not in line] == []
    assert server.sql("select count(*) from precious") == "1"


@pytest.mark.parametrize("text", [one for one in EVASIONS if ";" not in one and "\\" not in one][:12])
def test_parsed_now_and_executed_later(client: psycopg.Connection, log: Log, text: str) -> None:
    prepared = client.pgconn.prepare(b"late", text.encode())

    assert prepared.error_field(pq.DiagnosticField.SQLSTATE) == b"42501"
    executed = client.pgconn.exec_prepared(b"late", [])
    assert executed.status == pq.ExecStatus.FATAL_ERROR
    assert [line for line in log.lines() if "precious" in line and "statement" in line.lower()] == []


def test_what_only_looks_like_it_goes_through(client: psycopg.Connection) -> None:
    assert client.execute("select 'drop table precious' as drop, 1 as delete").fetchone() == (
        "drop table precious",
        1,
    )
    assert client.execute("select a as truncate from precious where a <> '; drop table x'").fetchone() == (
        "gold",
    )


def test_values_are_judged_at_each_execution(client: psycopg.Connection, log: Log) -> None:
    asked = "select %s::text"
    for name in ("ann", "boss", "bob"):
        if name == "boss":
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not the boss"):
                client.execute(asked, (name,), prepare=True)
        else:
            assert client.execute(asked, (name,), prepare=True).fetchone() == (name,)
    assert not [line for line in log.lines() if "boss" in line and "denied" not in line]


def test_in_a_transaction_block_a_denial_is_an_error_like_any(
    guarded: stage.Gateway, server: stage.Postgres
) -> None:
    with psycopg.connect(guarded.run().dsn()) as connection:
        connection.execute("insert into precious values (2, 'silver')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("drop table precious")
        assert connection.info.transaction_status == pq.TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("select 1")
        connection.rollback()
        assert connection.info.transaction_status == pq.TransactionStatus.IDLE
        assert connection.execute("select count(*) from precious").fetchone() == (1,)

        connection.execute("savepoint s")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("truncate precious")
        connection.execute("rollback to savepoint s")
        assert connection.execute("select a from precious").fetchone() == ("gold",)
    assert server.sql("select count(*) from precious") == "1"


def test_in_a_pipeline_a_denial_undoes_what_an_error_undoes(
    client: psycopg.Connection, server: stage.Postgres
) -> None:
    with client.pipeline() as pipeline:
        client.execute("insert into watched values (1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            client.execute("drop table precious").fetchall()
            client.execute("insert into watched values (2)")
            pipeline.sync()
    assert server.sql("select count(*) from watched") == "0"
    client.execute("insert into watched values (3)")
    assert server.sql("select count(*) from watched") == "1"
    client.execute("delete from watched")


@pytest.mark.parametrize("mode", ["direct", "denied"])
def test_the_differential_of_a_denial_and_a_servers_own_error(
    guarded: stage.Gateway, server: stage.Postgres, mode: str
) -> None:
    """The same conversation, once with a real error direct and once with a denial: the same tags come back."""
    bad = "selec nonsense" if mode == "direct" else "drop table precious"
    conninfo = (
        f"host=127.0.0.1 port={server.port} user=app dbname=postgres"
        if mode == "direct"
        else guarded.run().dsn()
    )
    seen = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        pg = connection.pgconn
        for step in (
            "begin",
            "select 1",
            bad,
            "select 2",
            "commit",
            "select 3",
            bad,
            f"select 4; {bad}",
            "begin; select 5",
            "rollback",
        ):
            result = pg.exec_(step.encode())
            seen.append((pq.ExecStatus(result.status).name, pq.TransactionStatus(pg.transaction_status).name))
    assert seen == [
        ("COMMAND_OK", "INTRANS"),
        ("TUPLES_OK", "INTRANS"),
        ("FATAL_ERROR", "INERROR"),
        ("FATAL_ERROR", "INERROR"),
        ("COMMAND_OK", "IDLE"),
        ("TUPLES_OK", "IDLE"),
        ("FATAL_ERROR", "IDLE"),
        ("FATAL_ERROR", "IDLE"),
        ("TUPLES_OK", "INTRANS"),
        ("COMMAND_OK", "IDLE"),
    ]


def test_the_record_has_the_verdicts_and_the_alerts(guarded: stage.Gateway) -> None:
    run = guarded.run()
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("drop table precious")
        connection.execute("insert into watched values (9)")
        connection.execute("delete from watched")
    guarded.end(run)

    statuses = [(one["text"], one["status"]) for one in guarded.exchanges(run.run)]
    assert statuses == [
        ("drop table precious", "denied"),
        ("insert into watched values (9)", "ok"),
        ("delete from watched", "ok"),
    ]
    (session,) = {one["session"] for one in guarded.exchanges(run.run)}
    shown = guarded.bodycam("show", session, check=True).stdout
    assert "no-destructive-sql" in shown
    assert shown.count("alert") == 2


def test_a_recorded_run_is_judged_again_by_other_rules(guarded: stage.Gateway, tmp_path: Path) -> None:
    run = guarded.run()
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        connection.execute("select a from precious")
        connection.execute("select 1")
    guarded.end(run)
    settings = yaml.safe_load((guarded.folder / "bodycam.yaml").read_text())
    settings["rules"] = [{"name": "no-gold", "when": "'precious' in op.sql.reads", "then": "deny"}]
    other = guarded.folder / "other.yaml"
    other.write_text(yaml.safe_dump(settings))

    same = guarded.bodycam("policy", "test", "--recorded", run.run, "--json", check=True)
    assert '"changes": []' in same.stdout
    changed = guarded.bodycam("policy", "test", "--recorded", run.run, "--settings", "other.yaml")
    assert changed.returncode == 1
    assert "no-gold" in changed.stdout
    assert "1 would change, 0 undecidable" in changed.stderr


def test_a_reload_applies_to_connections_that_are_open(guarded: stage.Gateway) -> None:
    file = guarded.folder / "bodycam.yaml"
    before = file.read_text()
    with psycopg.connect(guarded.run().dsn(), autocommit=True) as connection:
        connection.execute("select 1")
        settings = yaml.safe_load(before)
        settings["rules"].append({"name": "closed", "when": "'precious' in op.sql.reads", "then": "deny"})
        try:
            file.write_text(yaml.safe_dump(settings))
            os.kill(guarded.pid, signal.SIGHUP)

            def denied() -> bool:
                try:
                    connection.execute("select a from precious")
                except psycopg.errors.InsufficientPrivilege as error:
                    return "closed" in str(error)
                return False

            until(denied, "the new rule in the open session", 30)
            file.write_text(before.replace("no-program", "no-such-preset"))
            os.kill(guarded.pid, signal.SIGHUP)
            refused = "the gateway goes on with the old ones"
            until(lambda: refused in guarded.log.read_text(), "that the settings are wrong")
            assert denied()
        finally:
            file.write_text(before)
            os.kill(guarded.pid, signal.SIGHUP)
            until(lambda: not denied(), "the old rules back", 30)


def test_an_allowance_of_a_run_counts_over_all_workers(server: stage.Postgres) -> None:
    rules = [{"name": "enough", "when": "usage.run.operations > 60", "then": "deny"}]
    with stage.gateway({"shop": stage.shop(server)}, rules=rules, workers=2) as gateway:

        def busy() -> int:
            """How many workers have a session open."""
            said = gateway.api("GET", "/metrics").text
            return len(re.findall(r'^bodycam_sessions_open\{worker="\d+"\} [1-9]', said, re.MULTILINE))

        run = gateway.run()
        # until both workers have one: the kernel chooses who accepts
        opened: list[psycopg.Connection] = []
        while busy() < 2 and len(opened) < 30:
            opened.append(psycopg.connect(run.dsn(), autocommit=True))
            time.sleep(1.1)
        assert busy() == 2
        first, last = opened[0], opened[-1]
        for _ in range(40):
            first.execute("select 1")
        # told twice a second; by what this worker alone has seen it would never be enough
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="enough"):
            for _ in range(50):
                last.execute("select 1")
                time.sleep(0.2)
        for one in opened:
            one.close()
