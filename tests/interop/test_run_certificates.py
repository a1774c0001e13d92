"""A run's client certificate in place of its password, with real clients and the real control process."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from bodycam.identity.run_certificates import RunCertificates
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.net.authority import Authority, request
from tests import stage
from tests.interop.raw import sessions, until


@dataclass
class Holder:
    """A client with a key and a certificate in files, and no password."""

    gateway: stage.Gateway
    folder: Path
    run: str

    def put(self, key: bytes, certificate: str) -> "Holder":
        (self.folder / "client.key").write_bytes(key)
        (self.folder / "client.key").chmod(0o600)
        (self.folder / "client.pem").write_text(certificate)
        return self

    @property
    def files(self) -> dict[str, str]:
        return {
            "sslcert": str(self.folder / "client.pem"),
            "sslkey": str(self.folder / "client.key"),
            "sslrootcert": str(self.gateway.listener_ca),
        }

    def connect(self, **changed: Any) -> psycopg.Connection[Any]:
        asked = {
            "host": "127.0.0.1",
            "port": self.gateway.port,
            "user": self.run,
            "dbname": "shop",
            "sslmode": "verify-full",
            "gssencmode": "disable",
            "passfile": "/nonexistent",
            **self.files,
            **changed,
        }
        return psycopg.connect(**asked)

    def refused(self, **changed: Any) -> str:
        with pytest.raises(psycopg.OperationalError) as caught:
            self.connect(**changed)
        return str(caught.value)


@pytest.fixture
def holder(gateway: stage.Gateway, tmp_path: Path) -> Holder:
    """The client of a fresh run."""
    made = request("a client")
    run = gateway.run(csr=made.csr_pem.decode())
    return Holder(gateway, tmp_path, run.run).put(made.key_pem, run.certificate)


def given_by(gateway: stage.Gateway) -> RunCertificates:
    """What only the control process can do: give certificates of this gateway."""
    keys = gateway.folder / "keys"
    return RunCertificates(
        Authority.load(keys / "control" / "run-client-ca.pem", keys / "public" / "run-client-ca.pem")
    )


def forged(
    certificates: RunCertificates, run: str, *, since: float = 0, until: float = 3600
) -> Callable[[Holder], Holder]:
    """A certificate for a run that this authority gives, valid between two moments from now."""
    made, now = request("x"), time.time()
    record = Run(run, Principal("bodycam", "x", PrincipalKind.SERVICE), "billing-bot", now + until)
    issued = certificates.issue(record, made.csr_pem, now=now + since)
    return lambda holder: holder.put(made.key_pem, issued.pem)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_a_certificate_of_the_run_is_enough(holder: Holder, negotiation: str) -> None:
    with holder.connect(sslnegotiation=negotiation, require_auth="none") as connection:
        assert connection.pgconn.used_password is False
        assert connection.execute("select 'without a password'").fetchone() == ("without a password",)
    holder.gateway.end(stage.Credential(holder.run, "", {}))

    (listed,) = sessions(holder.gateway, holder.run)
    assert (listed["outcome"], listed["run"], listed["agent"]) == ("ended", holder.run, "billing-bot")


async def test_asyncpg_takes_it_too(holder: Holder) -> None:
    asked = f"postgresql://{holder.run}@127.0.0.1:{holder.gateway.port}/shop?sslmode=verify-full"
    connection = await asyncpg.connect(
        asked + "".join(f"&{name}={value}" for name, value in holder.files.items())
    )
    assert await connection.fetchval("select 1") == 1
    await connection.close()


def test_without_the_certificate_the_password_is_asked_for_as_before(
    holder: Holder, run: stage.Credential
) -> None:
    nothing = {"sslcert": "/nonexistent", "sslkey": "/nonexistent"}
    assert "no password supplied" in holder.refused(**nothing)
    with holder.connect(user=run.run, password=run.secret, **nothing) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_token_goes_with_any_certificate(holder: Holder, run: stage.Credential) -> None:
    with holder.connect(user="token", password=run.secret) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    until(lambda: sessions(holder.gateway, run.run), "the session of the token's run")


@pytest.mark.parametrize("how", ["end", "revoke"])
def test_after_the_run_it_is_a_failed_session(holder: Holder, how: str) -> None:
    gateway = holder.gateway
    with holder.connect() as connection:
        assert gateway.api("POST", f"/v1/runs/{holder.run}/{how}", json={}).status_code == 200
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select pg_sleep(5)")

    assert f"run {holder.run} has ended, expired or been revoked" in holder.refused()

    def outcomes() -> list[str]:
        return sorted(str(one["outcome"]) for one in sessions(gateway, holder.run))

    until(lambda: outcomes() == ["cut", "failed"], "the failed session on the record")


def test_another_name_than_the_certificate_s_is_refused(holder: Holder, run: stage.Credential) -> None:
    said = holder.refused(user=run.run, password=run.secret)

    assert f'the client certificate is of run {holder.run}, and the user name is "{run.run}"' in said
    assert sessions(holder.gateway, run.run) == sessions(holder.gateway, holder.run) == []


def test_one_that_is_over_is_refused_in_words(holder: Holder, gateway: stage.Gateway) -> None:
    forged(given_by(gateway), holder.run, since=-7200, until=-3600)(holder)

    said = holder.refused()
    assert f"the client certificate of run {holder.run} is not valid now: it ended or ends at" in said
    assert "bodycam run" in said


def test_one_of_a_run_that_nobody_knows(holder: Holder, gateway: stage.Gateway) -> None:
    forged(given_by(gateway), "run_qqqqqqqqqqqqqqqq")(holder)

    assert "the run credential is not valid" in holder.refused(user="run_qqqqqqqqqqqqqqqq")


def test_one_of_another_authority_is_told_by_tls_and_counted(holder: Holder, gateway: stage.Gateway) -> None:
    forged(RunCertificates(Authority.create("Bodycam runs")), holder.run)(holder)

    assert "unknown ca" in holder.refused()

    def counted() -> bool:
        events = gateway.api("GET", "/v1/audit?limit=1000").json()["events"]
        return any(
            one["action"] == "login-failed" and one["detail"]["reason"] == "untrusted-certificate"
            for one in events
        )

    until(counted, "the count of untrusted certificates", 20)


def test_the_listeners_own_authority_vouches_for_no_client(holder: Holder, gateway: stage.Gateway) -> None:
    keys = gateway.folder / "keys"
    listeners = Authority.load(keys / "control" / "listener-ca.pem", keys / "public" / "listener-ca.pem")
    forged(RunCertificates(listeners), holder.run)(holder)

    assert "unknown ca" in holder.refused()


def test_what_the_runs_authority_signed_is_no_certificate_of_a_listener(gateway: stage.Gateway) -> None:
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(
            host="127.0.0.1",
            port=gateway.port,
            user="token",
            dbname="shop",
            sslmode="verify-full",
            sslrootcert=str(gateway.folder / "keys" / "public" / "run-client-ca.pem"),
        )


def test_a_renewed_one_goes_on_where_the_first_has_ended(gateway: stage.Gateway, tmp_path: Path) -> None:
    made = request("a client")
    run = gateway.run(csr=made.csr_pem.decode(), ttl=10.0)
    holder = Holder(gateway, tmp_path, run.run).put(made.key_pem, run.certificate)
    renewed = gateway.api(
        "POST", f"/v1/runs/{run.run}/renew", json={"ttl": 600, "csr": made.csr_pem.decode()}
    ).json()
    assert renewed["certificate"]["expires"] > time.time() + 500
    until(lambda: "is not valid now" in _try(holder), "the end of the first certificate", 20)

    holder.put(made.key_pem, renewed["certificate"]["pem"])
    with holder.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def _try(holder: Holder) -> str:
    try:
        holder.connect().close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def test_a_child_of_bodycam_run_gets_in_by_certificate_alone(gateway: stage.Gateway, tmp_path: Path) -> None:
    script = (
        "cp $PGSSLCERT $PGSSLKEY . && unset PGPASSFILE && "
        "psql -w -X -A -t -c \"select 'by certificate'\" && echo $PGSSLKEY > key.path"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bodycam",
            "run",
            "--agent",
            "billing-bot",
            "--target",
            "shop",
            "--",
            "sh",
            "-c",
            script,
        ],
        cwd=tmp_path,
        env=stage.clean_environment()
        | {
            "BODYCAM_URL": f"https://127.0.0.1:{gateway.control}",
            "BODYCAM_KEY_FILE": str(gateway.folder / "keys" / "admin.key"),
            "BODYCAM_CA_FILE": str(gateway.listener_ca),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "by certificate\n"), done.stderr
    # the files went with the run, and what somebody copied of them is worth nothing after it
    assert not Path((tmp_path / "key.path").read_text().strip()).exists()
    run = done.stderr.split("bodycam: run ")[1].split(" ")[0]
    made = Holder(gateway, tmp_path, run)
    assert f"run {run} has ended" in made.refused()


def test_no_key_of_a_client_is_at_rest_at_the_gateway(holder: Holder, gateway: stage.Gateway) -> None:
    with holder.connect() as connection:
        connection.execute("select 1")
    gateway.end(stage.Credential(holder.run, "", {}))

    secret = (holder.folder / "client.key").read_text().splitlines()[1].encode()
    files = [path for path in gateway.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if secret in path.read_bytes()]


def test_the_certificate_ends_when_the_lease_does(gateway: stage.Gateway, tmp_path: Path) -> None:
    made = request("a client")
    answer = gateway.api(
        "POST", "/v1/runs", json={"agent": "billing-bot", "ttl": 3600, "csr": made.csr_pem.decode()}
    ).json()

    assert answer["certificate"]["expires"] == int(answer["run"]["expires"])
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    assert abs(answer["certificate"]["expires"] - in_an_hour.timestamp()) < 60
