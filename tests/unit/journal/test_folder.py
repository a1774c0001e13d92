"""Listing, removing and sweeping the folders of a journal."""

from pathlib import Path

import pytest

from bodycam.journal import folder as folders
from tests.unit.journal.conftest import SEGMENT, Make, abandon, put


def test_incarnations_are_listed_with_their_size_and_life(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "journal"
    assert folders.incarnations(root) == []
    first, second = make(), make()
    put(first, b"x")
    abandon(first)
    (root / "something else").mkdir()
    (root / ("e" * 32)).write_bytes(b"a file of that name is no journal")
    (root / ("f" * 32 + folders.UNBORN)).mkdir()
    assert second._supply._coming is not None
    second._supply._coming.result()
    listed = folders.incarnations(root)
    assert [folder.incarnation for folder in listed] == [first.incarnation, second.incarnation]
    assert [folder.live for folder in listed] == [False, True]
    assert [folder.segments for folder in listed] == [2, 2]
    assert [folder.bytes for folder in listed] == [2 * SEGMENT, 2 * SEGMENT]


def test_a_live_journal_is_never_removed(make: Make) -> None:
    writer = make()
    with pytest.raises(ValueError, match="being written"):
        folders.remove(writer.folder)
    abandon(writer)
    folders.remove(writer.folder)
    assert not writer.folder.exists()


def test_sweeping_removes_only_folders_that_never_got_their_name_or_lost_it(
    make: Make, tmp_path: Path
) -> None:
    root = tmp_path / "journal"
    assert folders.sweep(root) == 0
    writer = make()
    unborn = root / ("a" * 32 + folders.UNBORN)
    unborn.mkdir()
    (unborn / folders.LOCK).touch()
    spent = root / ("b" * 32 + folders.SPENT)
    spent.mkdir()
    (spent / "00000003.seg").touch()
    assert folders.sweep(root) == 2
    assert not unborn.exists()
    assert not spent.exists()
    assert writer.folder.exists()


@pytest.mark.parametrize("name", ["", "short", "g" * 32, "A" * 32, "a" * 33])
def test_other_names_are_no_incarnations(name: str) -> None:
    assert folders.incarnation_of(Path("/journal") / name) is None
