"""The gateway's processes: restarted, drained, reloaded, and each holding only what is its own."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from bodycam.config import load, snapshot
from bodycam.registry import WANTS
from tests import stage
from tests.faults import metrics
from tests.interop.raw import bystanders, on_both_workers, sessions, sockets_of, tcp_sockets, until

SECRET = "only-for-the-control-process"


@pytest.fixture(scope="module")
def house(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway that these tests may hurt."""
    with stage.folder() as folder:
        targets = {
            "shop": stage.shop(server),
            "by-scram": stage.shop(server, user="scram_user", password={"env": "TARGET_PASSWORD"}),
        }
        made = stage.Gateway(folder / "g", targets, workers=2)
        made.init()
        made.start(TARGET_PASSWORD=stage.PASSWORD, OTHER_SECRET=SECRET)
        try:
            yield made
        finally:
            made.stop()


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def restarted(house: stage.Gateway, role: str, killed: int) -> None:
    """Wait until a child stands in for one that was killed, and the gateway is whole again."""
    count = len(house.children()[role])

    def back() -> bool:
        pids = house.children()[role]
        return killed not in pids and len(pids) >= max(1, count)

    until(back, f"another {role}")
    house.wait_ready()
    # ready is also a gateway whose worker is being started again; a login may meet any of them
    workers = len(house.children()["worker"])
    until(
        lambda: metrics.total(house, "bodycam_workers_connected") == workers,
        "all workers are at the control process",
    )


