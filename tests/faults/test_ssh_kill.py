"""kill -9 of a worker while it carries SSH: what a client saw is in a recording that verifies, and it goes on after."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh, stage
from tests.faults import metrics
from tests.interop.raw import until
from tests.interop.ssh_road import Recorded, Road, Traveller, recorded, road, target

UPLOAD = 60_000_000
HELD_MOST = 8 * 1024


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh) -> Iterator[Road]:
    fsync = os.environ.get("BODYCAM_FAULT_FSYNC", "interval")
    with road({"web1": target(sshd)}, journal={"fsync": fsync}) as one:
        yield one


@pytest.fixture
def traveller(way: Road) -> Traveller:
    return way.traveller()


def kill_the_worker(gateway: stage.Gateway) -> None:
    (pid,) = gateway.children()["worker"]
    os.kill(pid, signal.SIGKILL)

    def another() -> bool:
        now = gateway.children()["worker"]
        return len(now) == 1 and now != [pid] and gateway.api("GET", "/readyz", key=False).status_code == 200

    until(another, "a worker in its place")


def until_served(traveller: Traveller) -> None:
    def served() -> bool:
        return traveller.ssh("web1", "echo again").stdout == b"again\n"

    until(served, "logins after the kill", 45)


def interrupted(traveller: Traveller) -> Recorded:
    """The session that the dead worker had, of a run that is at its end, in a store that verifies."""
    gateway = traveller.road.gateway
    gateway.end(stage.Credential(traveller.run, traveller.secret, {}), wait=30)
    code, report = gateway.verify()
    assert code == 0, report
    assert metrics.total(gateway, "bodycam_journal_gaps_total") == 0
    assert metrics.total(gateway, "bodycam_journal_damages_total") == 0
    found = [one for one in recorded(gateway, traveller.run) if one.outcome == "interrupted"]
    assert len(found) == 1
    assert [note["note"] for note in found[0].notes] == ["interrupted"]
    return found[0]


def test_in_the_middle_of_commands(traveller: Traveller) -> None:
    path = str(traveller.folder / "mux")
    master = traveller.start("web1", "-N", ControlMaster="yes", ControlPath=path)
    until(Path(path).exists, "the master's socket")
    counting = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo %s line $i; done; sleep 100"
    clients = [traveller.start("web1", counting % name, ControlPath=path) for name in ("a", "b", "c")]
    heads = []
    for client in clients:
        assert client.stdout is not None
        heads.append(client.stdout.readline())
    time.sleep(random.uniform(0.0, 0.3))
    kill_the_worker(traveller.road.gateway)
    seen = [head + client.communicate(timeout=30)[0] for head, client in zip(heads, clients, strict=True)]
    assert [client.returncode for client in clients] == [255] * 3
    master.communicate(timeout=30)
    until_served(traveller)

    session = interrupted(traveller)
    by_name = {did.text.partition("echo ")[2][0]: did for did in session.did.values()}
    for name, saw in zip("abc", seen, strict=True):
        did = by_name[name]
        assert did.output.startswith(saw), (name, len(saw), len(did.output))
        assert did.outcome in ("", "unknown")


@pytest.mark.parametrize("mode", ["-s", "-O"])
def test_in_the_middle_of_an_upload(traveller: Traveller, tmp_path: Path, mode: str) -> None:
    sent = random.Random(5).randbytes(UPLOAD)
    (tmp_path / "from").write_bytes(sent)
    arrived = tmp_path / "to"
    command = traveller.command("scp", "-q", mode, f"{tmp_path}/from", f"web1:{arrived}")
    client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until(lambda: arrived.exists() and arrived.stat().st_size > 1_000_000, "its beginning at the target")
    kill_the_worker(traveller.road.gateway)
    client.communicate(timeout=30)
    assert client.returncode != 0
    until_served(traveller)

    session = interrupted(traveller)
    # by the old way only the target knows which of two paths it was told: both are judged, one is taken
    *_, write = [did for did in session.did.values() if did.verb == "write"]
    assert write.text == str(arrived)
    assert write.outcome in ("", "unknown")
    there = arrived.read_bytes()
    assert 0 < len(there) < UPLOAD
    # of contents the record keeps the first part, less what could be the beginning of a secret when it ended
    kept = min(len(write.input), len(there))
    assert kept >= min(len(there), 1024 * 1024) - HELD_MOST
    assert write.input[:kept] == there[:kept] == sent[:kept]
