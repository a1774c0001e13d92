"""Pressure rises before a commit fails, leaves room to end what is open, and falls when segments retire."""

import asyncio
import ctypes
import os
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

import pytest

from bodycam.journal import preallocation
from bodycam.journal import writer as writer_module
from bodycam.journal.failure import JournalUnwritable
from bodycam.journal.preallocation import file_system, pretence
from bodycam.journal.pressure import Gauge, Pressure, Space, look
from bodycam.journal.settings import JournalSettings
from bodycam.journal.writer import JournalWriter
from tests.unit.journal.conftest import SEGMENT, Follow, Make, abandon, bodies, drain, put


def settle(writer: JournalWriter) -> None:
    """Wait for the segment that is being made, if one is: what the writer then does is decided."""
    coming = writer._supply._coming
    if coming is not None:
        wait([coming], 30)


def fits(writer: JournalWriter) -> bool:
    """Whether 2000 bytes more could be committed."""
    settle(writer)
    try:
        return put(writer, bytes(2000)) > 0
    except JournalUnwritable:
        return False


def filled(writer: JournalWriter) -> int:
    """How many commits of 2000 bytes a segment takes, found by filling the one in use."""
    count, generation = 0, writer.stats()["generation"]
    while fits(writer) and writer.stats()["generation"] == generation:
        count += 1
    return count


def look_again(writer: JournalWriter) -> None:
    """What the writer's watch does in between."""
    writer._gauge.space = look(writer.folder)
    writer._supply.order()


def test_pressure_rises_step_by_step_and_full_leaves_a_segment_for_the_ends(
    make: Make, follow: Follow
) -> None:
    writer = make(max_bytes=8 * SEGMENT)
    seen: list[Pressure] = []
    sent = 1
    each = filled(writer)
    sent += each
    while (pressure := writer.pressure) is not Pressure.FULL:
        if not seen or seen[-1] is not pressure:
            seen.append(pressure)
        assert fits(writer)
        sent += 1
    assert seen == [Pressure.CLEAR, Pressure.THROTTLE, Pressure.REFUSE]
    reserve = 0
    while fits(writer):
        reserve += 1
    # the commit that began the last segment is what made it full
    assert reserve == each - 1
    assert sent + reserve == 8 * each
    with pytest.raises(JournalUnwritable, match=r"has reached its 524288 bytes; the archivist is away"):
        writer.commit()
    assert len(bodies(follow(writer.folder))) == sent + reserve
    assert sum(path.stat().st_size for path in writer.folder.glob("*.seg")) == 8 * SEGMENT


@pytest.mark.parametrize(
    ("segments", "pressure"),
    [
        (9, Pressure.CLEAR),
        (8, Pressure.CLEAR),
        (7, Pressure.THROTTLE),
        (5, Pressure.THROTTLE),
        (4, Pressure.REFUSE),
        (2, Pressure.REFUSE),
        (1, Pressure.FULL),
        (0, Pressure.FULL),
    ],
)
def test_the_steps_divide_what_is_above_the_reserve(segments: int, pressure: Pressure) -> None:
    settings = JournalSettings(segment_bytes=SEGMENT, max_bytes=15 * SEGMENT, disk_reserve=0)
    gauge = Gauge(settings, Space(allocated=0, disk_free=100 * SEGMENT))
    assert gauge.pressure(segments * SEGMENT) is pressure


@pytest.mark.parametrize(
    ("space", "further", "limited_by_disk"),
    [
        (Space(2 * SEGMENT, 100 * SEGMENT), 13, True),
        (Space(15 * SEGMENT, 100 * SEGMENT), 0, False),
        (Space(16 * SEGMENT, 100 * SEGMENT), 0, False),
        (Space(2 * SEGMENT, 3 * SEGMENT), 2, True),
        (Space(2 * SEGMENT, 2 * SEGMENT - 1), 0, True),
        (Space(2 * SEGMENT, 0), 0, True),
    ],
)
def test_what_may_be_made_is_bounded_by_the_settings_and_by_the_disk(
    space: Space, further: int, limited_by_disk: bool
) -> None:
    settings = JournalSettings(segment_bytes=SEGMENT, max_bytes=15 * SEGMENT, disk_reserve=SEGMENT)
    gauge = Gauge(settings, space)
    assert (gauge.further, gauge.limited_by_disk) == (further, limited_by_disk)
    gauge.making()
    assert gauge.further == max(0, further - 1)


def test_pressure_falls_when_the_archivist_retires(make: Make, follow: Follow) -> None:
    writer = make(max_bytes=6 * SEGMENT)
    while writer.pressure is not Pressure.FULL:
        assert fits(writer)
    follower = follow(writer.folder)
    assert drain(follower)
    follower.retire(follower.position.generation)
    assert writer.pressure is Pressure.FULL

    look_again(writer)

    assert writer.pressure is Pressure.CLEAR
    for _ in range(50):
        assert fits(writer)
    assert len(drain(follower)) == 50


async def test_the_watch_looks_and_orders_again_and_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "WATCH_INTERVAL", 0)
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()
    seen = [Space(6 * SEGMENT, 0), Space(6 * SEGMENT, 0), Space(SEGMENT, 100 * SEGMENT)]

    def look_next(folder: Path) -> Space:
        if len(seen) == 1:
            # the third look: what the second found was acted on
            loop.call_soon_threadsafe(looked.set)
        return seen.pop(0) if len(seen) > 1 else seen[0]

    writer = make(max_bytes=6 * SEGMENT)
    monkeypatch.setattr(writer_module, "look", look_next)
    await writer.start()
    async with asyncio.timeout(30):
        await looked.wait()
        # the look that was going on is taken up by the turns that follow it
        while writer.stats()["allocated_bytes"] != SEGMENT:
            await asyncio.sleep(0)
    assert writer.pressure is Pressure.CLEAR
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
    each = filled(writer)
    sent = each + 1
    while writer.pressure is not Pressure.FULL:
        assert fits(writer)
        sent += 1
    for _ in range(20):
        put(writer, b"the end of an exchange")
        sent += 1
    while fits(writer):
        sent += 1
    with pytest.raises(JournalUnwritable, match=r"is full \(\d+ bytes free, 0 kept in reserve\)"):
        writer.commit()
    assert len(drain(follow(writer.folder))) == sent
    assert len(list(writer.folder.glob("*.seg"))) * each in range(sent - 20, sent + 1)
    abandon(writer)


def test_a_disk_that_others_fill_ends_the_writer_cleanly(
    make: Make, follow: Follow, small_disk: Path
) -> None:
    writer = make(small_disk / "journal")
    settle(writer)
    with (small_disk / "other").open("wb", buffering=0) as other:
        while True:
            try:
                other.write(bytes(4096))
            except OSError:
                break
    each = filled(writer)
    sent = each + 1
    while fits(writer):
        sent += 1
    with pytest.raises(JournalUnwritable, match=r"can't be made: No space left on device"):
        writer.commit()
    assert sent == 2 * each  # what was preallocated was ours all the same
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
