"""Masks by column at a real server: however a value is asked for, no client sees it and no record has it.

The server's own tables stand beside, so that what is not masked is the same as without a gateway.
"""

import os
import re
import subprocess
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from bodycam.protocols.postgres.lookup import question
from tests import stage

ANN, BOB, PIN = "123-45-6789", "987-65-4321", "471189"
MASK = "[bodycam:column]"
WIDE = ", ".join(f"c{place} text" for place in range(100))
MASKING = [
    {"columns": ["people.ssn", "people.pin", "wide.secret", "part_of.tax"]},
    {"json": ["$.card.number"]},
    {"columns": ["people.phone"], "then": "partial", "unless": {"columns": ["contacts.open_phone"]}},
]
TABLES = (
    "drop table if exists people, visits cascade",
    "create table people (id int primary key, name text, ssn text unique, pin int, phone text, doc jsonb)",
    f"insert into people values (1, 'Ann', '{ANN}', {PIN}, '+49 170 1234567', '{{}}'), "
    f"(2, 'Bob', '{BOB}', 111222, '+49 170 7650001', '{{}}')",
    "create table visits (person int, note text)",
    "insert into visits values (1, 'came'), (2, 'went')",
    "create view contacts as select id, name, phone, phone as open_phone, left(ssn, 11) as number from people",
    "create view deep as select c.id, c.number as n, c.phone as p from contacts c join visits on person = id",
    "create materialized view kept as select id, ssn as s from people",
    "create table archive () inherits (people)",
    f"insert into archive values (3, 'Cy', '{BOB}', {PIN}, 'x', '{{}}')",
    "create or replace function tell(wanted int) returns text language plpgsql as "
    "$$ declare x text; begin select ssn into x from people where id = wanted; raise notice 'it is %', x; "
    "raise exception 'no: %', x; end $$",
    "create or replace function give(wanted int) returns text language sql as $$ select ssn from people where id = wanted $$",
    "create or replace function give_on(wanted int) returns setof text language sql as $$ select give(wanted) $$",
    "drop table if exists orders_made",
    "create table orders_made (id int, doc jsonb, note text)",
    """insert into orders_made values (1, '{"x": [1], "card": {"number": 471189}}', '{not json')""",
    "create or replace function fixed() returns text immutable language plpgsql as "
    "$$ begin return (select ssn from people where id = 1); end $$",
    "create or replace function opened() returns refcursor language plpgsql as $$ declare c refcursor := 'rc'; "
    "begin open c for select reverse(reverse(ssn)) from people; return c; end $$",
    "create view given as select give(1) as x",
    f"drop table if exists wide, part_of, whole cascade; create table wide ({WIDE}, secret text)",
    f"insert into wide (c1, secret) values ('seen', '{ANN}')",
    "create view narrow as select *, upper(secret) as up from wide",
    "create table whole (id int, tax text)",
    f"create table part_of () inherits (whole); insert into part_of values (1, '{ANN}')",
    "create extension if not exists pageinspect",
    "analyze",
)
HIDDEN = re.compile("|".join(map(re.escape, (ANN, BOB, PIN, "6789", "4321", "471,?189"))))


@pytest.fixture(scope="module")
def masking(server: stage.Postgres) -> Iterator[stage.Gateway]:
    server.sql(*TABLES)
    with stage.gateway({"shop": stage.shop(server)}, masking=MASKING) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def run(masking: stage.Gateway) -> stage.Credential:
    return masking.run()


