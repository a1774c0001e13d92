"""psql through the gateway gives what psql gives directly."""

import subprocess

import pytest

from tests import stage

SCRIPTS = {
    "queries": "select 1 as one, null as nothing, 'ä€' as text; select generate_series(1, 5);",
    "several statements in one message": "select 1\\; select 2\\; select 3;",
    "an error and then more": "select 1/0; select 'still here';",
    "a failed transaction": "begin; select 1/0; select 2; rollback; select 3;",
    "a notice": "do $$ begin raise notice 'careful %', 42; end $$;",
    "copy out": "copy (select i, i * 2 from generate_series(1, 1000) i) to stdout;",
    "copy in": "create temp table t (a int, b text);\ncopy t from stdin;\n1\tx\n2\ty\n\\.\nselect * from t;",
    "copy in that fails": "create temp table t (a int);\ncopy t from stdin;\n1\nx\n\\.\nselect count(*) from t;",
    "listen and notify": "listen jobs; notify jobs, 'payload'; select 1;",
    "a parameter change": "set timezone = 'Asia/Tokyo'; show timezone; set client_encoding = latin1; select 'x';",
    "prepared in SQL": "prepare p(int) as select $1 + 1; execute p(41); deallocate p;",
    "a cursor": "begin; declare c cursor for select generate_series(1, 10); fetch 3 from c; commit;",
    "a wide result": "select repeat('x', 100000) as wide, i from generate_series(1, 50) i;",
    "backslash commands": "\\dt pg_catalog.pg_class\n\\d pg_catalog.pg_class",
    "bind": "select $1::int + $2::int \\bind 1 2 \\g",
    "gset": "select 7 as n \\gset\nselect :n + 1;",
    "empty": ";",
}


def psql(script: str, environment: dict[str, str]) -> tuple[int, str, str]:
    done = subprocess.run(
        ["psql", "-X"],
        input=script + "\n",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # the process number of the server's side differs from connection to connection
    said = [line.split(" received from server process")[0] for line in done.stdout.splitlines()]
    return done.returncode, "\n".join(said), done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_psql_gives_the_same(
    name: str, gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    assert psql(SCRIPTS[name], run.environment) == psql(SCRIPTS[name], server.direct())


def test_over_tls_the_client_can_verify_the_gateway(gateway: stage.Gateway, run: stage.Credential) -> None:
    ca_file = gateway.folder / "keys" / "public" / "listener-ca.pem"
    verified = run.environment | {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ca_file)}

    code, said, _ = psql("select 'sealed'; \\conninfo", verified)

    assert code == 0
    assert "SSL" in said


def test_gssapi_encryption_is_declined_and_the_connection_goes_on(run: stage.Credential) -> None:
    assert psql("select 1;", run.environment | {"PGGSSENCMODE": "prefer"})[0] == 0


def test_what_psql_did_is_on_the_record(gateway: stage.Gateway, run: stage.Credential) -> None:
    psql("select 'find me' as needle; select 1/0;", run.environment)
    gateway.end(run)

    listed = [(one["text"], one["status"], one["code"]) for one in gateway.exchanges(run.run)]
    assert listed == [("select 'find me' as needle;", "ok", None), ("select 1/0;", "error", "22012")]
    hits = gateway.api("GET", f"/v1/search?q=needle&run={run.run}").json()["hits"]
    assert [hit["text"] for hit in hits] == ["select 'find me' as needle;"]


def test_the_database_s_own_log_names_run_and_agent(server: stage.Postgres, run: stage.Credential) -> None:
    psql("select 'for the log';", run.environment)

    lines = [line for line in server.log.read_text().splitlines() if "for the log" in line]
    assert any(f"bodycam/{run.run}/billing-bot" in line for line in lines)


def test_a_password_in_ddl_reaches_the_database_and_not_the_record(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    code, _, said = psql("create role temp_role login password 'sehr-geheim-77';", run.environment)
    assert (code, said) == (0, "")
    gateway.end(run)

    (listed,) = gateway.exchanges(run.run)
    assert listed["text"] == "create role temp_role login password '[redacted]';"
    stored = [path for path in gateway.data.rglob("*") if path.is_file()]
    assert not [path for path in stored if b"sehr-geheim-77" in path.read_bytes()]
    server.sql("drop role temp_role")
