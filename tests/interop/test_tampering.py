"""Altering one byte of any recording, or leaving one out, makes `bodycam verify` name it."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

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
