"""A writer that dies in mid-air loses nothing that it had committed.

The writer is a process of its own that does one step for each line it is told, so that each test kills it at a
place that is known.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal.folder import is_live
from bodycam.journal.follower import Follower, FollowState

WRITER = """
import os, signal, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from bodycam.journal.settings import JournalSettings
from bodycam.journal.writer import JournalWriter
incarnation = bytes.fromhex(sys.argv[2])
writer = JournalWriter.create(
    Path(sys.argv[1]) / sys.argv[2],
    incarnation=incarnation,
    recipient=X25519PublicKey.from_public_bytes(bytes.fromhex(sys.argv[3])),
    settings=JournalSettings(segment_bytes=65536, max_bytes=1 << 29, disk_reserve=0),
)
number = 0
print("ready", flush=True)
for line in sys.stdin:
    match line.split():
        case ["append"]:
            number += 1
            writer.append(1, number, 4, number.to_bytes(8, "big") * (1 + number % 200))
        case ["commit"]:
            writer.commit()
        case ["settle"]:
            # the next segment is there, and nothing is being made any more
            writer._supply._coming.result(30)
        case ["cut"]:
            for path in writer.folder.glob("*.seg"):
                os.truncate(path, 0)
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
    print(writer.released, writer.stats()["generation"], flush=True)
"""


class Writer:
    """The process, and how to tell it what to do."""

    def __init__(self, root: Path, private: X25519PrivateKey) -> None:
        incarnation = os.urandom(16).hex()
        self.folder = root / incarnation
        public = private.public_key().public_bytes_raw().hex()
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), incarnation, public],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def do(self, *steps: str) -> tuple[int, int]:
        """Have the steps done; returns the released position and the generation after the last."""
        said = "0 0"
        for step in steps:
            self._tell(step)
            said = self._line()
        released, generation = said.split()
        return int(released), int(generation)

    def end_with(self, step: str) -> int:
        """Have a step done that is the process's last; returns what it ended with."""
        self._tell(step)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == ""
        return self.process.wait(10)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(10) == -signal.SIGKILL

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)

    def _tell(self, step: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(step + "\n")
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def writer(tmp_path: Path, private: X25519PrivateKey) -> Iterator[Writer]:
    started = Writer(tmp_path, private)
    yield started
    started.close()


@pytest.fixture
def follower(writer: Writer, private: X25519PrivateKey) -> Iterator[Follower]:
    reading = Follower(writer.folder, private)
    yield reading
    reading.close()


def numbers(follower: Follower) -> list[int]:
    """The numbers of the entries that are new, each of which is as it was written."""
    seen: list[int] = []
    while found := follower.poll():
        for entry in [entry for _, batch in found for entry in batch]:
            assert entry.body == entry.exchange.to_bytes(8, "big") * (1 + entry.exchange % 200)
            seen.append(entry.exchange)
    return seen


STEP = ("append", "commit")


def test_what_was_committed_is_read_before_and_after_kill_9(writer: Writer, follower: Follower) -> None:
    for number in range(1, 4):
        assert writer.do(*STEP) == (number, 1)
        assert numbers(follower) == [number]
    writer.do(*STEP)
    writer.kill()

    assert numbers(follower) == [4]
    assert (follower.state, follower.torn) == (FollowState.DEAD, None)
    assert not is_live(writer.folder)


def test_what_was_appended_and_not_committed_is_not_there(writer: Writer, follower: Follower) -> None:
    writer.do(*STEP, *STEP, "append")
    assert writer.end_with("die") == -signal.SIGKILL

    assert numbers(follower) == [1, 2]
    assert (follower.state, follower.torn) == (FollowState.DEAD, None)


def test_a_batch_of_several_is_there_whole(writer: Writer, follower: Follower) -> None:
    writer.do("append", "append", "append", "commit", "append", "append")
    writer.kill()

    assert numbers(follower) == [1, 2, 3]
    assert follower.state is FollowState.DEAD


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_death_around_the_end_of_a_segment_loses_nothing(
    writer: Writer, follower: Follower, beyond: int
) -> None:
    number, generation = 0, 1
    while generation < 3:
        number, generation = writer.do("settle", *STEP)
    written = Writer(writer.folder.parent, follower._private)
    try:
        # the same again up to just before, at, and just behind the commit that began the third segment
        for _ in range(number + beyond):
            reached = written.do("settle", *STEP)
        written.kill()
        again = Follower(written.folder, follower._private)
        assert reached == (number + beyond, 2 if beyond < 0 else 3)
        assert numbers(again) == list(range(1, number + beyond + 1))
        assert (again.state, again.torn) == (FollowState.DEAD, None)
        again.close()
    finally:
        written.close()


def test_a_segment_cut_under_its_writer_is_a_crash_by_sigbus(writer: Writer) -> None:
    writer.do(*STEP, "settle", "cut", "append")

    assert writer.end_with("commit") == -signal.SIGBUS
    assert not is_live(writer.folder)
