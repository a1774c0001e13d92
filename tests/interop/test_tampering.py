"""Altering one byte of a recording, cutting it, reordering or leaving it out makes `bodycam verify` name it."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bodycam.archive.format.container import SessionReader, read_footer
from tests import stage


@pytest.fixture(scope="module")
def stopped(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway that recorded three containers and was then stopped."""
    with stage.folder() as folder:
        gateway = stage.Gateway(folder / "g", {"shop": stage.shop(server)})
        gateway.init()
        gateway.start()
        try:
            for number in range(3):
                run = gateway.run()
                with psycopg.connect(run.dsn()) as connection:
                    connection.execute("select %s::int", (number,))
                    # so much that it is in several blocks
                    connection.execute("select md5(n::text) from generate_series(1, 9000) n").fetchall()
                gateway.end(run)
                time.sleep(0.3)
        finally:
            gateway.stop()
        yield gateway


def recordings(gateway: stage.Gateway) -> list[Path]:
    return sorted((gateway.data / "recordings").rglob("*.bcr"))


def test_untouched_it_holds(stopped: stage.Gateway) -> None:
    code, report = stopped.verify()

    assert (code, report["state"], report["findings"]) == (0, "self-consistent", [])
    assert report["counts"]["sessions"] == 3
    assert len(recordings(stopped)) == 3


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("which", range(3))
def test_one_altered_byte_is_named(stopped: stage.Gateway, which: int, part: float) -> None:
    path = recordings(stopped)[which]
    whole = path.read_bytes()
    place = int(len(whole) * part)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    try:
        code, report = stopped.verify()
    finally:
        path.write_bytes(whole)

    assert (code, report["state"]) == (1, "broken")
    name = path.relative_to(stopped.data / "recordings").as_posix()
    assert any(name in finding["where"] for finding in report["findings"])


def named(gateway: stage.Gateway, path: Path, changed: bytes) -> list[str]:
    """What verification says of a container while these bytes are in its place."""
    whole = path.read_bytes()
    assert changed != whole
    path.write_bytes(changed)
    try:
        code, report = gateway.verify()
    finally:
        path.write_bytes(whole)
    assert (code, report["state"]) == (1, "broken")
    name = path.relative_to(gateway.data / "recordings").as_posix()
    return [f"{one['where']}: {one['what']}" for one in report["findings"] if name in one["where"]]


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("which", range(3))
def test_one_that_was_cut_is_named(stopped: stage.Gateway, which: int, part: float) -> None:
    path = recordings(stopped)[which]
    whole = path.read_bytes()
    assert named(stopped, path, whole[: int(len(whole) * part)])


@pytest.mark.parametrize("which", range(3))
def test_one_whose_blocks_changed_places_is_named(stopped: stage.Gateway, which: int) -> None:
    path = recordings(stopped)[which]
    whole = path.read_bytes()
    ((place, *_), _) = read_footer(lambda at, length: whole[at : at + length], len(whole))
    index = SessionReader(lambda at, length: whole[at : at + length], place.offset, place.length).index()
    first, second = ((place.offset + one.offset, one.length) for one in index[:2])
    begin, middle, end = first[0], first[0] + first[1], second[0] + second[1]
    changed = whole[:begin] + whole[middle:end] + whole[begin:middle] + whole[end:]
    (said,) = named(stopped, path, changed)
    assert "block 0 is not what was sealed" in said


@pytest.mark.parametrize("which", range(3))
def test_one_that_is_left_out_is_named(stopped: stage.Gateway, which: int) -> None:
    path = recordings(stopped)[which]
    away = stopped.folder / "away"
    path.rename(away)
    try:
        code, report = stopped.verify()
    finally:
        away.rename(path)

    assert (code, report["state"]) == (1, "broken")
    (finding,) = report["findings"]
    assert "ses_" in finding["where"] + finding["what"]
    assert "missing" in finding["what"]


@pytest.mark.parametrize("file", ["entries", "heads"])
def test_an_altered_ledger_is_named(stopped: stage.Gateway, file: str) -> None:
    path = stopped.data / "ledger" / file
    whole = path.read_bytes()
    place = len(whole) // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    try:
        code, report = stopped.verify()
    finally:
        path.write_bytes(whole)

    assert (code, report["state"]) == (1, "broken")
    assert any(f"ledger/{file}" in finding["where"] for finding in report["findings"])
