"""kill -9 in the midst of a redaction, of wrapping keys anew, and of retention: whoever comes next finishes it."""

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodycam.archive import rotation
from bodycam.archive.keyring import Keyring
from bodycam.archive.keystore import KeyStore
from bodycam.catalog import audit
from bodycam.catalog.engine import reading
from tests.faults.doomed import RECORD_STEPS, SHORT
from tests.unit.archive.kept import Kept, rules
from tests.unit.archive.test_redacting import STEPS, VALUE, redact, redactor
from tests.unit.archive.test_rewording import act

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


class Doomed:
    """The process that forks children to be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.doomed"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(
        self, act: str, folder: Path, step: str = "", *, after: bool = False, kill: float | None = None
    ) -> int:
        """Let a child do something and die of it; returns how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"act": act, "folder": str(folder), "step": step, "after": after, "kill": kill}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=20) == 0
        self._process.stdout.close()


@pytest.fixture(scope="module")
def doomed() -> Iterator[Doomed]:
    made = Doomed()
    yield made
    made.end()


def recorded(folder: Path, *containers: list[str]) -> list[str]:
    """A house at rest with these sessions, the texts of each container together."""
    kept = Kept(folder)
    kept.start()
    found = [session for texts in containers for session in kept.record(*texts)]
    act(kept, "searched", "recordings", {"words": VALUE.decode()})
    kept.worker.die()
    kept.stop()
    kept.engine.dispose()
    return found


@pytest.fixture(scope="module")
def leaked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("leaked") / "house"
    return folder, recorded(folder, [f"{VALUE.decode()} was here", "harmless"])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [name for name, _, _ in STEPS] + list(RECORD_STEPS))
def test_a_redaction_is_done_whole_or_not_at_all(
    doomed: Doomed, leaked: tuple[Path, list[str]], tmp_path: Path, step: str, after: bool
) -> None:
    folder = tmp_path / "house"
    shutil.copytree(leaked[0], folder)
    session, other = leaked[1]
    assert doomed.order("redact", folder, step, after=after) == KILLED

    kept = Kept(folder)
    kept.start()
    made = redactor(kept)
    assert kept.house.archivist is not None
    made.recover(kept.house.archivist.known.redacted)
    kept.settle(session, other)
    kept.keeper.tidy()
    before = kept.verified()["redactions"]
    assert kept.found("mandrake") == ([] if before["count"] else [session])
    assert kept.found("harmless") == [other]
    redact(made)
    kept.settle(session, other)
    report = kept.verified()["redactions"]
    assert (report["count"], [one["session"] for one in report["told"]]) == (1, [session])
    assert kept.found("mandrake") == []
    assert kept.bytes_with("mandrake") == []
    assert kept.has_key(session)
    assert not redact(made, plan=True).sessions
    kept.stop()
    kept.end()


KEYS = 60


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("a key is wrapped", False),
        ("a key is wrapped", True),
        ("it is committed", False),
        ("the journal is overwritten", False),
        ("the journal is overwritten", True),
        ("whenever", False),
    ],
)
def test_every_key_opens_while_keys_are_wrapped_anew(
    doomed: Doomed, tmp_path: Path, step: str, after: bool
) -> None:
    chance = random.Random(9)
    rotation.make_missing(tmp_path / "keys", ["team"], {})
    ring = Keyring(tmp_path / "keys" / "archivist")
    store = KeyStore(tmp_path / "keys.db", ring)
    names = ["default", "team"] * (KEYS // 2)
    wrapped = [(secrets.token_bytes(16), secrets.token_bytes(32), name) for name in names]
    store.put(wrapped)
    store.close()
    killed = 0
    for _ in range(1 if step != "whenever" else 8):
        for name in ("default", "team"):
            rotation.rotate_kek(tmp_path / "keys", name, {})
        kill = chance.uniform(0, 0.03) if step == "whenever" else None
        killed += doomed.order("rewrap", tmp_path, step, after=after, kill=kill) == KILLED
        store = KeyStore(tmp_path / "keys.db", Keyring(tmp_path / "keys" / "archivist"))
        assert [store.get(session) for session, _, _ in wrapped] == [key for _, key, _ in wrapped]
        store.close()
    assert killed
    store = KeyStore(tmp_path / "keys.db", Keyring(tmp_path / "keys" / "archivist"))
    while store.rewrap(100):
        pass
    assert store.rewrap_left() == 0
    for one in store.keyring.files():
        if not one.current:
            rotation.retire_kek(one, store.wrapped_by())
    assert [store.get(session) for session, _, _ in wrapped] == [key for _, key, _ in wrapped]
    store.close()


def test_retention_killed_again_and_again_deletes_each_once_and_whole(doomed: Doomed, tmp_path: Path) -> None:
    chance = random.Random(5)
    first = tmp_path / "first"
    sessions = recorded(first, *([f"brief {n}-{m}" for m in range(3)] for n in range(12)))
    killed = 0
    for number in range(3):
        folder = tmp_path / str(number)
        shutil.copytree(first, folder)
        for _ in range(5):
            killed += doomed.order("keep", folder, kill=chance.uniform(0, 0.25)) == KILLED

            kept = Kept(folder)
            kept.start()
            kept.keeper.tidy()
            gone = {one for one in sessions if not kept.has_key(one)}
            assert {one for one in sessions if kept.row(one) is None} == gone
            assert kept.verified()["counts"]["deleted"] == len(gone)
            kept.stop()
            kept.end()
        kept = Kept(folder)
        kept.rules = rules(SHORT)
        kept.start()
        kept.clock.pass_(3600)
        while kept.apply(trust_clock=True).deleted:
            pass
        assert kept.objects() == []
        assert kept.bytes_with("brief") == []
        assert kept.verified()["counts"]["deleted"] == len(sessions)
        with reading(kept.engine) as connection:
            acts = audit.events_after(connection, 0, 1000)
        told = [one.object for one in acts if one.action == "deleted"]
        assert sorted(told) == sorted(sessions)
        kept.stop()
        kept.end()
    assert killed
