"""What the journal costs: append and commit on the hot path, a segment's change, a sync, and the reader.

`python bench/journal.py [--quick] [--json] [--folder FOLDER]`. The baseline is the same bytes appended to a
plain file by `write(2)`, without encryption.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal.follower import Follower
from bodycam.journal.settings import Fsync, JournalSettings
from bodycam.journal.writer import JournalWriter

MIB = 1024 * 1024
KEY = X25519PrivateKey.generate()


def row(
    measure: str, value: float, unit: str, against: str = "", ratio: float | None = None
) -> dict[str, Any]:
    """One line of the result; without a bound it is information only."""
    return {
        "measure": measure,
        "value": round(value, 3),
        "unit": unit,
        "against": against,
        "ratio": None if ratio is None else round(ratio, 2),
        "bound": None,
        "ok": True,
    }


def writer(root: Path, **settings: Any) -> JournalWriter:
    incarnation = os.urandom(16)
    chosen = JournalSettings(max_bytes=1024 * MIB, **settings)
    return JournalWriter.create(
        root / incarnation.hex(), incarnation=incarnation, recipient=KEY.public_key(), settings=chosen
    )


def best(work: Callable[[int], None], count: int, rounds: int = 7) -> float:
    """Nanoseconds of one operation: the median of the rounds, each of `count` operations."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter_ns()
        work(count)
        found.append((time.perf_counter_ns() - started) / count)
    return statistics.median(found)


async def measure(root: Path, count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    body = os.urandom(300)
    journal = writer(root)
    await journal.start()

    def appends(times: int) -> None:
        for _ in range(times):
            journal.append(1, 1, 4, body)

    def transactions(times: int) -> None:
        for _ in range(times):
            journal.append(1, 1, 4, body)
            journal.commit()

    def halves(times: int) -> None:
        half = body[:150]
        for _ in range(times):
            journal.append(1, 1, 2, half)
            journal.append(1, 1, 4, half)
            journal.commit()

    plain = os.open(root / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def written(times: int) -> None:
        for _ in range(times):
            os.write(plain, body)

    transactions(count)  # warm
    best_append = []
    for _ in range(7):
        started = time.perf_counter_ns()
        appends(200)
        best_append.append((time.perf_counter_ns() - started) / 200)
        journal.commit()
    rows.append(row("append of 300 bytes", statistics.median(best_append), "ns"))
    baseline = best(written, count)
    rows.append(row("write(2) of 300 bytes, plain", baseline, "ns"))
    cost = best(transactions, count)
    rows.append(row("append and commit of 300 bytes", cost, "ns", "plain write", cost / baseline))
    cost = best(halves, count)
    rows.append(row("2 appends of 150 bytes and commit", cost, "ns", "plain write", cost / baseline))
    big = os.urandom(64 * 1024)

    def large(times: int) -> None:
        for _ in range(times):
            journal.append(1, 1, 4, big)
            journal.commit()

    rows.append(row("append and commit of 64 KiB", best(large, 50) / 1000, "us"))

    slowest = 0
    for _ in range(600):
        started = time.perf_counter_ns()
        journal.append(1, 1, 4, big)
        journal.commit()
        slowest = max(slowest, time.perf_counter_ns() - started)
        await asyncio.sleep(0)
    rows.append(row("slowest of 600 commits of 64 KiB", slowest / 1e6, "ms"))
    rows.append(row("segment changes that had to wait", journal.stats()["prepare_waits"], "count"))
    await asyncio.sleep(1.2)
    stats = journal.stats()
    rows.append(row("fdatasync, mean", 1e3 * stats["fsync_seconds_sum"] / max(1, stats["fsyncs"]), "ms"))
    rows.append(row("fdatasync, longest", 1e3 * stats["fsync_seconds_max"], "ms"))
    await journal.close()
    os.close(plain)

    follower, entries, total, started = Follower(journal.folder, KEY), 0, 0, time.perf_counter()
    while found := follower.poll():
        for _, batch in found:
            entries += len(batch)
            total += sum(len(entry.body) for entry in batch)
    took = time.perf_counter() - started
    follower.close()
    rows.append(row("follower, entries", entries / took, "1/s"))
    rows.append(row("follower, bodies", total / took / MIB, "MiB/s"))

    strict = writer(root, fsync=Fsync.STRICT)
    waits: list[float] = []
    wake = asyncio.Event()
    strict.on_release = wake.set
    await strict.start()
    for _ in range(50):
        started = time.perf_counter()
        position = strict.append(1, 1, 4, body)
        strict.commit()
        while strict.released < position:
            wake.clear()
            await wake.wait()
        waits.append(time.perf_counter() - started)
    await strict.close()
    rows.append(row("strict: commit to release, median", 1e3 * statistics.median(waits), "ms"))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer operations")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--folder", type=Path, help="where the journal is put; a temporary folder else")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = asyncio.run(measure(Path(folder), 2000 if options.quick else 20000))
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    if options.json:
        print(json.dumps({"bench": "journal", "machine": machine, "rows": rows}))
        return 0
    for line in rows:
        ratio = f"  x{line['ratio']} of {line['against']}" if line["ratio"] is not None else ""
        print(f"{line['measure']:40} {line['value']:14,.3f} {line['unit']}{ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
