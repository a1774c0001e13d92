"""Pressure rises before a commit fails, leaves room to end what is open, and falls when segments retire."""

import asyncio
import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodycam.journal import preallocation
from bodycam.journal import writer as writer_module
from bodycam.journal.failure import JournalUnwritable
from bodycam.journal.preallocation import file_system, pretence
from bodycam.journal.pressure import Pressure
from bodycam.journal.writer import JournalWriter
from tests.unit.journal.conftest import SEGMENT, Follow, Make, abandon, bodies, drain, put


def fits(writer: JournalWriter) -> bool:
    """Whether 2000 bytes more could be committed."""
    try:
        return put(writer, bytes(2000)) > 0
    except JournalUnwritable:
        return False


def test_pressure_rises_step_by_step_and_full_leaves_a_segment_for_the_ends(
    make: Make, follow: Follow
) -> None:
    writer = make(max_bytes=8 * SEGMENT)
    seen: list[Pressure] = []
    sent = 0
    while (pressure := writer.pressure) is not Pressure.FULL:
        if not seen or seen[-1] is not pressure:
            seen.append(pressure)
        put(writer, bytes(2000))
        sent += 1
    assert seen == [Pressure.CLEAR, Pressure.THROTTLE, Pressure.REFUSE]
    reserve = 0
    while fits(writer):
        reserve += 1
    assert reserve * 2000 > SEGMENT * 0.9
    with pytest.raises(JournalUnwritable, match=r"has reached its 524288 bytes; the archivist is away"):
        writer.commit()
    assert len(bodies(follow(writer.folder))) == sent + reserve
    assert sum(path.stat().st_size for path in writer.folder.glob("*.seg")) <= 8 * SEGMENT


async def test_pressure_falls_when_the_archivist_retires(
    make: Make, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "WATCH_INTERVAL", 0.01)
    writer = make(max_bytes=6 * SEGMENT)
    await writer.start()
    while writer.pressure is not Pressure.FULL:
        put(writer, bytes(2000))
    follower = follow(writer.folder)
    assert drain(follower)
    follower.retire(follower.position.generation)
    async with asyncio.timeout(10):
        while writer.pressure is not Pressure.CLEAR:
            await asyncio.sleep(0.01)
    put(writer, *[bytes(2000)] * 50)
    assert len(drain(follower)) == 50
    await writer.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "small"
    folder.mkdir()
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=1m") != 0:
        pytest.skip(f"a small tmpfs can't be mounted here: {os.strerror(ctypes.get_errno())}")
    yield folder
    assert libc.umount2(os.fsencode(folder), 2) == 0


def test_a_full_disk_is_met_before_data_is_lost(make: Make, follow: Follow, small_disk: Path) -> None:
    writer = make(small_disk / "journal")
    sent = 0
    while writer.pressure is not Pressure.FULL:
        put(writer, bytes(2000))
        sent += 1
    for _ in range(20):
        put(writer, b"the end of an exchange")
        sent += 1
    with pytest.raises(JournalUnwritable, match=r"is full|No space left"):
        put(writer, *[bytes(2000)] * 1000)
    follower = follow(writer.folder)
    assert len(drain(follower)) >= sent
    abandon(writer)


def test_a_disk_that_others_fill_ends_the_writer_cleanly(
    make: Make, follow: Follow, small_disk: Path
) -> None:
    writer = make(small_disk / "journal")
    deadline = time.monotonic() + 10
    while not writer._supply.spare and time.monotonic() < deadline:
        time.sleep(0.01)
    with (small_disk / "other").open("wb", buffering=0) as other:
        while True:
            try:
                other.write(bytes(4096))
            except OSError:
                break
    sent = 0
    while fits(writer):
        sent += 1
    with pytest.raises(JournalUnwritable, match=r"is full|No space left"):
        writer.commit()
    assert sent * 2000 > SEGMENT // 2  # what was preallocated was ours all the same
    assert writer.pressure is Pressure.FULL
    assert len(drain(follow(writer.folder))) == sent
    abandon(writer)


def test_a_disk_without_room_is_refused_at_the_start(make: Make, small_disk: Path) -> None:
    with pytest.raises(JournalUnwritable, match="no room for two journal segments"):
        make(small_disk / "journal", disk_reserve=1024 * 1024)
    assert list((small_disk / "journal").iterdir()) == []


@pytest.mark.parametrize("kind", ["btrfs", "zfs", "nfs4", "fuse.sshfs", "cifs"])
def test_file_systems_without_real_preallocation_are_refused_by_name(
    make: Make, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(preallocation, "file_system", lambda path: kind)
    with pytest.raises(JournalUnwritable, match=f"the file system {kind} has no real preallocation"):
        make()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "overlay", "tmpfs", "fuse.fuse-overlayfs"])
def test_other_file_systems_are_asked(kind: str) -> None:
    assert pretence(kind) is None


def test_the_file_system_is_found_by_the_longest_mount_point(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "23 22 0:30 / /srv rw - xfs /dev/sdb rw\n"
        "24 23 0:31 / /srv/a\\040b rw - btrfs /dev/sdc rw\n"
        "25 23 0:31 / /srv/over rw - ext4 /dev/sdc rw\n"
        "26 23 0:31 / /srv/over rw - nfs4 host:/x rw\n"
        "nonsense\n"
    )
    assert file_system(Path("/home/x"), mounts) == "ext4"
    assert file_system(Path("/srv/x"), mounts) == "xfs"
    assert file_system(Path("/srv/a b/x"), mounts) == "btrfs"
    assert file_system(Path("/srv/over/x"), mounts) == "nfs4"
    assert file_system(Path("/srvx"), mounts) == "ext4"
    assert file_system(Path("/x"), tmp_path / "absent") == "unknown"
