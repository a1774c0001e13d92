"""What a transaction costs the worker beside its sockets: framing, judging, recording, releasing.

`python bench/hotpath.py [--quick] [--json] [--profile]`. A link with the PostgreSQL machine and a real
journal, between two transports that throw away what they get; the messages are those of pgbench -S. Ten rules
are asked, and requests are looked through for keys and tokens, as in a gateway that was set up.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: E402
from parts.machine import Row, machine, row, show  # noqa: E402
from parts.rules import rules  # noqa: E402
from tests.playbook import wire  # noqa: E402
from tests.playbook.play import CHALLENGE_CLEARTEXT, DIALLED, GRANT  # noqa: E402
from tests.unit.policy.rules.cases import settings  # noqa: E402

from bodycam.gateway.link import ProxyLink  # noqa: E402
from bodycam.gateway.side import Side  # noqa: E402
from bodycam.journal.settings import JournalSettings  # noqa: E402
from bodycam.journal.writer import JournalWriter  # noqa: E402
from bodycam.policy.decision import DecisionPoint  # noqa: E402
from bodycam.policy.detectors import secrets  # noqa: E402
from bodycam.policy.detectors.patterns import Patterns  # noqa: E402
from bodycam.policy.redaction import Redactor  # noqa: E402
from bodycam.policy.rules.compiling import compile_rules  # noqa: E402
from bodycam.policy.sql.analysis import SqlAnalysis  # noqa: E402
from bodycam.protocols.postgres.machine import PostgresMachine  # noqa: E402
from bodycam.session.grant import Grant  # noqa: E402
from bodycam.session.link import Need  # noqa: E402
from bodycam.session.session import Session  # noqa: E402

MIB = 1024 * 1024
TEXT = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;"
COLUMNS = wire.columns(("abalance", 23))


class Drain(asyncio.Transport):
    """A transport whose peer takes everything at once."""

    def write(self, data: Any) -> None: ...

    def writelines(self, data: Any) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Stage:
    """What a worker does for the one link that is measured."""

    def __init__(self, journal: JournalWriter, redaction: Redactor, policy: DecisionPoint) -> None:
        self.journal = journal
        self._policy, self._redaction = policy, redaction
        self._openings = 0

    async def fulfil(self, link: ProxyLink, need: Need) -> Any: ...

    def open(self, link: ProxyLink, grant: Grant, claims: Mapping[str, str]) -> Session:
        self._openings += 1
        return Session.opened(
            grant,
            journal=self.journal,
            opening=self._openings,
            incarnation=self.journal.incarnation,
            address=link.address,
            claims=claims,
            version="bench",
            policy=self._policy,
            redaction=self._redaction,
            client=link.client_box,
            target=link.target_box,
            unsent=link.unsent,
            on_close=lambda session: None,
        )

    def stranger(self, link: ProxyLink) -> None: ...

    def link_ready(self, link: ProxyLink) -> None: ...

    def link_closed(self, link: ProxyLink) -> None: ...

    def register_cancel(self, link: ProxyLink, key: bytes) -> None: ...

    def pass_cancel(self, key: bytes) -> None: ...

    def knock(self, link: ProxyLink, dial: Any, data: bytes) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        work.close()

    def read(self, link: ProxyLink) -> None:
        self.moved(link)

    def moved(self, link: ProxyLink) -> None:
        if not link.gathered:
            link.gathered = True
            link.settle()
            link.gathered = False


def ten_rules() -> DecisionPoint:
    """A policy with rules, as a gateway's settings give it."""
    written = "\n".join("  " + line for line in yaml.safe_dump(rules(10)).splitlines()) + "\n"
    return DecisionPoint(compile_rules(settings(written)), "p1", languages={"postgres": SqlAnalysis()})


