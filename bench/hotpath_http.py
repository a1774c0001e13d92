"""What a small GET costs the worker beside its sockets: reading, judging, recording, releasing.

`python bench/hotpath_http.py [--quick] [--json] [--profile]`. Links with the HTTP machine and a real journal,
between transports that throw away what they get. A proxy's client asks for documents of 1 KiB of JSON, by ten
rules, and requests are looked through for keys and tokens, as in a gateway that was set up. First each path
is new in its session, then all have been there.
"""

import argparse
import asyncio
import base64
import cProfile
import gc
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: E402
from hotpath import MIB, Drain, Stage  # noqa: E402
from parts.machine import Row, machine, row, show  # noqa: E402
from parts.rules import web_rules  # noqa: E402
from parts.web import ITEMS, document  # noqa: E402
from tests.playbook.play import CHALLENGE_CLEARTEXT, DIALLED, GRANT  # noqa: E402
from tests.unit.policy.rules.cases import settings  # noqa: E402

from bodycam.gateway.link import ProxyLink  # noqa: E402
from bodycam.gateway.side import Side  # noqa: E402
from bodycam.journal.settings import JournalSettings  # noqa: E402
from bodycam.journal.writer import JournalWriter  # noqa: E402
from bodycam.model import ids  # noqa: E402
from bodycam.model.target import Dial, Target, TlsMode  # noqa: E402
from bodycam.policy.decision import DecisionPoint  # noqa: E402
from bodycam.policy.detectors import secrets  # noqa: E402
from bodycam.policy.detectors.patterns import Patterns  # noqa: E402
from bodycam.policy.redaction import Redactor  # noqa: E402
from bodycam.policy.rules.compiling import compile_rules  # noqa: E402
from bodycam.protocols.http.machine import HttpMachine  # noqa: E402

HOST = "127.0.0.1:8080"
LOGIN = base64.b64encode(b"run_bench:bcr_secret").decode()
ANSWER = (
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\n"
    "Content-Type: application/json\r\nContent-Length: {}\r\n"
    "Last-Modified: Thu, 26 Nov 2026 09:00:00 GMT\r\nConnection: keep-alive\r\n"
    'ETag: "6b3f-41a"\r\nAccept-Ranges: bytes\r\n\r\n{}'
)
LINKS = 32


def asks() -> list[bytes]:
    """The requests, as the clients of the whole benchmark send them."""
    lines = f"Host: {HOST}\r\nProxy-Authorization: Basic {LOGIN}\r\n\r\n"
    return [f"GET http://{HOST}/item/{number}.json HTTP/1.1\r\n{lines}".encode() for number in range(ITEMS)]


def answers() -> list[bytes]:
    """What they are answered."""
    bodies = [document(number) for number in range(ITEMS)]
    return [ANSWER.format(len(body), body).encode() for body in bodies]


def logged_in(stage: Stage, name: str) -> ProxyLink:
    """A link whose session, of that name, has asked for one thing."""
    link = ProxyLink(
        cast("Any", stage), HttpMachine, address="127.0.0.1:1", secure=True, message_limit=16 * MIB
    )
    for side in ("client", "target"):
        Side(link, side).connection_made(Drain())
    dial = Dial("127.0.0.1", 8080, "", "", tls=TlsMode.DISABLE)
    grant = replace(GRANT, session=name, target=Target("web", "http"), database="", dial=dial)
    link.client_data(asks()[0].replace(b"/item/0.json", b"/first"))
    for answer in (CHALLENGE_CLEARTEXT, grant, DIALLED):
        link.machine.answer(answer)
        stage.moved(link)
    link.target_data(answers()[0])
    return link


def ask(
    links: Sequence[ProxyLink],
    asked: Sequence[bytes],
    answered: Sequence[bytes],
    first: int = 0,
    count: int = ITEMS,
) -> int:
    """Each link asks for so many documents, in an order of its own; gives how many that were."""
    for number in range(first, first + count):
        for place, link in enumerate(links):
            at = (number + 31 * place) % ITEMS
            link.client_data(asked[at])
            link.target_data(answered[at])
    return count * len(links)


async def measure(folder: Path, rounds: int, links: int, profile: bool) -> list[Row]:
    """So many journals, one after the other."""
    redaction = Redactor(matcher=Patterns.open(folder / "detectors").matcher([secrets.GROUP]))
    written = "\n".join("  " + line for line in yaml.safe_dump(web_rules(10)).splitlines()) + "\n"
    rules = compile_rules(settings(written))
    asked, answered = asks(), answers()
    costs: dict[str, list[float]] = {"new paths": [], "known paths": []}
    for _ in range(rounds):
        incarnation = os.urandom(16)
        journal = JournalWriter.create(
            folder / incarnation.hex(),
            incarnation=incarnation,
            recipient=X25519PrivateKey.generate().public_key(),
            settings=JournalSettings(max_bytes=4096 * MIB),
        )
        await journal.start()
        stage = Stage(journal, redaction, DecisionPoint(rules, "p1"))
        opened = [logged_in(stage, ids.new_id(ids.SESSION)) for _ in range(links)]
        ask(opened[:1], asked, answered)
        for each in costs.values():
            began = time.process_time_ns()
            count = ask(opened[1:], asked, answered)
            each.append((time.process_time_ns() - began) / count / 1000)
            # segments are made in a thread
            await asyncio.sleep(0.01)
        if profile:
            profiler = cProfile.Profile()
            profiler.runcall(ask, opened[:1], asked, answered)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
            profile = False
        await journal.close()
        for path in (folder / incarnation.hex()).iterdir():
            path.unlink()
    return [row(f"hot path, GET, {name}", statistics.median(each), "us/req") for name, each in costs.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="also where the time goes")
    chosen = parser.parse_args()
    rounds, links = (3, 8) if chosen.quick else (5, LINKS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # as a worker does
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), rounds, links, chosen.profile))
    show("hotpath_http", found, machine(), as_json=chosen.json)


if __name__ == "__main__":
    main()
