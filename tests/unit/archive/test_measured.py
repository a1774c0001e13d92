"""How many bytes a store has, whatever happens to it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bodycam.archive.store import ObjectExists, StoreUnavailable
from bodycam.archive.store.local import LocalStore
from bodycam.archive.store.measured import AGAIN, MeasuredStore


def test_it_counts_what_is_there_what_comes_and_what_goes(tmp_path: Path) -> None:
    LocalStore(tmp_path).put("2026/a.bcr", [b"x" * 100])
    (tmp_path / "Not a name").write_bytes(b"somebody's")
    (tmp_path / "link.bcr").symlink_to("/etc/hostname")
    store = MeasuredStore(LocalStore(tmp_path))
    assert store.total is None
    store.measure()
    assert store.total == 100
    store.put("2026/b.bcr", [b"y" * 20, b"z" * 3])
    assert store.total == 123
    with pytest.raises(ObjectExists):
        store.put("2026/b.bcr", [b"other"])
    assert store.total == 123
    store.delete("2026/a.bcr")
    store.delete("2026/a.bcr")
    assert store.total == 23


def test_the_first_object_that_comes_measures_too(tmp_path: Path) -> None:
    LocalStore(tmp_path).put("a.bcr", [b"x" * 100])
    store = MeasuredStore(LocalStore(tmp_path))
    store.put("b.bcr", [b"y"])
    assert store.total == 101
    store.measure()
    assert store.total == 101


class Broken(LocalStore):
    """A store that can't be listed for a while, and whose puts fail once they are done."""

    listable = False

    def list(self, prefix: str = "") -> Iterator[str]:
        if not self.listable:
            raise StoreUnavailable("no list")
        return super().list(prefix)

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        super().put(name, parts)
        raise StoreUnavailable("it did its work, and then failed")


def test_what_fails_is_looked_at_again(tmp_path: Path) -> None:
    now, broken = [0.0], Broken(tmp_path)
    store = MeasuredStore(broken, lambda: now[0])
    store.measure()
    with pytest.raises(StoreUnavailable):
        store.put("a.bcr", [b"x" * 7])
    assert store.total is None
    broken.listable = True
    store.measure()
    assert store.total is None  # not at once: listing may be dear
    now[0] = AGAIN
    store.measure()
    assert store.total == 7
    with pytest.raises(StoreUnavailable):
        store.put("b.bcr", [b"y" * 5])
    assert store.total == 12