def psql(server: stage.Postgres, run: stage.Credential, *asked: str) -> str:
    """All that psql prints, errors and notices included."""
    arguments = [part for one in asked for part in ("-c", one)]
    done = subprocess.run(
        [server.bin / "psql", "-X", "-A", "-t", "-q", *arguments],
        env=run.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("select id, ssn, pin from people order by id", f"1|{MASK}|\n2|{MASK}|\n3|{MASK}|\n"),
        ("select ssn as harmless from people where id = 1", f"{MASK}\n"),
        ("select phone from people where id = 1", "[bodycam:column:4567]\n"),
        ("select id, name, phone, open_phone, number from contacts where id = 1",
         f"1|Ann|[bodycam:column:4567]|+49 170 1234567|{MASK}\n"),
        ("select n, p from deep where id = 1", f"{MASK}|[bodycam:column:4567]\n"),
        ("select s from kept where id = 1", f"{MASK}\n"),
        ("select ssn, pin, name from archive", f"{MASK}||Cy\n"),
        ("select count(*), max(id), min(name) from people", "3|3|Ann\n"),
        ("select note, name, ssn from visits join people on id = person where id = 1", f"came|Ann|{MASK}\n"),
        ("copy people (id, ssn, pin) to stdout", f"1\t{MASK}\t\\N\n2\t{MASK}\t\\N\n"),
        ("copy (select id, ssn from people where id = 1) to stdout", "\\N\t\\N\n"),
        ("copy people (id, ssn) to stdout (format csv, header)", f"id,ssn\n1,{MASK}\n2,{MASK}\n"),
        ("copy people (id, ssn) to stdout (header)", f"id\tssn\n1\t{MASK}\n2\t{MASK}\n"),
        ("copy visits to stdout (format csv, delimiter ';')", "1;came\n2;went\n"),
        ("copy people (id, ssn) to stdout (format csv, delimiter ';', header)", f"id;ssn\n1;{MASK}\n2;{MASK}\n"),
        ("select doc from orders_made where id = 1", '{"x": [1], "card": {"number": "[bodycam:json]"}}\n'),
        ("copy orders_made to stdout", '1\t{"x": [1], "card": {"number": "[bodycam:json]"}}\t{not json\n'),
        ("copy orders_made (doc) to stdout csv", '"{""x"": [1], ""card"": {""number"": ""[bodycam:json]""}}"\n'),
        ("copy orders_made to stdout (encoding 'latin1')", f"{MASK}\n"),
        ("select x from given", f"{MASK}\n"),
        ("select c1, up, secret from narrow", f"seen|{MASK}|{MASK}\n"),
        ("select id, tax from whole", f"1|{MASK}\n"),
        ("select most_common_vals is null, histogram_bounds from pg_stats where tablename = 'people' "
         "and attname = 'ssn' and not inherited", "|\n"),
    ],
)  # fmt: skip
def test_what_is_masked_is_masked_and_what_is_not_is_not(
    server: stage.Postgres, run: stage.Credential, asked: str, shown: str
) -> None:
    assert psql(server, run, asked) == shown


