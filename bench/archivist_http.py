"""What the archivist costs a small GET: recording and index apart, and its bytes.

python bench/archivist_http.py [--quick] [--json] [--profile]

The machine of a proxy's clients writes a journal, as in `hotpath_http.py`; then archivists read it as fast as
they can: one with an index that takes nothing, one with the real one; their difference is the index.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml
from archivist import Cost, House
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from hotpath import MIB, Stage
from hotpath_http import answers, ask, asks, logged_in
from parts.load import Written
from parts.machine import Row, machine, row, show
from parts.rules import web_rules
from parts.web import ITEMS
from tests.unit.policy.rules.cases import settings

from bodycam.journal.settings import JournalSettings
from bodycam.journal.writer import JournalWriter
from bodycam.model import ids
from bodycam.policy.decision import DecisionPoint
from bodycam.policy.detectors import secrets
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.redaction import Redactor
from bodycam.policy.rules.compiling import compile_rules

CLOSING = "the client closed its connection"


async def write(folder: Path, key: bytes, links: int) -> Written:
    """The journal of a worker's whole life: each link has asked for a thousand documents."""
    redaction = Redactor(matcher=Patterns.open(folder / "detectors").matcher([secrets.GROUP]))
    written = "\n".join("  " + line for line in yaml.safe_dump(web_rules(10)).splitlines()) + "\n"
    incarnation = os.urandom(16)
    journal = JournalWriter.create(
        folder / "journal" / incarnation.hex(),
        incarnation=incarnation,
        recipient=X25519PublicKey.from_public_bytes(key),
        settings=JournalSettings(max_bytes=4096 * MIB, disk_reserve=0),
    )
    await journal.start()
    stage = Stage(journal, redaction, DecisionPoint(compile_rules(settings(written)), "p1"))
    names = [ids.new_id(ids.SESSION) for _ in range(links)]
    opened = [logged_in(stage, name) for name in names]
    asked, answered = asks(), answers()
    begun, wire = time.process_time(), 0
    for first in range(0, ITEMS, 10):
        ask(opened, asked, answered, first, 10)
        # segments are made in a thread
        await asyncio.sleep(0)
    cpu = time.process_time() - begun
    wire = sum(map(len, asked)) + sum(map(len, answered))
    for link in opened:
        link.machine.client_gone()
    await journal.close()
    # the login asked for something as well
    return Written(tuple(names), (ITEMS + 1) * links, wire * links, cpu)


def after(links: int, *, indexed: bool, profile: bool = False) -> tuple[Written, Cost]:
    """An archivist over a journal that is there already."""
    with tempfile.TemporaryDirectory() as root:
        house = House(Path(root), indexed=indexed)
        done = asyncio.run(write(house.root, house.public, links))
        if not profile:
            return done, asyncio.run(house.follow(lambda: done))
        profiler = cProfile.Profile()
        threading.setprofile(lambda *_: profiler.enable())
        cost = profiler.runcall(asyncio.run, house.follow(lambda: done))
        threading.setprofile(None)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(50)
        return done, cost


def measure(links: int, profile: bool) -> list[Row]:
    """Recording, and recording with the index."""
    _, alone = after(links, indexed=False)
    written, whole = after(links, indexed=True, profile=profile)
    size, wire = alone.recordings / written.exchanges, written.wire / written.exchanges
    return [
        row("GET: recording, CPU", alone.cpu, "us/exchange"),
        row("GET: index, CPU", whole.cpu - alone.cpu, "us/exchange"),
        row("GET: recording", size, "B/exchange", against="raw wire", base=wire, at_most=0.3),
        row("GET: index", whole.catalog / written.exchanges, "B/exchange", against="raw wire", base=wire),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sessions")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--profile", action="store_true", help="also where the time goes")
    options = parser.parse_args()
    about = machine()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as the archivist does
    show("archivist_http", measure(8 if options.quick else 32, options.profile), about, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
