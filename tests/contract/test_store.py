"""What every store does. A store is added by one line in `STORES`."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bodycam.archive.store import ObjectExists, ObjectMissing, Store, StoreUnavailable
from bodycam.archive.store.local import LocalStore
from bodycam.archive.store.measured import MeasuredStore

STORES: dict[str, Callable[[Path], Store]] = {
    "local": lambda folder: LocalStore(folder / "recordings"),
    "measured": lambda folder: MeasuredStore(LocalStore(folder / "recordings")),
}
NAME = "2026/01/02/rec_abc.bcr"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path)


def test_an_object_comes_back_whole_and_in_parts(store: Store) -> None:
    store.put(NAME, [b"hello ", b"", b"world"])
    assert store.get(NAME) == b"hello world"
    assert store.size(NAME) == 11
    assert store.get_range(NAME, 6, 3) == b"wor"
    assert store.get_range(NAME, 6, 100) == b"world"
    assert store.get_range(NAME, 11, 5) == store.get_range(NAME, 100, 5) == b""


def test_an_empty_object_is_one(store: Store) -> None:
    store.put(NAME, [])
    assert (store.size(NAME), store.get(NAME), list(store.list())) == (0, b"", [NAME])


def test_objects_are_never_overwritten(store: Store) -> None:
    store.put(NAME, [b"one"])
    with pytest.raises(ObjectExists, match="rec_abc"):
        store.put(NAME, [b"two"])
    assert store.get(NAME) == b"one"


def test_what_is_missing_is_said_so(store: Store) -> None:
    for call in (store.get, store.size, lambda name: store.get_range(name, 0, 1)):
        with pytest.raises(ObjectMissing, match="rec_abc"):
            call(NAME)
    store.delete(NAME)
    assert list(store.list()) == []


def test_deleted_is_gone_and_may_be_put_again(store: Store) -> None:
    store.put(NAME, [b"one"])
    store.delete(NAME)
    assert list(store.list()) == []
    store.put(NAME, [b"two"])
    assert store.get(NAME) == b"two"


def test_names_are_listed_by_prefix(store: Store) -> None:
    names = ["2026/01/01/rec_a.bcr", "2026/01/02/rec_b.bcr", "2026/02/01/rec_c.bcr"]
    for name in reversed(names):
        store.put(name, [b"x"])
    assert sorted(store.list()) == names
    assert sorted(store.list("2026/01/")) == names[:2]
    assert list(store.list("2027")) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        ".hidden",
        "a/.b",
        "A",
        "a b",
        "a\0b",
        "a\n",
        "..",
        "ä",
    ],
)
def test_no_name_leads_elsewhere(store: Store, name: str) -> None:
    for call in (store.get, store.size, store.delete, lambda one: store.put(one, [b"x"])):
        with pytest.raises(ValueError, match="not a name of an object"):
            call(name)


def test_what_fails_halfway_was_never_there(store: Store) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        store.put(NAME, parts())
    assert list(store.list()) == []
    store.put(NAME, [b"whole"])
    assert store.get(NAME) == b"whole"


def test_of_two_puts_at_once_one_wins(store: Store) -> None:
    told: list[str] = []

    def put(text: bytes) -> None:
        try:
            store.put(NAME, [text] * 1000)
            told.append("put")
        except ObjectExists:
            told.append("exists")

    threads = [threading.Thread(target=put, args=(b"%d" % number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(told) == ["exists"] * 5 + ["put"]
    assert len(set(store.get(NAME))) == 1


class TestLocal:
    """What only a folder has: modes, links, leftovers, disks that fail."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path)

    def test_files_are_for_the_owner_alone(self, store: LocalStore, tmp_path: Path) -> None:
        store.put(NAME, [b"x"])
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600

    def test_leftovers_of_a_crash_are_not_listed_and_go(self, store: LocalStore, tmp_path: Path) -> None:
        (tmp_path / ".partial").mkdir()
        (tmp_path / ".partial" / "0123").write_bytes(b"half")
        assert list(store.list()) == []
        store.put(NAME, [b"x"])
        assert list((tmp_path / ".partial").iterdir()) == []

    def test_what_others_left_is_listed(self, store: LocalStore, tmp_path: Path) -> None:
        (tmp_path / "Some File").write_bytes(b"x")
        (tmp_path / "elsewhere").symlink_to("/etc")
        assert sorted(store.list()) == ["Some File", "elsewhere"]

    def test_links_and_pipes_are_not_read(self, store: LocalStore, tmp_path: Path) -> None:
        (tmp_path / "link.bcr").symlink_to("/etc/passwd")
        os.mkfifo(tmp_path / "pipe.bcr")
        for name in ("link.bcr", "pipe.bcr"):
            with pytest.raises(StoreUnavailable):
                store.get(name)
            with pytest.raises(StoreUnavailable):
                store.size(name)

    def test_a_disk_that_fails_leaves_nothing(
        self, store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(StoreUnavailable, match="can't be written: No space left"):
                store.put(NAME, [b"x"])
        assert list(store.list()) == list((tmp_path / ".partial").iterdir()) == []

    def test_without_hard_links_it_still_does_not_overwrite(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def link(source: object, target: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
        store.put(NAME, [b"one"])
        with pytest.raises(ObjectExists):
            store.put(NAME, [b"two"])
        assert store.get(NAME) == b"one"