@pytest.mark.parametrize(
    "asked",
    [
        "select upper(ssn), lower(ssn), ssn || '', ssn::varchar, ssn::bytea, md5(ssn), left(ssn, 4) from people",
        "select string_agg(ssn, ','), array_agg(ssn), json_agg(people) from people",
        "select people from people",
        "select (people).ssn from people",
        "select p.row_to_json from people p",
        "select to_jsonb(p) - 'name' from people p",
        "select (select ssn from people where id = 1)",
        "select x from (select ssn from people) s(x)",
        "with q(x) as (select ssn from people) select x, x || '' from q",
        "select ssn from people union all select 'x'",
        "select distinct on (ssn) ssn from people order by ssn",
        "select case when true then ssn end, coalesce(ssn, ''), greatest(ssn, '') from people",
        "select a.ssn from people a join people b using (ssn)",
        "select * from people natural join (select ssn from people) s",
        "select pin + 1 - 1, pin::text, -(-pin) from people",
        "select row(ssn, pin) from people",
        "select v from people, lateral (values (ssn)) t(v)",
        "select unnest(array[ssn, name]) from people",
        "select max(ssn) over () from people",
        "select query_to_xml('select ssn from people', true, true, '')",
        "select table_to_xml('people', true, true, '')",
        "select xmlforest(ssn) from people",
        "select format('%s', ssn) from people",
        "select ssn::int from people",
        "select ssn::regclass from people",
        "select ('x' || ssn)::date from people",
        "select 1 / (pin - pin) from people",
        "select tell(1)",
        "select give(1)",
        "select * from give_on(1)",
        "select x.give_on || '' from give_on(2) x",
        "insert into people values (1, 'x', 'y', 1, '', '{}')",
        f"insert into people values (9, 'x', '{ANN}'::text || '', 1, '', '{{}}')",
        "update people set id = 1",
        "update people set name = 'z' where false returning ssn",
        "update people set name = name returning ssn || ''",
        "copy people to stdout",
        "copy people to stdout binary",
        "copy orders_made to stdout binary",
        "copy (select doc::json, note from orders_made) to stdout binary",
        "copy (select ssn from people) to stdout csv",
        "copy (table people) to stdout (format csv, delimiter ';', quote '''')",
        "copy (select to_jsonb(p) from people p) to stdout",
        "begin; declare c cursor for select reverse(reverse(ssn)) from people; fetch all from c; commit",
        "prepare s as select ssn || '' from people; execute s",
        "table people",
        "select ssn from only people for update",
        "explain (analyze, verbose) select ssn from people where ssn = ssn",
        "select n from deep union select s from kept",
        "select histogram_bounds, most_common_vals from pg_stats where tablename = 'people'",
        "select stavalues1 from pg_statistic",
        "select * from pg_stats where tablename in ('people', 'kept')",
        "create table stolen as select ssn from people",
        "create table stolen as select n from deep",
        "select ssn into stolen from people",
        "create view stolen as select ssn from people",
        "insert into visits select 1, ssn from people",
        "update visits set note = ssn from people",
        "update people set name = ssn",
        "merge into visits v using people p on p.id = v.person when matched then update set note = p.ssn",
        "do $$ declare x text; begin select ssn into x from people limit 1; raise notice '%', x; end $$",
        "create function leak() returns text language sql as $$ select ssn from people limit 1 $$",
        "alter table people rename ssn to harmless",
        "alter table people rename to harmless",
        "alter table people alter ssn type bytea using ssn::bytea",
        "create rule r as on insert to people do also insert into visits values (1, new.ssn)",
        "select set_config('a.b', ssn, false) from people; show a.b",
        "listen stolen; select pg_notify('stolen', ssn) from people",
        "select lo_from_bytea(4711, ssn::bytea) from people limit 1",
        "select nextval(ssn) from people",
        "copy people to program 'cat'",
        "copy /* csv */ people (id, ssn) to stdout",
        'copy people (id, ssn) to stdout (format u&"c\\0073v")',
        "select table_to_xml('people'::regclass::oid::int, true, true, '')",
        "explain verbose select fixed()",
        "select fixed()::int",
        "insert into visits values (1, give(1))",
        "create table stolen (id int, x text default give(1))",
        "create view stolen as select give(1)",
        "create operator === (function = give, rightarg = int)",
        "update people set phone = ssn",
        "insert into people select id + 10, ssn, ssn, pin, phone, doc from people",
        "select * from heap_page_items(get_raw_page('people', 0))",
        "select encode(pg_read_binary_file(pg_relation_filepath('people')), 'escape')",
    ],
)
def test_no_way_of_asking_shows_a_value(server: stage.Postgres, run: stage.Credential, asked: str) -> None:
    direct = subprocess.run(
        [server.bin / "psql", "-X", "-q", "-c", f"begin; {asked}; rollback"],
        env=server.direct(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"syntax error" not in direct.stderr
    said = psql(server, run, asked)
    assert not HIDDEN.search(said), said


CURSOR = "declare c cursor for select reverse(reverse(ssn)) from people"


def test_statements_one_after_the_other_show_no_value(server: stage.Postgres, run: stage.Credential) -> None:
    for asked in (
        ("begin", "declare c cursor for select ssn || '' from people", "fetch 1 from c", "fetch all from c"),
        ("prepare s as select upper(ssn) from people", "execute s", "deallocate s"),
        ("create temp table t (x text)", "insert into t select ssn from people", "select * from t"),
        ("begin", "create table t (x text)", "insert into t values ('own')", "select x, upper(x) from t"),
        ("insert into visits values (7, give(1))", "select note from visits"),
        ("begin", "select opened()", "fetch all from rc"),
        ("begin", "select opened()", "select cursor_to_xml('rc', 9, true, true, '')"),
        ("begin", CURSOR, "select cursor_to_xml('c', 9, true, true, '')"),
        (
            "begin",
            CURSOR,
            "create table t as select cursor_to_xml('c', 9, true, true, '') x",
            "select x from t",
        ),
        (
            "begin",
            CURSOR,
            "do $$ declare c refcursor := 'c'; r record; begin fetch c into r; raise notice '%', r; end $$",
        ),
        (
            "create function keep(t text) returns text language plpgsql as "
            "$$ begin insert into visits values (9, t); return ''; end $$",
            "select keep(ssn) from people",
            "select note from visits",
        ),
        (
            "create function keep(t text) returns text language sql as $$ select set_config('a.b', t, false) $$",
            "select keep(ssn) from people where id = 1",
            "show a.b",
        ),
        (
            "create function say(t text) returns text language plpgsql immutable as "
            "$$ begin raise notice '%', t; return ''; end $$",
            "create index said on people (say(ssn))",
            "analyze people",
            "drop index said; drop function say(text)",
        ),
        ("alter function give(int) rename to harmless", "select harmless(1)"),
        (
            "alter function pg_notify(text, text) rename to harmless",
            "listen x",
            "select harmless('x', ssn) from people",
        ),
        (
            "create table parted (id int, ssn text) partition by list (id)",
            "alter table parted attach partition people for values in (1)",
            "select ssn from parted",
        ),
    ):
        assert not HIDDEN.search(psql(server, run, *asked)), asked


def test_a_table_of_ones_own_shows_what_one_put_there(server: stage.Postgres, run: stage.Credential) -> None:
    said = psql(server, run, "create temp table own (a text)", "insert into own values ('x')",
                "select a, upper(a) from own", "select count(*) from own, people")  # fmt: skip
    assert said == "x|X\n3\n"


def test_drivers_with_binary_and_pipelines(run: stage.Credential) -> None:
    for binary in (False, True):
        with psycopg.connect(run.dsn()) as connection, connection.cursor(binary=binary) as cursor:
            assert cursor.execute("select id, ssn, pin from people where id = %s", (1,)).fetchone() == (
                1,
                MASK,
                None,
            )
            assert cursor.execute("select upper(ssn) from people where id = %s", (1,)).fetchone() == (MASK,)
            with connection.pipeline():
                first = connection.execute("select name from people where id = 1")
                second = connection.execute("select ssn || '' from people where id = 1")
                assert first.fetchone() == ("Ann",)
                assert second.fetchone() == (MASK,)
    with psycopg.connect(run.dsn()) as connection, connection.cursor(name="c") as cursor:
        cursor.execute("select id, reverse(ssn) from people order by id")
        assert cursor.fetchmany(1) == [(1, MASK)]


def test_portals_of_the_protocol_are_cursors_to_sql(run: stage.Credential) -> None:
    asked = (
        "fetch all from portal",
        "select cursor_to_xml('portal', 9, true, true, '')",
        "do $$ declare c refcursor := 'portal'; r record; begin fetch c into r; raise exception '%', r; end $$",
    )
    for text in asked:
        with psycopg.connect(run.dsn(), autocommit=True) as connection:
            connection.execute("begin")
            wire = connection.pgconn
            bind = b"portal\0\0" + bytes(6)
            parse = b"\0select ssn || '' from people\0" + bytes(2)
            messages = b"".join(
                tag + (4 + len(body)).to_bytes(4, "big") + body
                for tag, body in ((b"P", parse), (b"B", bind), (b"Q", text.encode() + b"\0"))
            )
            os.set_blocking(wire.socket, True)
            os.write(wire.socket, messages)
            said = b""
            while b"Z\0\0\0\x05" not in said:
                said += os.read(wire.socket, 65536)
            assert b"T" in said or b"E" in said
            assert not HIDDEN.search(said.decode("latin-1")), said


async def test_asyncpg(run: stage.Credential) -> None:
    connection = await asyncpg.connect(run.dsn().partition("?")[0], ssl=False)
    try:
        for _ in range(2):
            row = await connection.fetchrow(
                "select id, ssn, pin, ssn || '' as y from people where id = $1", 1
            )
            assert tuple(row) == (1, MASK, None, MASK)
        async with connection.transaction():
            found = [
                tuple(row)
                async for row in connection.cursor("select ssn from people order by id", prefetch=1)
            ]
            assert found == [(MASK,)] * 3
    finally:
        await connection.close()


def test_what_is_denied_says_which_column_and_the_connection_lives_on(
    server: stage.Postgres, run: stage.Credential
) -> None:
    said = psql(server, run, "create table stolen as select ssn from people", "select 'alive'")
    assert (
        "denied by rule masked-column: masked values would get where no mask follows them, by people.ssn"
        in said
    )
    assert said.endswith("alive\n") or "alive" in said
    assert server.sql("select count(*) from pg_class where relname = 'stolen'") == "0"


def test_records_have_no_value_and_say_how_often_one_was_masked(
    masking: stage.Gateway, run: stage.Credential
) -> None:
    with psycopg.connect(run.dsn()) as connection:
        connection.execute("select ssn, name from people").fetchall()
    masking.end(run)
    sessions = masking.api("GET", f"/v1/sessions?run={run.run}&limit=1000").json()["sessions"]
    assert len(sessions) > 50
    transcripts = [masking.api("GET", f"/v1/sessions/{one['id']}/transcript").text for one in sessions]
    # what a client itself sent is its own, and no masked value
    shown = "".join(transcripts).replace(f"'{ANN}'", "")
    # whole values, because times and numbers of all kinds have four digits alike
    assert not re.search("|".join(map(re.escape, (ANN, BOB, ANN[::-1], BOB[::-1]))), shown)
    assert MASK in shown


def test_a_role_that_reads_backslashes_in_its_own_way_is_told_the_same(server: stage.Postgres) -> None:
    def found(way: str) -> list[str]:
        done = subprocess.run(
            [server.bin / "psql", "-X", "-A", "-t", "-q", "-c", question([("wages", "ssn")])],
            env=server.direct() | {"PGOPTIONS": f"-c standard_conforming_strings={way}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return sorted(done.stdout.splitlines())

    server.sql(
        "create table if not exists wages (ssn text)",
        "create or replace function pay() returns text language sql as 'select ssn from wages limit 1'",
    )
    assert any("|pay|" in line for line in found("on"))
    assert found("off") == found("on")
