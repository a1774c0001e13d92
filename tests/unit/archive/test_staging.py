"""Staging files: whatever a crash leaves of one, the whole records in front are good."""

import os
from pathlib import Path

import pytest

from bodycam.archive.format import v1
from bodycam.archive.staging import StagingFile, staged

WORKER = bytes(range(16))


def written(folder: Path) -> tuple[StagingFile, list[bytes], list[int]]:
    """A file of three records, its blocks, and the file's size after each record."""
    writer = v1.SessionWriter(os.urandom(16), os.urandom(32), created=1)
    staging = StagingFile.create(folder, WORKER, 7, writer.header)
    blocks, sizes = [], []
    for number in range(3):
        blocks.append(writer.block(b"\x84\x01\x00\x00\x00", 1, number, number))
        staging.append(number + 10, {"number": number}, blocks[-1:])
        sizes.append(staging.path.stat().st_size)
    return staging, blocks, sizes


def again(folder: Path) -> StagingFile:
    found = StagingFile.found(staged(folder)[0])
    assert found is not None
    assert found[1:] == (WORKER, 7)
    return found[0]


def test_what_was_staged_comes_back(tmp_path: Path) -> None:
    before, blocks, _ = written(tmp_path)
    staging = again(tmp_path)
    assert staging.recover() == (12, {"number": 2})
    assert list(staging.blocks()) == blocks
    assert staging.session == before.session


def test_a_file_cut_anywhere_gives_its_whole_records(tmp_path: Path) -> None:
    before, blocks, sizes = written(tmp_path)
    content = before.path.read_bytes()
    first = 4 + len(before.header)
    for size in range(first, len(content)):
        before.path.write_bytes(content[:size])
        whole = sum(end <= size for end in sizes)
        staging = again(tmp_path)
        assert staging.recover() == ((9 + whole, {"number": whole - 1}) if whole else None)
        assert list(staging.blocks()) == blocks[:whole]


def test_a_changed_byte_drops_the_record_and_what_follows(tmp_path: Path) -> None:
    before, blocks, sizes = written(tmp_path)
    content = bytearray(before.path.read_bytes())
    content[sizes[0] + 20] ^= 1
    before.path.write_bytes(content)
    staging = again(tmp_path)
    assert staging.recover() == (10, {"number": 0})
    assert list(staging.blocks()) == blocks[:1]


def test_staging_goes_on_where_a_crash_cut_it(tmp_path: Path) -> None:
    before, blocks, sizes = written(tmp_path)
    before.path.write_bytes(before.path.read_bytes()[: sizes[1] + 5])
    staging = again(tmp_path)
    staging.recover()
    staging.append(20, {"number": 9}, blocks[2:])
    assert again(tmp_path).recover() == (20, {"number": 9})
    assert list(staging.blocks()) == blocks


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\0\0\0\5abcde", b"\xff" * 64])
def test_what_is_no_staging_file_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"{WORKER.hex()}-7.part"
    path.write_bytes(content)
    assert StagingFile.found(path) is None
