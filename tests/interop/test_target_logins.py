"""Every way in which the gateway logs in at a target, and what it says when it can't."""

from typing import Any

import psycopg
import pytest

from tests import stage

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


def test_the_password_of_a_target_is_nowhere_at_rest(gateway: stage.Gateway, run: stage.Credential) -> None:
    assert asked(run, "by-scram", "select 1") == 1
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(run.dsn("wrong-password"))
    gateway.end(run)

    files = [path for path in gateway.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if stage.PASSWORD.encode() in path.read_bytes()]
    assert not [path for path in files if b"not-it" in path.read_bytes()]
