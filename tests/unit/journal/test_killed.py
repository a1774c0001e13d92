"""A writer that dies in mid-air loses nothing that it had committed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal.follower import Follower, FollowState

WRITER = """
import os, sys
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
while True:
    number += 1
    writer.append(1, number, 4, number.to_bytes(8, "big") * (1 + number % 200))
    writer.commit()
    os.write(1, b"%d\\n" % writer.released)
"""


def start(root: Path, incarnation: bytes, private: X25519PrivateKey) -> "subprocess.Popen[bytes]":
    public = private.public_key().public_bytes_raw().hex()
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), incarnation.hex(), public], stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("moment", [0.02, 0.1, 0.3])
def test_all_that_was_committed_survives_kill_9(
    tmp_path: Path, private: X25519PrivateKey, moment: float
) -> None:
    incarnation = os.urandom(16)
    follower: Follower | None = None
    with start(tmp_path, incarnation, private) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        follower = Follower(tmp_path / incarnation.hex(), private)
        seen: list[tuple[int, bytes]] = []
        deadline = time.monotonic() + moment
        while time.monotonic() < deadline:
            seen += [(entry.exchange, entry.body) for _, batch in follower.poll() for entry in batch]
            said += os.read(process.stdout.fileno(), 1 << 16)
        process.kill()
        while more := os.read(process.stdout.fileno(), 1 << 16):
            said += more
        process.wait(10)
    committed = int(said[: said.rindex(b"\n")].split(b"\n")[-1])
    while found := follower.poll():
        seen += [(entry.exchange, entry.body) for _, batch in found for entry in batch]
    follower.close()
    assert follower.state is FollowState.DEAD
    assert committed > 0
    assert len(seen) in (committed, committed + 1)  # the last may be journaled and not yet told
    for number, (exchange, body) in enumerate(seen, 1):
        assert exchange == number
        assert body == number.to_bytes(8, "big") * (1 + number % 200)


def test_a_segment_cut_under_its_writer_is_a_crash_by_sigbus_and_nothing_worse(
    tmp_path: Path, private: X25519PrivateKey
) -> None:
    # a segment that is being prepared at that very moment fails in another way, so a few tries
    ends = {_end_of_a_cut_writer(tmp_path, private) for _ in range(3)}

    assert ends <= {-signal.SIGBUS, 1}


def _end_of_a_cut_writer(tmp_path: Path, private: X25519PrivateKey) -> int:
    incarnation = os.urandom(16)
    with start(tmp_path, incarnation, private) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # stopped, so that what is cut is surely in use
        process.send_signal(signal.SIGSTOP)
        folder = tmp_path / incarnation.hex()
        for path in folder.glob("*.seg"):
            os.truncate(path, 0)
        process.send_signal(signal.SIGCONT)
        while os.read(process.stdout.fileno(), 1 << 16):
            pass
        return process.wait(10)
