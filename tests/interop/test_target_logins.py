"""Every way in which the gateway logs in at a target, and what it says when it can't."""

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from bodycam.net.authority import Authority, request
from bodycam.net.tls import server_context
from tests import stage
from tests.interop.between import between, without_binding

ON_TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"


def asked(run: stage.Credential, database: str, statement: str) -> Any:
    with psycopg.connect(run.dsn(database)) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


@pytest.mark.parametrize("method", ["scram", "md5", "clear"])
def test_by_each_kind_of_password(run: stage.Credential, method: str) -> None:
    assert asked(run, f"by-{method}", "select current_user::text") == f"{method}_user"


@pytest.mark.parametrize(
    ("mode", "encrypted"),
    [
        ("disable", False),
        ("allow", False),
        ("prefer", True),
        ("require", True),
        ("verify-ca", True),
        ("verify-full", True),
    ],
)
def test_tls_as_libpq_means_it(run: stage.Credential, mode: str, encrypted: bool) -> None:
    assert asked(run, f"tls-{mode}", ON_TLS) is encrypted


@pytest.mark.parametrize(
    ("mode", "database", "encrypted"),
    [
        ("allow", "only_plain", False),
        ("allow", "only_tls", True),
        ("prefer", "only_tls", True),
        ("prefer", "only_plain", False),
        ("require", "only_tls", True),
        ("disable", "only_plain", False),
    ],
)
def test_a_server_that_takes_one_way_only(
    run: stage.Credential, mode: str, database: str, encrypted: bool
) -> None:
    assert asked(run, f"tls-{mode}/{database}", ON_TLS) is encrypted


@pytest.mark.parametrize(("mode", "database"), [("disable", "only_tls"), ("require", "only_plain")])
def test_a_way_that_the_mode_does_not_allow_is_not_taken(
    run: stage.Credential, mode: str, database: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
        psycopg.connect(run.dsn(f"tls-{mode}/{database}"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("other-ca", "unable to get local issuer certificate|self.signed certificate"),
        ("other-name", "[Hh]ostname mismatch"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused(
    gateway: stage.Gateway, run: stage.Credential, target: str, message: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=message) as caught:
        psycopg.connect(run.dsn(target))

    assert "ca_file" in str(caught.value)
    gateway.end(run)
    (listed,) = gateway.api("GET", f"/v1/sessions?run={run.run}").json()["sessions"]
    assert listed["outcome"] == "failed"


# -- certificates of the gateway's own ------------------------------------------------------------------

MY_CERTIFICATE = "select client_dn from pg_stat_ssl where pid = pg_backend_pid()"


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
def test_by_a_certificate(run: stage.Credential, mode: str) -> None:
    with psycopg.connect(run.dsn(f"by-cert-{mode}")) as connection:
        assert connection.execute("select current_user::text").fetchone() == ("cert_user",)
        assert connection.execute(MY_CERTIFICATE).fetchone() == ("/CN=cert_user",)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no-cert", r"requires a valid client certificate"),
        ("lost-key", r"client certificate of target lost-key can't be had: .*lost\.key can't be read"),
    ],
)
def test_without_its_certificate_or_key_there_is_no_way_in(
    gateway: stage.Gateway, run: stage.Credential, target: str, message: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=message):
        psycopg.connect(run.dsn(target))
    gateway.end(run)
    (listed,) = gateway.api("GET", f"/v1/sessions?run={run.run}").json()["sessions"]
    assert listed["outcome"] == "failed"


def test_a_statement_at_a_target_by_certificate_can_be_cancelled(run: stage.Credential) -> None:
    with psycopg.connect(run.dsn("by-cert-require"), autocommit=True) as connection:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(connection.execute, "select pg_sleep(20)")
            time.sleep(0.3)
            connection.cancel_safe(timeout=5)
            with pytest.raises(psycopg.errors.QueryCanceled):
                waiting.result(10)
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_key_of_a_target_is_nowhere_at_rest(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    assert asked(run, "by-cert-require", "select 1") == 1
    gateway.end(run)

    secret = server.client_key.read_text().splitlines()[1].encode()
    files = [path for path in gateway.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if secret in path.read_bytes()]


# -- channel binding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_a_password_bound_to_its_channel(run: stage.Credential, binding: str) -> None:
    assert asked(run, f"bound-{binding}", "select current_user::text") == "scram_user"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bound-md5", "channel binding is required, and the server goes without it: it asks for another"),
        ("bound-trust", "channel binding is required, and the server goes without it: it let the gateway in"),
        ("bound-plain", "channel binding is required, and the connection has no TLS"),
    ],
)
def test_a_server_that_does_not_bind_where_that_is_required(
    run: stage.Credential, target: str, message: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=message):
        psycopg.connect(run.dsn(target))


def owns(server: stage.Postgres) -> ssl.SSLContext:
    """TLS with the server's own key: as if somebody had stolen it, or as a proxy of the server's has it."""
    key, chain = server.pair
    return server_context(key.read_bytes(), chain.read_bytes())


def another() -> ssl.SSLContext:
    made = request("in between")
    chain = Authority.create("somebody").sign(made.csr_pem, names=["127.0.0.1"])
    return server_context(made.key_pem, chain)


async def through(run: stage.Credential, target: str) -> str:
    connection = await psycopg.AsyncConnection.connect(run.dsn(target))
    async with connection:
        row = await (await connection.execute("select current_user::text")).fetchone()
        assert row is not None
        return str(row[0])


@pytest.mark.parametrize(
    ("binding", "mechanism"),
    [
        ("disable", b"SCRAM-SHA-256\0"),
        ("prefer", b"SCRAM-SHA-256-PLUS\0"),
        ("require", b"SCRAM-SHA-256-PLUS\0"),
    ],
)
async def test_the_proof_names_its_channel_where_the_server_can_bind(
    server: stage.Postgres, port_between: int, run: stage.Credential, binding: str, mechanism: bytes
) -> None:
    async with between(port_between, server.port, owns(server)) as seen:
        assert await through(run, f"between-{binding}") == "scram_user"

    assert seen.proofs[0][5:].startswith(mechanism)


async def test_somebody_with_another_certificate_can_not_carry_the_proof_on(
    server: stage.Postgres, port_between: int, run: stage.Credential
) -> None:
    async with between(port_between, server.port, another()) as seen:
        for binding in ("prefer", "require"):
            with pytest.raises(psycopg.OperationalError, match="channel binding check failed"):
                await through(run, f"between-{binding}")
        assert len(seen.proofs) == 4
        # without binding nothing stands in the way, as with any server whose certificate is not checked
        assert await through(run, "between-disable") == "scram_user"


async def test_somebody_who_takes_the_offer_away_is_found_out(
    server: stage.Postgres, port_between: int, run: stage.Credential
) -> None:
    async with between(port_between, server.port, another(), without_binding) as seen:
        with pytest.raises(psycopg.OperationalError, match="channel binding negotiation error"):
            await through(run, "between-prefer")
        assert b"y,," in seen.proofs[0]
        with pytest.raises(psycopg.OperationalError, match="offers no SCRAM-SHA-256-PLUS"):
            await through(run, "between-require")


def test_the_password_of_a_target_is_nowhere_at_rest(gateway: stage.Gateway, run: stage.Credential) -> None:
    assert asked(run, "by-scram", "select 1") == 1
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(run.dsn("wrong-password"))
    gateway.end(run)

    files = [path for path in gateway.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if stage.PASSWORD.encode() in path.read_bytes()]
    assert not [path for path in files if b"not-it" in path.read_bytes()]
