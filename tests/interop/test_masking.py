"""Secrets in a real server's results: masked for every client and format, and at rest nowhere.

The target itself gets the real values; what is not masked stays the same bytes.
"""

import json
import secrets
import string
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from tests import stage

TOKEN = "sk_live_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))
CARD = "4111111111111111"
MASK = "[bodycam:secrets.stripe-access-token]"


@pytest.fixture(scope="module")
def masking(server: stage.Postgres) -> Iterator[stage.Gateway]:
    server.sql(
        "create table if not exists vault (id int primary key, note text, data jsonb, raw bytea, card numeric)",
        "truncate vault",
        "insert into vault select g, 'note ' || g, '{}', 'plain', g from generate_series(1, 50) g",
        f"insert into vault values (100, 'key: {TOKEN}', '{{\"k\": \"{TOKEN}\"}}', '{TOKEN}', {CARD})",
    )
    with stage.gateway({"shop": stage.shop(server)}, masking=[{"detect": ["secrets", "pii"]}]) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def run(masking: stage.Gateway) -> stage.Credential:
    return masking.run()


def test_rows_in_text_and_binary(masking: stage.Gateway, run: stage.Credential) -> None:
    for binary in (False, True):
        with psycopg.connect(run.dsn()) as connection, connection.cursor(binary=binary) as cursor:
            row = cursor.execute("select note, data, raw, card from vault where id = 100").fetchone()
            assert row is not None
            note, data, raw, card = row
            assert note == f"key: {MASK}"
            assert TOKEN not in json.dumps(data)
            assert TOKEN.encode() not in bytes(raw or b"")
            assert card is None
            clean = cursor.execute("select note, raw, card from vault where id = 7").fetchone()
            assert clean is not None
            assert (clean[0], bytes(clean[1]), int(clean[2])) == ("note 7", b"plain", 7)


def test_arrays_composites_and_expressions(run: stage.Credential) -> None:
    with psycopg.connect(run.dsn()) as connection:
        for asked in (
            "select array_agg(note) from vault",
            "select (id, note, data, card) from vault v where id = 100",
            "select upper('x') || note from vault where id = 100",
            "select string_agg(note, ',') from vault",
            "select row_to_json(row(note, data, card)) from vault v where id = 100",
            "select note as harmless from vault where id = 100 union select 'x'",
        ):
            assert TOKEN not in str(connection.execute(asked).fetchall()), asked
        cursor = connection.cursor(binary=True)
        assert TOKEN not in str(cursor.execute("select array_agg(note) from vault").fetchall())


async def test_asyncpg_which_asks_for_binary(run: stage.Credential) -> None:
    connection = await asyncpg.connect(run.dsn().partition("?")[0], ssl=False)
    try:
        rows = await connection.fetch("select id, note, data, raw from vault order by id")
        assert TOKEN not in str(rows)
        assert (len(rows), rows[0]["note"], rows[-1]["note"]) == (51, "note 1", f"key: {MASK}")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "options", ["", "(format csv)", "(format csv, header, delimiter ';')", "(format binary)"]
)
def test_copied_out(run: stage.Credential, options: str) -> None:
    asked = f"copy (select id, note from vault order by id) to stdout {options}"
    with psycopg.connect(run.dsn()) as connection, connection.cursor().copy(asked) as copy:
        data = b"".join(bytes(one) for one in copy)
    assert TOKEN.encode() not in data
    assert b"note 50" in data
    if "binary" not in options:
        assert MASK.encode() in data


def test_copied_in_reaches_the_target_as_it_is(
    run: stage.Credential, masking: stage.Gateway, server: stage.Postgres
) -> None:
    with psycopg.connect(run.dsn()) as connection:
        connection.execute("create temp table inbox (a text)")
        with connection.cursor().copy("copy inbox from stdin") as copy:
            for place in range(0, len(TOKEN), 5):
                copy.write(TOKEN[place : place + 5])
            copy.write("\n")
        found = connection.execute("select length(a), md5(a) from inbox").fetchone()
    assert found == (len(TOKEN), server.sql(f"select md5('{TOKEN}')"))


def test_errors_and_notices(run: stage.Credential) -> None:
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("select note::int from vault where id = 100")
        assert TOKEN not in str(caught.value)
        assert MASK in str(caught.value)
        heard: list[str] = []
        connection.add_notice_handler(lambda said: heard.append(said.message_primary or ""))
        connection.execute("do $$ begin raise notice '%', (select note from vault where id = 100); end $$")
        assert heard == [f"key: {MASK}"]


def test_values_and_statements_reach_the_target_and_not_the_record(run: stage.Credential) -> None:
    with psycopg.connect(run.dsn()) as connection:
        assert connection.execute("select md5(%s) = md5(%s)", (TOKEN, TOKEN)).fetchone() == (True,)
        assert connection.execute(f"select length('{TOKEN}')").fetchone() == (len(TOKEN),)


def test_a_mask_written_back_is_denied(run: stage.Credential) -> None:
    denied = pytest.raises(psycopg.errors.InsufficientPrivilege, match="mask-written-back")
    with psycopg.connect(run.dsn(), autocommit=True) as connection, denied:
        connection.execute("update vault set note = %s where id = 100", (f"key: {MASK}",))


def test_at_rest_it_is_nowhere(masking: stage.Gateway, run: stage.Credential) -> None:
    """The last of this file: all that the tests before left behind, decoded where it is encrypted."""
    masking.end(run)
    wanted = TOKEN.encode()
    sessions = masking.api("GET", f"/v1/sessions?run={run.run}&limit=1000").json()["sessions"]
    assert len(sessions) > 8
    masked = 0
    for session in sessions:
        transcript = masking.api("GET", f"/v1/sessions/{session['id']}/transcript").text
        assert TOKEN not in transcript
        assert wanted.hex() not in transcript
        masked += transcript.count(MASK)
    assert masked > 10
    assert TOKEN not in json.dumps(masking.exchanges(run.run, asides=True))
    for found in ("search?q=key", f"search?q={TOKEN}"):
        assert TOKEN not in masking.api("GET", f"/v1/{found}").text.replace(f'"{TOKEN}"', "")
    held = [
        file for file in sorted(masking.folder.rglob("*")) if file.is_file() and wanted in file.read_bytes()
    ]
    assert held == []
    code, report = masking.verify()
    assert code == 0, report
