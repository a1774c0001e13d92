"""The file of deletions: whole after a crash, and read over what is damaged."""

from dataclasses import replace
from pathlib import Path

from bodycam.archive.deletions import FILE, Deletion, DeletionFile, read

ONE = Deletion(
    b"\1" * 16, b"salt" * 4, "retention", "run_a", "short", 86400.0, 1_700_000_000_000, "2026/a.bcr"
)
TWO = replace(ONE, session=b"\2" * 16, rule="other")


def written(folder: Path, *found: Deletion) -> Path:
    file = DeletionFile(folder)
    file.add(found)
    file.close()
    return folder / FILE


def test_what_is_added_is_read(tmp_path: Path) -> None:
    written(tmp_path, ONE)
    written(tmp_path, TWO)

    assert [one for _, one in read(tmp_path)] == [ONE, TWO]
    assert list(read(tmp_path / "nowhere")) == []
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_half_a_record_is_passed_over_and_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    file = written(tmp_path, ONE, TWO)
    whole = file.read_bytes()
    for length in range(len(whole) // 2 + 1, len(whole)):
        file.write_bytes(whole[:length])
        assert [one for _, one in read(tmp_path)] == [ONE]
        written(tmp_path, TWO)
        assert [one for _, one in read(tmp_path)] == [ONE, TWO]


def test_a_damaged_record_is_named_and_the_next_one_read(tmp_path: Path) -> None:
    file = written(tmp_path, ONE, TWO)
    data = bytearray(file.read_bytes())
    data[20] ^= 1
    file.write_bytes(data)

    assert list(read(tmp_path)) == [(0, "the checksum does not hold"), (len(data) // 2, TWO)]


def test_each_part_is_in_the_hash() -> None:
    others = [
        replace(ONE, session=b"\2" * 16),
        replace(ONE, salt=b"tlas" * 4),
        replace(ONE, actor="ada@bodycam"),
        replace(ONE, run="run_b"),
        replace(ONE, rule="long"),
        replace(ONE, keep=1.0),
        replace(ONE, sealed=1),
        replace(ONE, object="b"),
    ]
    assert len({one.digest for one in [ONE, *others]}) == 9