def logged_in(stage: Stage) -> ProxyLink:
    link = ProxyLink(
        cast("Any", stage), PostgresMachine, address="127.0.0.1:1", secure=True, message_limit=16 * MIB
    )
    for name in ("client", "target"):
        Side(link, name).connection_made(Drain())
    link.client_data(wire.startup(user="token", database="orders"))
    link.machine.answer(CHALLENGE_CLEARTEXT)
    link.client_data(wire.message(b"p", wire.text("bcr_secret")))
    link.machine.answer(GRANT)
    link.machine.answer(DIALLED)
    link.target_data(wire.AUTH_OK + wire.key_data() + wire.ready())
    link.client_data(wire.parse(TEXT, "P0_0") + wire.SYNC)
    link.target_data(wire.PARSED + wire.ready())
    return link


def prepared(link: ProxyLink, times: int) -> None:
    asked = [
        wire.bind(b"%d" % (number * 7919 % 99991), statement="P0_0")
        + wire.describe("P")
        + wire.execute()
        + wire.SYNC
        for number in range(512)
    ]
    answer = wire.BOUND + COLUMNS + wire.row(b"-1234") + wire.complete("SELECT 1") + wire.ready()
    for number in range(times):
        link.client_data(asked[number & 511])
        link.target_data(answer)


def simple(link: ProxyLink, times: int) -> None:
    """Each time another statement, as pgbench sends it."""
    asked = [wire.query(TEXT.replace("$1", str(number * 7919 % 499979))) for number in range(times)]
    answer = COLUMNS + wire.row(b"-1234") + wire.complete("SELECT 1") + wire.ready()
    for one in asked:
        link.client_data(one)
        link.target_data(answer)


def extended(link: ProxyLink, times: int) -> None:
    asked = [
        wire.parse(TEXT)
        + wire.bind(b"%d" % (number * 7919 % 99991))
        + wire.describe("P")
        + wire.execute()
        + wire.SYNC
        for number in range(512)
    ]
    answer = (
        wire.PARSED + wire.BOUND + COLUMNS + wire.row(b"-1234") + wire.complete("SELECT 1") + wire.ready()
    )
    for number in range(times):
        link.client_data(asked[number & 511])
        link.target_data(answer)


def rows(link: ProxyLink, times: int) -> None:
    """One transaction is 64 KiB of rows of 100 bytes, as a socket hands them over."""
    line = wire.row(b"x" * 100)
    stream = line * 4096
    link.client_data(wire.query("select line from wide"))
    link.target_data(COLUMNS)
    step, at = 65536, 0
    for _ in range(times):
        end = at + step
        if end > len(stream):
            link.target_data(stream[at:])
            at = 0
            continue
        link.target_data(stream[at:end])
        at = end
    link.target_data(stream[at:])
    link.target_data(wire.complete("SELECT 1") + wire.ready())


async def measure(folder: Path, times: int, profile: bool) -> list[Row]:
    found: list[Row] = []
    redaction = Redactor(matcher=Patterns.open(folder / "detectors").matcher([secrets.GROUP]))
    loads: dict[str, tuple[Callable[[ProxyLink, int], None], int, str]] = {
        "prepared": (prepared, times, "us/tx"),
        "simple": (simple, times, "us/tx"),
        "extended": (extended, times, "us/tx"),
        "rows": (rows, times // 20, "us/64 KiB"),
    }
    for name, (load, count, unit) in loads.items():
        costs = []
        for _ in range(5):
            incarnation = os.urandom(16)
            journal = JournalWriter.create(
                folder / incarnation.hex(),
                incarnation=incarnation,
                recipient=X25519PrivateKey.generate().public_key(),
                settings=JournalSettings(max_bytes=2048 * MIB),
            )
            await journal.start()
            link = logged_in(Stage(journal, redaction, ten_rules()))
            load(link, 200)
            began = time.process_time_ns()
            load(link, count)
            costs.append((time.process_time_ns() - began) / count / 1000)
            if profile:
                profiler = cProfile.Profile()
                profiler.runcall(load, link, count)
                pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
                profile = False
            await journal.close()
            for path in (folder / incarnation.hex()).iterdir():
                path.unlink()
        found.append(row(f"hot path, {name}", statistics.median(costs), unit))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="also where the time of `prepared` goes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), 2_000 if chosen.quick else 10_000, chosen.profile))
    show("hotpath", found, machine(), as_json=chosen.json)


if __name__ == "__main__":
    main()
