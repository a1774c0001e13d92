"""A gateway that is stopped, and a session that is killed, while SSH is at work: what clients see and the record says."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import openssh
from tests.interop.raw import sessions, until
from tests.interop.ssh_road import Did, Road, Traveller, recorded, road, target

BOUND = 4.0
UPLOAD = 80_000_000
SLOW = "40000"  # kbit a second: sixteen seconds for all of it
STOPS = "the gateway is stopping"


@pytest.fixture
def way(sshd: openssh.OpenSsh) -> Iterator[Road]:
    with road({"web1": target(sshd)}, limits={"drain_timeout": f"{BOUND:g}s"}) as one:
        yield one


def uploading(traveller: Traveller, folder: Path) -> tuple[subprocess.Popen[bytes], bytes, Path]:
    """An upload by SFTP that is under way: the client, what it sends, and where to."""
    sent = random.Random(11).randbytes(UPLOAD)
    (folder / "from").write_bytes(sent)
    command = traveller.command("sftp", "-l", SLOW, "-b", "-", "web1")
    pipe = subprocess.PIPE
    client = subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe)
    assert client.stdin is not None
    client.stdin.write(f"put {folder}/from {folder}/to\n".encode())
    client.stdin.close()
    client.stdin = None
    arrived = folder / "to"
    until(lambda: arrived.exists() and arrived.stat().st_size > 1_000_000, "its beginning at the target")
    return client, sent, arrived


def of_the_upload(did: list[Did], sent: bytes, arrived: Path) -> None:
    """It is cancelled, with the gateway's reason; the record's beginning of it is the file's."""
    (write,) = [one for one in did if one.verb == "write"]
    assert (write.text, write.outcome, write.error["code"]) == (str(arrived), "cancelled", "cut")
    there = arrived.read_bytes()
    assert 0 < len(there) < len(sent)
    assert write.input == sent[: len(write.input)]
    assert len(write.input) >= min(len(there), 1024 * 1024)
    # of what went beyond, at least its size and hash as far as they went
    ((path, direction, size, _),) = write.files()
    assert (path, direction) == (str(arrived), "upload")
    assert len(there) <= size < len(sent)


def test_a_gateway_that_stops_waits_for_what_runs_to_its_bound_then_ends_it_all(
    way: Road, tmp_path: Path
) -> None:
    gateway, traveller = way.gateway, way.traveller()
    upload, sent, arrived = uploading(traveller, tmp_path)
    long, short = (
        traveller.start("web1", "echo in; exec sleep 100"),
        traveller.start("web1", "echo in; sleep 1; exit 3"),
    )
    for client in (long, short):
        assert client.stdout is not None
        assert client.stdout.readline() == b"in\n"
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)

    # what ends in time ends as ever; who comes now is told
    short.communicate(timeout=60)
    assert short.returncode == 3
    until(
        lambda: STOPS.encode() in traveller.ssh("web1", "true", LogLevel="INFO").stderr, "the refusal", BOUND
    )
    assert long.poll() is None

    _, said = long.communicate(timeout=60)
    assert time.monotonic() - began >= BOUND * 0.9
    assert (long.returncode, STOPS.encode() in said) == (255, True), said
    _, said = upload.communicate(timeout=60)
    # sftp may learn it by the ssh that it started being gone
    assert upload.returncode in (255, -signal.SIGPIPE)
    assert STOPS.encode() in said
    assert gateway.stop() == 0

    gateway.start()
    listed = until(lambda: closed(way, traveller.run, 3), "the sessions on the record")
    assert sorted((one["outcome"], one["reason"]) for one in listed) == [
        ("cut", STOPS), ("cut", STOPS), ("ended", ""),
    ]  # fmt: skip
    did = all_of(way, traveller.run)
    assert {one.text: (one.outcome, one.tag) for one in did if one.verb == "exec"} == {
        "echo in; exec sleep 100": ("unknown", None),
        "echo in; sleep 1; exit 3": ("error", "exit 3"),
    }
    of_the_upload(did, sent, arrived)
    code, report = gateway.verify()
    assert code == 0, report


def test_a_session_that_is_killed_in_an_upload_is_told_and_recorded(way: Road, tmp_path: Path) -> None:
    traveller = way.traveller()
    upload, sent, arrived = uploading(traveller, tmp_path)
    (listed,) = until(lambda: sessions(way.gateway, traveller.run), "the session in the list")
    done = way.gateway.bodycam("kill", listed["id"], "--reason", "enough of it")
    assert done.returncode == 0, done.stderr
    _, said = upload.communicate(timeout=60)
    assert upload.returncode in (255, -signal.SIGPIPE)
    assert b"enough of it" in said
    # the run itself is as good as before
    assert traveller.ssh("web1", "echo in").stdout == b"in\n"
    traveller.end()
    of_the_upload(all_of(way, traveller.run), sent, arrived)
    told = [(one["outcome"], "enough of it" in one["reason"]) for one in sessions(way.gateway, traveller.run)]
    assert sorted(told) == [("cut", True), ("ended", False)]


def closed(way: Road, run: str, count: int) -> list[dict[str, Any]]:
    """The run's sessions once all are sealed."""
    listed = sessions(way.gateway, run)
    return listed if len(listed) == count and all(one["state"] == "sealed" for one in listed) else []


def all_of(way: Road, run: str) -> list[Did]:
    return [did for one in recorded(way.gateway, run) for did in one.did.values()]
