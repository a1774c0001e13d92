"""A store of recordings with a quota: warnings before it bites, and what it does then."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml

from tests import stage
from tests.interop.raw import until

KIB = 1024


@pytest.fixture(scope="module")
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    storage, archive = {"quota": "512KiB"}, {"retention_interval": "1s"}
    with stage.gateway({"shop": stage.shop(server)}, workers=1, storage=storage, archive=archive) as one:
        yield one


def record(gateway: stage.Gateway, run: stage.Credential, size: int) -> None:
    """A session whose recording takes about that much: a result of bytes that nothing can compress."""
    blocks = size // 64
    with psycopg.connect(run.dsn()) as connection:
        got = connection.execute(
            f"select string_agg(sha512((random()::text || i)::bytea), '') from generate_series(1, {blocks}) i"
        ).fetchone()
        assert got is not None
        assert len(got[0]) == blocks * 64


def warnings(gateway: stage.Gateway) -> list[dict[str, Any]]:
    events = gateway.api("GET", "/v1/audit?limit=1000").json()["events"]
    return sorted((one for one in events if one["action"] == "quota-warning"), key=lambda one: one["id"])


def thresholds(gateway: stage.Gateway) -> list[int]:
    return [one["detail"]["threshold"] for one in warnings(gateway)]


def check(gateway: stage.Gateway) -> tuple[int, bool, str]:
    answer = gateway.api("GET", "/readyz", key=False)
    (quota,) = [one for one in answer.json()["checks"] if one["name"] == "quota"]
    return answer.status_code, quota["ok"], quota["detail"]


def metric(gateway: stage.Gateway, name: str) -> float:
    lines = gateway.api("GET", "/metrics", key=False).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def change(gateway: stage.Gateway, **sections: Any) -> None:
    file = gateway.folder / "bodycam.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | sections))
    gateway.signal(1)


def connects(run: stage.Credential) -> bool:
    """Whether a session is let in; what else keeps it out is an error."""
    try:
        psycopg.connect(run.dsn(), connect_timeout=10).close()
    except psycopg.OperationalError as error:
        if "take all the space that they may" not in str(error):
            raise
        return False
    return True


def test_it_warns_then_refuses_new_sessions_and_lets_them_in_again(gateway: stage.Gateway) -> None:
    run = gateway.run()
    until(lambda: check(gateway) == (200, True, ""), "the sum at the start")
    with psycopg.connect(run.dsn()) as stays:
        stays.execute("select 1")
        for size, expected in ((430 * KIB, [80]), (45 * KIB, [80, 90])):
            record(gateway, run, size)
            until(lambda wanted=expected: thresholds(gateway) == wanted, f"the warning {expected}")
            status, ok, detail = check(gateway)
            assert (status, ok) == (200, True)
            assert f"({metric(gateway, 'bodycam_recordings_bytes ') * 100 // (512 * KIB):.0f} %)" in detail
        record(gateway, run, 60 * KIB)
        until(lambda: thresholds(gateway) == [80, 90, 100], "the last warning")
        status, ok, detail = check(gateway)
        assert (status, ok) == (503, False)
        assert "new sessions are refused" in detail

        last = warnings(gateway)[-1]
        assert (last["actor"], last["object"]) == ("gateway", "storage")
        assert last["detail"]["used_bytes"] >= last["detail"]["quota_bytes"] == 512 * KIB
        assert isinstance(last["leaf"], int)
        assert gateway.log.read_text().count("% of storage.quota or more") == 3
        assert metric(gateway, "bodycam_storage_quota_bytes ") == 512 * KIB

        with pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(run.dsn())
        said = str(refused.value)
        assert "recordings take all the space that they may" in said
        assert "HINT:  Try again later. For the gateway's operator: raise storage.quota and reload" in said
        until(
            lambda: metric(gateway, 'bodycam_refusals_total{reason="store-full"') >= 1, "the counted refusal"
        )
        assert stays.execute("select 42").fetchone() == (42,)

        taken = sum(one.stat().st_size for one in (gateway.data / "recordings").rglob("*.bcr"))
        assert metric(gateway, "bodycam_recordings_bytes ") == taken

        change(gateway, storage={"quota": "4MiB"})
        until(lambda: connects(run), "a session after the quota was raised")
        assert check(gateway) == (200, True, "")
        assert stays.execute("select 43").fetchone() == (43,)
    # the refused left no recording of their own: the one that stayed, three, and the one that got in again
    outcomes = gateway.end(run)["sessions"]
    assert len(outcomes) == 5
    assert thresholds(gateway) == [80, 90, 100]


def test_what_retention_deletes_makes_room(gateway: stage.Gateway) -> None:
    run = gateway.run()
    record(gateway, run, 300 * KIB)
    before = thresholds(gateway)
    change(gateway, storage={"quota": "256KiB"})
    until(lambda: not connects(run), "the lower quota")
    change(gateway, storage={"quota": "256KiB"}, retention=[{"keep": "1s"}])
    until(lambda: connects(run), "a session after recordings were deleted", 30)
    until(lambda: thresholds(gateway) == [*before, 100], "one warning more")
    assert check(gateway)[1]
