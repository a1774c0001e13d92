"""A journal like the one that `pgbench -S -M prepared` leaves: sessions side by side, each value another."""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from bodycam.journal.settings import JournalSettings
from bodycam.journal.writer import JournalWriter
from bodycam.model import ids
from bodycam.model.event import Flavor, Kind
from bodycam.session.record import Record

STATEMENT = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;"
ANSWER = (
    b"2\0\0\0\4T\0\0\0!\0\1abalance\0\0\0@\x0c\0\3\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
    b"D\0\0\0%c\0\1\0\0\0%c%bC\0\0\0\rSELECT 1\0Z\0\0\0\5I"
)
WIRE_REQUEST = 48
"""Bytes of Bind, Describe, Execute and Sync of such an exchange, with a value of six digits."""


GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Load:
    """How much: exchanges in all, sessions side by side, and how many of these share a journal record.

    `balances` is how many different answers there are; pgbench has one until something was written. `rate` is
    exchanges a second; None is as fast as it goes.
    """

    exchanges: int
    sessions: int = 16
    shared: int = 1
    balances: int = 1
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a worker wrote: its sessions, how many exchanges, their raw bytes on the wire, CPU seconds."""

    sessions: tuple[str, ...]
    exchanges: int
    wire: int
    cpu: float


def write(journals: Path, load: Load, key: bytes) -> Written:
    """The journal of a worker's whole life, in `journals`; `key` is the archivist's public one, raw."""
    return asyncio.run(_write(journals, load, X25519PublicKey.from_public_bytes(key)))


async def _write(journals: Path, load: Load, key: X25519PublicKey) -> Written:
    incarnation = os.urandom(16)
    writer = JournalWriter.create(
        journals / incarnation.hex(),
        incarnation=incarnation,
        recipient=key,
        settings=JournalSettings(max_bytes=8 * GIB, disk_reserve=0),
    )
    await writer.start()
    worker = Worker(writer, load)
    worker.open(time.time_ns() // 1000)
    begun, cpu = time.perf_counter(), time.process_time()
    for done in worker.work():
        ahead = 0.0 if load.rate is None else done / load.rate - (time.perf_counter() - begun)
        await asyncio.sleep(max(0.0, ahead))  # segments are made in a thread
    worker.close()
    cpu = time.process_time() - cpu
    await writer.close()
    return Written(tuple(worker.sessions), worker.done, worker.wire, cpu)


class Worker:
    """Writes the load as a gateway's worker does, one read after another; `wire` counts the raw bytes."""

    def __init__(self, writer: JournalWriter, load: Load) -> None:
        self._writer, self._load = writer, load
        self._chance = random.Random(1)
        self._records = [Record(writer, opening) for opening in range(1, load.sessions + 1)]
        self.sessions = [ids.new_id(ids.SESSION) for _ in self._records]
        self.wire = self.done = 0

    def open(self, started: int) -> None:
        """Begin the sessions; `started` is microseconds of the Unix epoch."""
        for record, session in zip(self._records, self.sessions, strict=True):
            record.event(Kind.OPENED, 0, opened(session, self._writer.incarnation, record.opening, started))
        self._writer.commit()

    def work(self) -> Iterator[int]:
        """Exchange after exchange; gives how many are done after each round over the sessions."""
        rounds = self._load.exchanges // self._load.sessions
        for number in range(1, rounds + 1):
            for at in range(0, len(self._records), self._load.shared):
                together = self._records[at : at + self._load.shared]
                for record in together:
                    self._ask(record, number)
                self._writer.commit()
                for record in together:
                    self._answer(record, number)
                self._writer.commit()
            self.done += len(self._records)
            yield self.done

    def close(self) -> None:
        """End the sessions."""
        for record in self._records:
            record.event(Kind.CLOSED, 0, {"outcome": "ended", "reason": "", "exchanges": self.done})
        self._writer.commit()

    def _ask(self, record: Record, number: int) -> None:
        value = str(self._chance.randint(1, 500_000)).encode()
        body = ["execute", STATEMENT, ((0, 0, value),), {}, "statement", None, 0]
        record.event(Kind.REQUEST, number, body)
        self.wire += WIRE_REQUEST - 6 + len(value)

    def _answer(self, record: Record, number: int) -> None:
        balance = b"%d" % self._chance.randrange(self._load.balances)
        data = ANSWER % (10 + len(balance), len(balance), balance)
        record.data(Kind.TO_CLIENT, number, Flavor.ROWS, 1, data)
        record.event(Kind.FINISH, number, ["ok", 1, len(data), 0, "SELECT 1", None])
        self.wire += len(data)


def opened(session: str, worker: bytes, opening: int, started: int) -> dict[str, Any]:
    """The body of an OPENED event."""
    return {
        "session": session,
        "run": f"run_{'bench'.ljust(16, 'a')}",
        "principal": {"issuer": "bench", "subject": "ci", "kind": "service", "groups": []},
        "agent": "bench-bot",
        "target": {"name": "shop", "protocol": "postgres", "labels": {}},
        "database": "shop",
        "grade": "advisory",
        "labels": {},
        "trace": None,
        "address": "127.0.0.1:1",
        "claims": {"application_name": "pgbench"},
        "worker": worker,
        "opening": opening,
        "started": started,
        "policy": "1",
        "version": "0",
    }
