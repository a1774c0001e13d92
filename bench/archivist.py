"""What the archivist costs an exchange of `pgbench -S -M prepared`: recording and index apart, and its bytes.

python bench/archivist.py [--quick] [--json] [--exchanges N] [--rate N] [--balances N] [--folder FOLDER]

First a journal is written, then archivists read it as fast as they can: one with an index that takes nothing,
one with the real one; their difference is the index. Then another process writes at `--rate` exchanges a
second, and an archivist follows as a gateway's does.
"""

import argparse
import asyncio
import gc
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from parts.load import Load, Written, write
from parts.machine import Row, machine, row, show
from parts.process import folder_size

from bodycam.archive import keys
from bodycam.archive.archivist import ArchiveSettings, Archivist, Folders
from bodycam.archive.builder import SessionBuilder, Taken
from bodycam.archive.index import Indexer, IndexSettings
from bodycam.archive.indexing import ContainerIndexer, IndexThread, Markers
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Ledger
from bodycam.archive.sealing import Sealed, Sealer
from bodycam.archive.service import ArchivistService
from bodycam.archive.store.local import LocalStore
from bodycam.catalog.engine import make_engine, reading
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.schema import migrate
from bodycam.model import ids
from bodycam.registry import TRANSCRIPTS

CAPS = IndexSettings(values=4096, error=4096, output=16384)
"""The caps that the settings have unless somebody changes them."""


class NoIndex:
    """An index that takes nothing."""

    def taken(self, events: Taken) -> None: ...

    def missed(self, builder: SessionBuilder) -> None: ...

    def sealing(self, name: str) -> None: ...

    def sealed(self, sealed: Sealed) -> None: ...

    def backlog(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What it took until all was sealed and indexed: CPU microseconds an exchange, bytes, seconds of lag."""

    cpu: float
    recordings: int
    catalog: int
    behind: float


class House:
    """A gateway's data folder with an archivist over it."""

    def __init__(self, root: Path, *, indexed: bool) -> None:
        self.root, self.indexed = root, indexed
        keys.generate(root / "keys")
        own = keys.load_archivist(root / "keys")
        self.public = own.journal.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        staging = root / "staging"
        self.store = LocalStore(root / "recordings")
        self.keystore = KeyStore(root / "keystore" / "keys.db", own.wrapping)
        (root / "catalog").mkdir()
        self.engine = make_engine(f"sqlite:///{root / 'catalog' / 'catalog.db'}")
        migrate(self.engine)
        containers = ContainerIndexer(Indexer(self.engine, TRANSCRIPTS, CAPS), self.store, self.keystore)
        self.index = IndexThread(containers, Markers(staging / "unindexed"))
        self.archivist = Archivist(
            Folders(journal=root / "journal", staging=staging),
            journal_key=own.journal,
            ledger=Ledger(root / "ledger", own.signing),
            keystore=self.keystore,
            sealer=Sealer(staging / "intent", self.store, self.keystore, own.signing),
            index=self.index if indexed else NoIndex(),
            settings=ArchiveSettings(),
        )
        self.service = ArchivistService(
            self.archivist, store=self.store, keystore=self.keystore, find=lambda _: None, verify=dict
        )

    async def follow(self, written: Callable[[], Written | None]) -> Cost:
        """Run the archivist until what `written` gives in the end is sealed, and indexed."""
        cpu, stop = time.process_time(), asyncio.Event()
        if self.indexed:
            self.index.start()
        running = asyncio.create_task(self.service.run(self.root / "s", stop))
        while (found := written()) is None:
            await asyncio.sleep(0.05)
        ended = time.perf_counter()
        while not self._done(found):
            await asyncio.sleep(0.02)
        used, behind = time.process_time() - cpu, time.perf_counter() - ended
        stop.set()
        await running
        self._close(found)
        size = folder_size(self.root / "recordings"), folder_size(self.root / "catalog")
        return Cost(used / found.exchanges * 1e6, *size, behind)

    def _done(self, written: Written) -> bool:
        sealed = all(self.archivist.is_sealed(ids.raw(one)) for one in written.sessions)
        return sealed and not (self.indexed and self.index.backlog())

    def _close(self, written: Written) -> None:
        if self.indexed:
            self.index.stop()
            wanted = ExchangeFilter(session=written.sessions[-1])
            with reading(self.engine) as connection:
                last = list_exchanges(connection, wanted, limit=1, newest=True).items[0]
            if last.number != written.exchanges // len(written.sessions):
                raise RuntimeError(f"the index ends with exchange {last.number}")
        self.engine.dispose()
        self.keystore.close()


def after(load: Load, folder: Path | None, *, indexed: bool) -> tuple[Written, Cost]:
    """An archivist over a journal that is there already."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        house = House(Path(root), indexed=indexed)
        done = write(house.root / "journal", load, house.public)
        return done, asyncio.run(house.follow(lambda: done))


def beside(load: Load, folder: Path | None, *, indexed: bool = True) -> tuple[Written, Cost]:
    """An archivist beside a worker that writes at its own rate."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=folder) as root, ProcessPoolExecutor(1, context) as pool:
        house = House(Path(root), indexed=indexed)
        coming = pool.submit(write, house.root / "journal", load, house.public)
        cost = asyncio.run(house.follow(lambda: coming.result() if coming.done() else None))
        return coming.result(), cost


def measure(load: Load, folder: Path | None) -> list[Row]:
    rows: list[Row] = []
    for shared in (1, 8):
        chosen = replace(load, shared=shared, rate=None)
        written, alone = after(chosen, folder, indexed=False)
        worker = written.cpu / written.exchanges * 1e6
        label = f"journal records of {shared} link{'s' * (shared > 1)}"
        rows.append(row(f"{label}: writing, CPU", worker, "us/exchange"))
        rows.append(row(f"{label}: recording, CPU", alone.cpu, "us/exchange"))
        _, whole = after(chosen, folder, indexed=True)
        rows.append(row(f"{label}: index, CPU", whole.cpu - alone.cpu, "us/exchange"))
        size, wire = alone.recordings / written.exchanges, written.wire / written.exchanges
        rows.append(
            row(f"{label}: recording", size, "B/exchange", against="raw wire", base=wire, at_most=0.2)
        )
    rows.append(row("index", whole.catalog / written.exchanges, "B/exchange", against="raw wire", base=wire))
    written, whole = beside(replace(load, shared=4), folder)
    label = f"live, {load.rate:,} exchanges/s"
    rows.append(row(f"{label}: archivist, CPU", whole.cpu, "us/exchange"))
    rows.append(row(f"{label}: sealed and indexed behind the last", whole.behind, "s"))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer exchanges, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--exchanges", type=int, help="how many; 200,000 else")
    parser.add_argument("--rate", type=int, default=4000, help="exchanges a second of the live part")
    parser.add_argument("--balances", type=int, default=1, help="how many different answers there are")
    parser.add_argument("--folder", type=Path, help="where everything is put; a temporary folder else")
    options = parser.parse_args()
    exchanges = options.exchanges or (20_000 if options.quick else 200_000)
    load = Load(exchanges, balances=options.balances, rate=options.rate)
    about = machine()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # as the archivist does
    show("archivist", measure(load, options.folder), about, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
