"""A provider's token as a PostgreSQL password, straight at the listener: real clients, and a provider that hangs."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import yaml

from tests import stage
from tests.interop.key_sets import AGENTS, JOBS, Provider
from tests.interop.raw import Client, sessions, until, worker_of


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.stop()


MESH = {"when": {"sub": "spiffe://corp.example/ns/batch/*"}, "agent": "billing-bot", "groups": ["jobs"]}


@pytest.fixture(scope="module")
def gateway(server: stage.Postgres, provider: Provider) -> Iterator[stage.Gateway]:
    mesh = provider.setting("mesh", **JOBS | {"issuer": "spiffe://corp.example", "workloads": [MESH]})
    with stage.gateway(
        {"shop": stage.shop(server)}, workers=2, identity=provider.identity(mesh), agents=AGENTS
    ) as one:
        yield one


def login(gateway: stage.Gateway, token: str, user: str = "token", **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1", "port": gateway.port, "dbname": "shop", "user": user, "password": token,
        "sslmode": "verify-full", "sslrootcert": str(gateway.listener_ca), "gssencmode": "disable",
        "passfile": "/nonexistent", "autocommit": True, "connect_timeout": 20, **more,
    }  # fmt: skip


def refused(gateway: stage.Gateway, token: str, user: str = "token", **more: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(**login(gateway, token, user, **more)).close()
    return str(caught.value)


def run_of(connection: psycopg.Connection[Any]) -> str:
    (name,) = connection.execute("select current_setting('application_name')").fetchone() or ("",)
    return str(name).split("/")[1]


def test_psql_with_a_jobs_token_is_a_run_with_both_names(
    gateway: stage.Gateway, server: stage.Postgres, provider: Provider
) -> None:
    token = provider.token("ci", exp=time.time() + 900)
    environment = stage.clean_environment() | {
        "PGHOST": "127.0.0.1", "PGPORT": str(gateway.port), "PGUSER": "token", "PGDATABASE": "shop",
        "PGPASSWORD": token, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(gateway.listener_ca),
        "PGREQUIREAUTH": "password",
    }  # fmt: skip
    command = [server.bin / "psql", "-XAtc", "show application_name"]
    names = {
        subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=True
        ).stdout.split("/")[1]
        for _ in range(3)
    }
    # whoever comes three times with one token is one run
    (run,) = names
    shown = gateway.api("GET", f"/v1/runs/{run}").json()["run"]
    assert (shown["principal"], shown["agent"], shown["state"]) == ("job-7@ci", "billing-bot", "active")
    assert abs(shown["expires"] - (time.time() + 900)) < 60
    gateway.end(stage.Credential(run, "", {}))
    listed = sessions(gateway, run)
    assert [(one["principal"], one["agent"], one["outcome"]) for one in listed] == [
        ("job-7@ci", "billing-bot", "ended")
    ] * 3
    assert "job-7@ci" in gateway.bodycam("runs", "show", run).stdout
    # what is ended stays so, whoever still has the token
    assert "has ended, expired or been revoked" in refused(gateway, token)


def test_a_jwt_svid_without_an_issuer_is_a_run_of_its_spiffe_id(
    gateway: stage.Gateway, provider: Provider
) -> None:
    name = "spiffe://corp.example/ns/batch/sa/nightly"
    header = {"typ": "JOSE"}
    with psycopg.connect(**login(gateway, provider.token("mesh", iss=None, sub=name, header=header))) as one:
        shown = gateway.api("GET", f"/v1/runs/{run_of(one)}").json()["run"]
        assert (shown["principal"], shown["agent"]) == (f"{name}@mesh", "billing-bot")
    other = provider.token("mesh", iss=None, sub="spiffe://evil.example/ns/batch/sa/nightly", header=header)
    assert "the token is not valid" in refused(gateway, other)


def test_a_person_names_the_agent_in_the_user_name(gateway: stage.Gateway, provider: Provider) -> None:
    token = provider.token("people")
    with psycopg.connect(**login(gateway, token, "token/billing-bot")) as connection:
        run = run_of(connection)
        shown = gateway.api("GET", f"/v1/runs/{run}").json()["run"]
        assert (shown["principal"], shown["agent"]) == ("ann@people", "billing-bot")
        # the token lasts for hours, a run for no more than the settings allow at once
        assert shown["expires"] <= time.time() + 3600
        gateway.api("POST", f"/v1/runs/{run}/revoke", json={"reason": "enough"})
        with pytest.raises(psycopg.errors.AdminShutdown, match="enough"):
            connection.execute("select pg_sleep(20)")
    assert "has ended, expired or been revoked" in refused(gateway, token, "token/billing-bot")
    # the next token is the next run
    with psycopg.connect(**login(gateway, provider.token("people", jti="2"), "token/billing-bot")) as again:
        assert run_of(again) != run


def test_what_proves_nobody_is_refused_plainly_and_counted_with_its_reason(
    gateway: stage.Gateway, provider: Provider
) -> None:
    now = time.time()
    table: list[tuple[str, str, str, str]] = [
        (provider.token("people", exp=now - 1), "token/billing-bot", "the token has expired", "token-expired"),
        (provider.token("people", nbf=now + 900), "token/billing-bot", "not valid yet", "token-not-yet-valid"),
        (provider.token("people", aud="else"), "token/billing-bot", "the token is not valid", "token-audience"),
        (provider.token("people", iss="http://x"), "token/billing-bot", "the token is not valid", "token-issuer"),
        (provider.token("people")[:-8] + "AAAAAAAA", "token/billing-bot", "is not valid", "token-signature"),
        (provider.token("ci", repository="evil/x"), "token", "no workload with these claims", "token-no-workload"),
        ("eyJhbGciOiJub25lIn0.e30.", "token", "the token is not valid", "token-algorithm"),
        (provider.token("people"), "token", "ann@people must say which agent", "token-no-agent"),
        (provider.token("people"), "token/idle-bot", "may not start agent 'idle-bot'", "may-not-start"),
        (provider.token("people"), "token/no-bot", "may not start agent 'no-bot'", "may-not-start"),
        (provider.token("ci"), "token/idle-bot", "may not start agent 'idle-bot'", "may-not-start"),
        (provider.token("dead"), "token", "identity provider can't be reached", "provider-away"),
        ("bcr_run_x_y", "token/billing-bot", "not valid", "bad-credential"),
    ]  # fmt: skip
    for token, user, message, _ in table:
        said = refused(gateway, token, user)
        assert message in said, said
        assert "HINT" in said
        assert token.rpartition(".")[2] not in said or not token.rpartition(".")[2]
    wanted = {reason for *_, reason in table}
    until(
        lambda: wanted <= {one["detail"]["reason"] for one in failed(gateway)}, "the reasons in the audit", 25
    )


def failed(gateway: stage.Gateway) -> list[dict[str, Any]]:
    events = gateway.api("GET", "/v1/audit?limit=1000").json()["events"]
    return [one for one in events if one["action"] == "login-failed"]


def test_a_token_is_never_asked_for_in_the_clear(gateway: stage.Gateway, provider: Provider) -> None:
    token = provider.token("people", jti="clear")
    with Client(gateway) as client:
        client.startup(user="token/billing-bot", database="shop")
        said = client.error()
    assert (said["code"], "over TLS only" in said["message"]) == ("28000", True)
    assert "over TLS only" in refused(gateway, token, "token/billing-bot", sslmode="disable")
    # the bare name is that of run credentials too, which this machine may carry; a token is not taken so
    assert "over TLS only" in refused(gateway, provider.token("ci"), "token", sslmode="disable")
    # a name that is not a token's is never asked for its password in clear
    with Client(gateway) as client:
        client.begin_tls(gateway)
        client.startup(user="ann", database="shop")
        assert client.message()[5:9] == b"\0\0\0\x0a"


def test_many_at_once_with_one_token_are_one_run_on_both_workers_and_ask_for_the_keys_once(
    server: stage.Postgres, provider: Provider, gateway: stage.Gateway
) -> None:
    token = provider.token("ci", jti="crowd")
    forget_keys(gateway)
    before = provider.asked.count("/ci/keys")

    def come(_: int) -> psycopg.Connection[Any]:
        return psycopg.connect(**login(gateway, token))

    with ThreadPoolExecutor(16) as pool:
        connections = list(pool.map(come, range(32)))
    (run,) = {run_of(one) for one in connections}
    served = {worker_of(gateway, one) for one in connections}
    assert provider.asked.count("/ci/keys") == before + 1
    assert served == set(gateway.children()["worker"])
    for one in connections:
        one.close()
    gateway.end(stage.Credential(run, "", {}))
    assert len(sessions(gateway, run)) == 32


def forget_keys(gateway: stage.Gateway) -> None:
    """Reload with a provider that differs a little, so that its keys are asked for anew."""

    def differ(plain: Any) -> None:
        ci = plain["identity"]["providers"][1]
        ci["group_prefix"] = ci.get("group_prefix", "") + "x"

    change(gateway, differ)


def change(gateway: stage.Gateway, how: Callable[[Any], object]) -> None:
    """Change the settings, and wait until they are in use."""
    file = gateway.folder / "bodycam.yaml"
    plain = yaml.safe_load(file.read_text())
    how(plain)
    file.write_text(yaml.safe_dump(plain))
    reloads = len(settings_events(gateway))
    gateway.signal(1)
    until(lambda: len(settings_events(gateway)) > reloads, "the reload")


def settings_events(gateway: stage.Gateway) -> list[dict[str, Any]]:
    events = gateway.api("GET", "/v1/audit?limit=1000").json()["events"]
    return [one for one in events if one["action"] == "settings"]


def test_while_its_provider_is_away_new_logins_are_refused_at_once_and_sessions_go_on(
    gateway: stage.Gateway, provider: Provider
) -> None:
    with psycopg.connect(**login(gateway, provider.token("ci", jti="stays"))) as connection:
        provider.away.set()
        try:
            forget_keys(gateway)
            token = provider.token("ci", jti="away")
            with ThreadPoolExecutor(8) as pool:
                for said in pool.map(lambda _: refused(gateway, token), range(8)):
                    assert "identity provider can't be reached" in said, said
            assert connection.execute("select 1").fetchone() == (1,)
            # the keys of another that are known are good for a while
            person = login(gateway, provider.token("people", jti="comes"), "token/billing-bot")
            with psycopg.connect(**person) as other:
                assert other.execute("select 2").fetchone() == (2,)
        finally:
            provider.away.clear()
        until(lambda: connects(gateway, token), "a login once the provider is back")
        assert connection.execute("select 3").fetchone() == (3,)


def test_the_break_glass_account_needs_no_provider_and_says_why_and_is_loudly_on_the_record(
    gateway: stage.Gateway, server: stage.Postgres
) -> None:
    gateway.api("POST", "/v1/service-accounts", json={"name": "emergency", "groups": ["admins"]})
    key = gateway.api("POST", "/v1/service-accounts/emergency/keys").json()["key"]
    access = stage.clean_environment() | {
        "BODYCAM_URL": f"https://127.0.0.1:{gateway.control}", "BODYCAM_API_KEY": key,
        "BODYCAM_CA_FILE": str(gateway.listener_ca),
    }  # fmt: skip

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bodycam", "run", "--agent", "billing-bot", "--"]
        return subprocess.run(
            [*command, str(server.bin / "psql"), "-Xc", "select 4713"],
            env=access | more, cwd=gateway.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    kept = {"enabled": False, "account": "emergency", "max_ttl": "5m"}
    change(gateway, lambda plain: plain["identity"].update(break_glass=kept))
    off = run(BODYCAM_REASON="INC-1")
    assert (off.returncode, "for emergencies, and is not enabled" in off.stderr) == (125, True), off.stderr
    change(gateway, lambda plain: plain["identity"]["break_glass"].update(enabled=True))
    mute = run()
    assert (mute.returncode, "BODYCAM_REASON" in mute.stderr) == (125, True), mute.stderr
    done = run(BODYCAM_REASON="INC-1: the provider is down")
    assert (done.returncode, "4713" in done.stdout) == (0, True), done.stderr
    events = gateway.api("GET", "/v1/audit?limit=1000").json()["events"]
    uses = [one for one in events if one["action"] == "break-glass"]
    assert {one["actor"] for one in uses} == {"emergency@bodycam"}
    assert {one["detail"]["reason"] for one in uses} == {"INC-1: the provider is down"}
    assert all(one["leaf"] is not None for one in uses)
    assert "the break-glass account is used" in gateway.log.read_text()
    accounts = gateway.api("GET", "/v1/service-accounts").json()["accounts"]
    (old,) = next(one["keys"] for one in accounts if one["name"] == "emergency")
    changed = gateway.bodycam("accounts", "key", "emergency", "--replace", old["id"], "--overlap", "0m")
    assert changed.returncode == 0, changed.stderr
    over = run(BODYCAM_REASON="INC-1: again")
    assert (over.returncode, "the API key is not valid" in over.stderr) == (125, True)
    done = run(BODYCAM_REASON="INC-1: again", BODYCAM_API_KEY=changed.stdout.strip())
    assert (done.returncode, "4713" in done.stdout) == (0, True), done.stderr
    listed = gateway.bodycam("runs", "list", "--principal", "emergency@bodycam").stdout
    assert "break-glass=INC-1: the provider is down" in " ".join(listed.split()), listed


def connects(gateway: stage.Gateway, token: str) -> bool:
    try:
        psycopg.connect(**login(gateway, token)).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_token_is_nowhere_at_rest(gateway: stage.Gateway, provider: Provider) -> None:
    token = provider.token("ci", jti="at-rest")
    with psycopg.connect(**login(gateway, token)) as connection:
        run = run_of(connection)
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(**login(gateway, token[:-4] + "AAAA"))
    gateway.end(stage.Credential(run, "", {}))
    _, payload, signature = token.encode().split(b".")
    looked = 0
    for file in gateway.folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            looked += 1
            content = file.read_bytes()
            assert payload not in content, file
            assert signature[:40] not in content, file
    assert looked > 10