@pytest.mark.parametrize("role", ["worker", "archivist", "control"])
def test_a_child_that_dies_is_started_again(house: stage.Gateway, role: str) -> None:
    killed = house.children()[role][0]
    os.kill(killed, signal.SIGKILL)
    restarted(house, role, killed)

    run = house.run()
    with psycopg.connect(run.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    house.end(run)


def test_workers_go_on_without_the_keys_of_the_others(house: stage.Gateway) -> None:
    keys = house.folder / "keys"
    away = [(keys / name, house.folder / f"away-{name}") for name in ("archivist", "control")]
    run = house.run()
    for here, there in away:
        here.rename(there)
    try:
        for killed in house.children()["worker"]:
            os.kill(killed, signal.SIGKILL)
            restarted(house, "worker", killed)
        for connection in on_both_workers(house, run, each=1):
            assert connection.execute("select 1").fetchone() == (1,)
            connection.close()
    finally:
        for here, there in away:
            there.rename(here)
    house.end(run)


def test_only_workers_hold_the_clients_listener(house: stage.Gateway) -> None:
    listening = {inode: port for port, _, listens, inode in tcp_sockets() if listens}
    held = {
        role: [{listening[inode] for inode in sockets_of(pid) if inode in listening} for pid in pids]
        for role, pids in house.children().items()
    }

    assert held == {"worker": [{house.port}] * 2, "archivist": [set()], "control": [{house.control}]}


def test_only_the_control_process_has_the_targets_secrets(house: stage.Gateway) -> None:
    for role, pids in house.children().items():
        for pid in pids:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            assert (SECRET.encode() in environment) is (role == "control"), role
            assert (stage.PASSWORD.encode() in environment) is (role == "control"), role


def test_a_changed_settings_file_is_taken_over_by_sighup(
    house: stage.Gateway, server: stage.Postgres
) -> None:
    file = house.folder / "bodycam.yaml"
    before = file.read_text()
    run = house.run()
    settings = yaml.safe_load(before)
    settings["targets"]["late"] = stage.shop(server)
    try:
        file.write_text(yaml.safe_dump(settings))
        with pytest.raises(psycopg.OperationalError, match="no postgres target"):
            psycopg.connect(run.dsn("late"))
        house.signal(signal.SIGHUP)
        until(lambda: opens(run, "late"), "the new target", 30)
        digest = hashlib.sha256(snapshot(load(file, protocols=WANTS))).hexdigest()

        def entered() -> list[dict[str, Any]]:
            events = house.api("GET", "/v1/audit?action=settings").json()["events"]
            return [one for one in events if one["detail"]["settings"] == digest]

        (event,) = until(entered, "the reload in the audit")
        assert event["leaf"] is not None
        assert event["salt"]
    finally:
        file.write_text(before)
        house.signal(signal.SIGHUP)
        until(lambda: not opens(run, "late"), "the old settings")


def test_what_needs_a_restart_waits_for_it_and_the_rest_is_taken_over(
    house: stage.Gateway, server: stage.Postgres
) -> None:
    file = house.folder / "bodycam.yaml"
    before = file.read_text()
    run = house.run()
    settings = yaml.safe_load(before)
    settings["targets"]["later"] = stage.shop(server)
    settings["storage"] = {"data": str(house.folder / "elsewhere")}
    settings["keys"] = "other-keys"
    try:
        file.write_text(yaml.safe_dump(settings))
        logged = len(house.log.read_text())
        house.signal(signal.SIGHUP)
        until(lambda: opens(run, "later"), "the new target", 30)
        assert "wait for a restart" in house.log.read_text()[logged:]
        for role in ("worker", "archivist"):
            killed = house.children()[role][0]
            os.kill(killed, signal.SIGKILL)
            restarted(house, role, killed)
        assert opens(run, "later")
        assert not (house.folder / "elsewhere").exists()
    finally:
        file.write_text(before)
        house.signal(signal.SIGHUP)
        until(lambda: not opens(run, "later"), "the old settings")
    house.end(run)


def test_a_broken_settings_file_changes_nothing(house: stage.Gateway) -> None:
    file = house.folder / "bodycam.yaml"
    before = file.read_text()
    run = house.run()
    acts = house.api("GET", "/v1/audit?action=settings").json()["events"]
    try:
        file.write_text(before.replace("address:", "adress:"))
        logged = len(house.log.read_text())
        with bystanders(run.dsn(), 2):
            house.signal(signal.SIGHUP)
            said = until(lambda: house.log.read_text()[logged:], "a line in the log")
            until(lambda: "adress" in house.log.read_text()[logged:], "the mistake in the log")
            assert "goes on with the old ones" in said
            assert opens(run, "shop")
    finally:
        file.write_text(before)
    assert house.api("GET", "/v1/audit?action=settings").json()["events"] == acts


def test_a_second_gateway_over_the_same_data_is_told_why_not(house: stage.Gateway) -> None:
    settings = yaml.safe_load((house.folder / "bodycam.yaml").read_text())
    settings["listen"] = {name: f"127.0.0.1:{stage.free_port()}" for name in ("postgres", "control")}
    (house.folder / "second.yaml").write_text(yaml.safe_dump(settings))
    used = (house.data / "run" / "settings.json").read_bytes()

    second = subprocess.run(
        [sys.executable, "-m", "bodycam", "serve", "--settings", "second.yaml"],
        cwd=house.folder,
        env=stage.clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode not in (0, -signal.SIGTERM)
    assert f"a gateway runs over {house.data} already (process {house.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert (house.data / "run" / "settings.json").read_bytes() == used
    assert house.api("GET", "/readyz", key=False).status_code == 200


def test_sigterm_drains_and_seals_everything(house: stage.Gateway) -> None:
    run = house.run()
    with psycopg.connect(run.dsn(), autocommit=True) as idle, psycopg.connect(run.dsn()) as busy:
        idle.execute("select 'idle'")
        began = time.monotonic()
        house.signal(signal.SIGTERM)
        time.sleep(0.3)
        for mode in ("disable", "require"):
            with pytest.raises(psycopg.OperationalError, match="the gateway is stopping"):
                psycopg.connect(run.dsn(), connect_timeout=2, sslmode=mode)
        assert busy.execute("select 'goes on while it drains'").fetchone() is not None
        busy.commit()
        busy.close()
        with pytest.raises(psycopg.errors.AdminShutdown, match="the gateway is stopping"):
            while time.monotonic() - began < 10:
                idle.execute("select 1")
                time.sleep(0.1)
        assert 1.5 < time.monotonic() - began < 4
    pids = [pid for pids in house.children().values() for pid in pids]
    assert house.stop() == 0
    assert not [pid for pid in pids if alive(pid)]

    code, report = house.verify()
    assert (code, report["findings"], report["open"]) == (0, [], [])
    assert not list((house.data / "journal").rglob("*.seg"))
    house.start(TARGET_PASSWORD=stage.PASSWORD, OTHER_SECRET=SECRET)
    assert sorted(one["outcome"] for one in sessions(house, run.run)) == ["cut", "ended"]


def test_the_children_of_a_killed_supervisor_end_by_themselves(house: stage.Gateway) -> None:
    run = house.run()
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        connection.execute("select 'before'")
        pids = [pid for pids in house.children().values() for pid in pids]
        house.signal(signal.SIGKILL)
        until(lambda: not [pid for pid in pids if alive(pid)], "the end of all children", 20)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 'after'")
    house.stop()
    house.start(TARGET_PASSWORD=stage.PASSWORD, OTHER_SECRET=SECRET)
    house.end(run)

    code, report = house.verify()
    assert (code, report["findings"]) == (0, [])
    assert [one["text"] for one in house.exchanges(run.run)] == ["select 'before'"]


def opens(run: stage.Credential, target: str) -> bool:
    try:
        psycopg.connect(run.dsn(target)).close()
    except psycopg.OperationalError:
        return False
    return True
