"""What is committed can be read back, by the archivist's key alone, over any number of segments."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal import writer as writer_module
from bodycam.journal.entry import MAX_BODY, Entry, Position
from bodycam.journal.failure import JournalUnwritable
from bodycam.journal.folder import is_live, segments_of
from bodycam.journal.follower import FollowState
from bodycam.journal.segment import Segment
from bodycam.journal.settings import Fsync, JournalSettings
from bodycam.journal.writer import JournalWriter
from tests.unit.journal.conftest import SEGMENT, Follow, Make, abandon, bodies, drain, put


def test_an_entry_comes_back_as_it_was_appended(make: Make, follow: Follow, tmp_path: Path) -> None:
    writer = make()
    position = writer.append(7, 3, 2, b"body")
    assert position == writer.pending == 1
    assert writer.released == 0
    follower = follow(writer.folder)
    assert follower.poll() == []
    writer.commit()
    assert writer.released == 1
    assert writer.pending == 2
    [(place, [entry])] = follower.poll()
    assert place == Position(1, 1) == follower.position
    assert entry._replace(at=0) == Entry(7, 3, 2, 0, b"body")
    assert entry.at > 0
    assert follower.poll() == []
    assert follower.state is FollowState.LIVE


def test_a_commit_of_nothing_writes_nothing(make: Make, follow: Follow) -> None:
    writer = make()
    writer.commit()
    assert writer.released == 0
    assert writer.stats()["records"] == 0


def test_a_batch_is_one_record(make: Make, follow: Follow) -> None:
    writer = make()
    put(writer, b"one", b"two", b"")
    put(writer, b"three")
    batches = follow(writer.folder).poll()
    assert [[entry.body for entry in batch] for _, batch in batches] == [[b"one", b"two", b""], [b"three"]]
    assert [place for place, _ in batches] == [Position(1, 1), Position(1, 2)]


def test_nothing_readable_is_on_the_disk(make: Make) -> None:
    writer = make()
    put(writer, b"SELECT the secret words")
    assert b"secret" not in b"".join(path.read_bytes() for _, path in segments_of(writer.folder))
    for path in [writer.folder, *writer.folder.iterdir()]:
        assert path.stat().st_mode & 0o077 == 0


def test_batches_roll_over_into_further_segments(make: Make, follow: Follow) -> None:
    writer = make()
    sent = [os.urandom(3000) for _ in range(200)]
    for body in sent:
        put(writer, body)
    assert writer.stats()["generation"] > 8
    follower = follow(writer.folder)
    assert bodies(follower) == sent
    assert follower.position.sequence == 200 + writer.stats()["generation"] - 1


def test_a_batch_larger_than_a_segment_goes_over_several(make: Make, follow: Follow) -> None:
    writer = make()
    sent = [os.urandom(10_000) for _ in range(40)]
    assert put(writer, *sent) == writer.released == 1
    assert bodies(follow(writer.folder)) == sent


def test_a_body_larger_than_a_segment_comes_back_whole(make: Make, follow: Follow) -> None:
    writer = make()
    large = os.urandom(5 * SEGMENT)
    put(writer, b"before", large, b"after")
    put(writer, b"next")
    follower = follow(writer.folder)
    assert bodies(follower) == [b"before", large, b"after", b"next"]


def test_a_large_body_is_kept_by_the_generation_in_which_it_begins(make: Make, follow: Follow) -> None:
    writer = make()
    put(writer, os.urandom(5 * SEGMENT))
    follower = follow(writer.folder)
    [(place, [_])] = follower.poll()
    assert place.generation == 1
    assert place.sequence > 5
    again = follow(writer.folder, place)
    assert drain(again) == []
    put(writer, b"more")
    assert bodies(again) == [b"more"]


def test_a_body_over_the_limit_is_the_callers_error(make: Make) -> None:
    writer = make()
    with pytest.raises(ValueError, match="over the journal's"):
        writer.append(1, 1, 4, bytes(MAX_BODY + 1))
    put(writer, b"unharmed")


async def test_close_marks_trims_and_unlocks(make: Make, follow: Follow) -> None:
    writer = make()
    await writer.start()
    assert is_live(writer.folder)
    writer.append(1, 1, 4, b"appended last")
    await writer.close()
    await writer.close()
    assert not is_live(writer.folder)
    [(_, path)] = segments_of(writer.folder)
    assert path.stat().st_size < 1024
    follower = follow(writer.folder)
    assert bodies(follower) == [b"appended last"]
    assert follower.state is FollowState.ENDED
    assert follower.torn is None
    writer.append(1, 1, 4, b"too late")
    with pytest.raises(JournalUnwritable, match="is closed"):
        writer.commit()


def test_an_incarnation_has_one_life(make: Make, private: X25519PrivateKey) -> None:
    writer = make()
    with pytest.raises(JournalUnwritable, match="has one life"):
        JournalWriter.create(
            writer.folder,
            incarnation=writer.incarnation,
            recipient=private.public_key(),
            settings=JournalSettings(segment_bytes=SEGMENT, max_bytes=8 * SEGMENT),
        )


def test_a_folder_that_cant_be_made_is_named(tmp_path: Path, make: Make) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalUnwritable, match="can't be made"):
        make(tmp_path / "file")


def test_a_spare_segment_that_the_loop_had_no_time_for_is_made_at_once(make: Make, follow: Follow) -> None:
    writer = make()
    coming = writer._supply._coming
    assert coming is not None
    coming.result().discard()
    writer._supply._coming = None
    sent = [os.urandom(8000) for _ in range(30)]
    for body in sent:
        put(writer, body)
    assert bodies(follow(writer.folder)) == sent


def test_a_segment_that_never_comes_fails_the_writer_in_bounded_time(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make()
    assert writer._supply._coming is not None
    writer._supply._coming.result()
    gate = threading.Event()
    monkeypatch.setattr("bodycam.journal.supply.PREPARE_TIMEOUT", 0.05)
    real = writer._supply._prepare
    monkeypatch.setattr(writer._supply, "_prepare", lambda: (gate.wait(10), real())[1])
    try:
        # the spare segment takes the first half, the one after it never comes
        with pytest.raises(JournalUnwritable, match="was not made within"):
            put(writer, *[bytes(8000) for _ in range(40)])
        with pytest.raises(JournalUnwritable, match="was not made within"):
            writer.commit()
    finally:
        gate.set()


async def test_interval_syncs_what_was_written_and_counts_it(make: Make) -> None:
    writer = make(fsync_interval=0.01)
    await writer.start()
    put(writer, b"x")
    assert writer.released == 1
    async with asyncio.timeout(30):
        while not writer.stats()["fsyncs"]:
            await asyncio.sleep(0.01)
    stats = writer.stats()
    assert stats["unsynced_positions"] == 0
    assert 0 < stats["fsync_seconds_max"] <= stats["fsync_seconds_sum"]
    await asyncio.sleep(0.05)
    assert writer.stats()["fsyncs"] == 1  # nothing new, nothing synced
    await writer.close()


async def test_strict_releases_only_what_the_disk_has(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[threading.Event] = []
    arrived = threading.Semaphore(0)
    real = Segment.sync

    def slow(segment: Segment) -> None:
        gate = threading.Event()
        syncs.append(gate)
        arrived.release()
        assert gate.wait(10)
        real(segment)

    monkeypatch.setattr(Segment, "sync", slow)
    writer = make(fsync=Fsync.STRICT)
    released = asyncio.Event()
    seen: list[int] = []

    def on_release() -> None:
        seen.append(writer.released)
        released.set()

    writer.on_release = on_release
    await writer.start()
    put(writer, b"first")
    assert writer.released == 0
    assert await asyncio.to_thread(arrived.acquire, True, 10)
    # these two arrive while the first sync runs: it does not cover them, the next one covers both
    put(writer, b"second")
    put(writer, b"third")
    syncs[0].set()
    async with asyncio.timeout(30):
        await released.wait()
    assert seen == [1]
    assert await asyncio.to_thread(arrived.acquire, True, 10)
    assert writer.released == 1
    released.clear()
    syncs[1].set()
    async with asyncio.timeout(30):
        await released.wait()
    assert seen == [1, 3]
    assert len(syncs) == 2
    monkeypatch.setattr(Segment, "sync", real)
    await writer.close()


async def test_strict_syncs_every_segment_that_a_batch_went_over(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = Segment.sync
    monkeypatch.setattr(Segment, "sync", lambda s: (synced.append(s.generation), real(s))[1])
    writer = make(fsync=Fsync.STRICT)
    await writer.start()
    put(writer, os.urandom(3 * SEGMENT))
    async with asyncio.timeout(30):
        while writer.released < 1:
            await asyncio.sleep(0.01)
    assert synced == list(range(1, int(writer.stats()["generation"]) + 1))
    assert len(synced) > 3
    await writer.close()


async def test_segments_that_wait_for_a_slow_disk_are_not_mapped(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, real = threading.Event(), Segment.sync

    def slow(segment: Segment) -> None:
        assert gate.wait(30)
        real(segment)

    monkeypatch.setattr(Segment, "sync", slow)
    writer = make(fsync=Fsync.STRICT)
    await writer.start()
    put(writer, os.urandom(3 * SEGMENT))

    active = writer._active

    def mapped() -> set[int]:
        lines = Path("/proc/self/maps").read_text().splitlines()
        return {int(Path(line.split()[-1]).stem) for line in lines if f" {active.path.parent}/" in line}

    async with asyncio.timeout(30):
        # the one in use, and what is ready for after it
        while min(mapped()) < active.generation:
            await asyncio.sleep(0.01)
    assert active.generation in mapped()
    assert writer.released == 0
    gate.set()
    await writer.close()
    assert writer.released == 1


@pytest.mark.parametrize("mode", list(Fsync))
async def test_a_disk_that_fails_to_sync_ends_the_writer(
    make: Make, monkeypatch: pytest.MonkeyPatch, mode: Fsync
) -> None:
    def broken(segment: Segment) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Segment, "sync", broken)
    writer = make(fsync=mode, fsync_interval=0.01)
    told = asyncio.Event()
    writer.on_release = told.set
    await writer.start()
    put(writer, b"x")
    async with asyncio.timeout(30):
        await told.wait()
    assert writer.released == (0 if mode is Fsync.STRICT else 1)
    with pytest.raises(JournalUnwritable, match="Input/output error"):
        writer.commit()
    await writer.close()


async def test_a_folder_that_vanishes_ends_the_writer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "WATCH_INTERVAL", 0.01)
    writer = make()
    told = asyncio.Event()
    writer.on_release = told.set
    await writer.start()
    writer.folder.rename(writer.folder.with_name("elsewhere"))
    async with asyncio.timeout(30):
        await told.wait()
    with pytest.raises(JournalUnwritable):
        writer.commit()
    await writer.close()


def test_two_incarnations_are_read_apart(make: Make, follow: Follow) -> None:
    first, second = make(), make()
    put(first, b"of the first")
    put(second, b"of the second")
    abandon(first)
    dead, live = follow(first.folder), follow(second.folder)
    assert bodies(dead) == [b"of the first"]
    assert bodies(live) == [b"of the second"]
    assert (dead.state, live.state) == (FollowState.DEAD, FollowState.LIVE)
    assert dead.torn is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"segment_bytes": 1000},
        {"segment_bytes": 4096},
        {"segment_bytes": 65537},
        {"max_bytes": SEGMENT},
        {"fsync_interval": 0.0},
        {"disk_reserve": -1},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"journal|reserve"):
        JournalSettings(**{"segment_bytes": SEGMENT, "max_bytes": 8 * SEGMENT, **wrong})  # type: ignore[arg-type]
