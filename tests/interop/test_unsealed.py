"""What `bodycam verify` says of a session that goes on, beside the gateway and of a copy of its data."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bodycam.journal import layout
from tests import stage


@pytest.fixture(scope="module")
def house(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway with one session open, and one sealed."""
    with stage.folder() as folder:
        gateway = stage.Gateway(folder / "g", {"shop": stage.shop(server)})
        gateway.init()
        gateway.start()
        try:
            run = gateway.run()
            with psycopg.connect(run.dsn()) as connection:
                connection.execute("select 1")
            with psycopg.connect(run.dsn()) as connection:
                for number in range(20):
                    connection.execute("select %s::int, repeat('x', 500)", (number,))
                yield gateway
        finally:
            gateway.stop()


@pytest.fixture
def copy(house: stage.Gateway, tmp_path: Path) -> Path:
    """The data as a snapshot of the file system would have it."""
    online(house)
    return Path(shutil.copytree(house.data, tmp_path / "data", ignore=shutil.ignore_patterns("run")))


def online(house: stage.Gateway) -> dict[str, Any]:
    """What the gateway says once the first session is sealed."""
    deadline = time.monotonic() + 30
    while True:
        done = house.bodycam("verify", "--json")
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["findings"] == []
        if (report["counts"]["sealed"], report["counts"]["open"]) == (1, 1):
            return report
        assert time.monotonic() < deadline, report
        time.sleep(0.1)


def offline(house: stage.Gateway, data: Path, *more: str) -> tuple[int, dict[str, Any]]:
    done = house.bodycam("verify", "--offline", "--data", str(data), "--json", *more)
    return done.returncode, json.loads(done.stdout)


def test_the_gateway_checks_its_journals_contents_while_it_writes_them(house: stage.Gateway) -> None:
    report = online(house)
    assert report["journals"]["checked"] == "contents"
    assert report["journals"]["segments"] >= 1
    assert report["journals"]["records"] > 20
    assert (report["torn"], report["ok"], len(report["open"])) == ([], True, 1)


def test_so_does_one_who_reads_the_same_files_and_has_the_key(house: stage.Gateway) -> None:
    online(house)
    code, report = offline(house, house.data)
    assert (code, report["journals"]["checked"], len(report["open"])) == (0, "contents", 1)
    said = house.bodycam("verify", "--offline").stdout
    assert "contents checked" in said


def test_without_the_key_the_structure_is_checked_and_said(house: stage.Gateway, copy: Path) -> None:
    pinned = str(house.folder / "keys" / "public" / "signing.pem")
    arguments = ("--key", pinned, "--settings", str(copy / "none.yaml"))
    code, report = offline(house, copy, *arguments)
    assert (code, report["journals"]["checked"], len(report["open"])) == (0, "structure", 1)
    said = house.bodycam("verify", "--offline", "--data", str(copy), *arguments).stdout
    assert "structure checked; contents take the archivist's journal.pem" in said


def test_another_gateways_key_is_not_tried(house: stage.Gateway, copy: Path, tmp_path: Path) -> None:
    other = stage.Gateway(tmp_path / "other", {})
    other.init()
    pinned = str(house.folder / "keys" / "public" / "signing.pem")
    code, report = offline(other, copy, "--key", pinned)
    assert (code, report["journals"]["checked"]) == (0, "structure")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_one_altered_byte_of_a_journal_is_named(house: stage.Gateway, copy: Path, part: float) -> None:
    path = sorted((copy / "journal").rglob("*.seg"))[0]
    whole = path.read_bytes()
    used = layout.HEADER_BYTES + int((len(whole.rstrip(b"\0")) - layout.HEADER_BYTES - 600) * part)
    path.write_bytes(whole[:used] + bytes([whole[used] ^ 1]) + whole[used + 1 :])
    code, report = offline(house, copy)
    assert (code, report["state"]) == (1, "broken")
    assert any(finding["where"].startswith(f"{path}: at offset ") for finding in report["findings"])


def test_an_empty_folder_in_its_place_holds_nothing(house: stage.Gateway, copy: Path) -> None:
    for path in (copy / "journal").rglob("*.seg"):
        path.unlink()
    shutil.rmtree(copy / "staging")
    code, report = offline(house, copy)
    assert (code, report["open"]) == (1, [])
    assert [one["what"] for one in report["findings"]] == [
        "was opened, and neither a recording nor a journal has it"
    ]
