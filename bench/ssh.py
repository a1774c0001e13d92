"""SSH through Bodycam beside OpenSSH's client and server alone, both from one run.

python bench/ssh.py [--quick] [--json]

Full recording is on, ten rules are asked, and there is one worker. Client and server are OpenSSH's on both
ways. Through the gateway the client is configured as `bodycam run` does it. A bound that is missed is
reported, and is no failure of the benchmark.
"""

import argparse
import contextlib
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # the server and the gateway are the tests' own

from parts.machine import Row, machine, row, show  # noqa: E402
from parts.process import cpu, folder_size, private_memory, watched_memory  # noqa: E402
from parts.rules import shell_rules  # noqa: E402
from parts.ssh import TARGET, Way, target, through  # noqa: E402
from tests.openssh import OpenSsh, sshd  # noqa: E402
from tests.stage import Gateway, folder, free_port  # noqa: E402

DIRECT, BODYCAM = "direct", "Bodycam"
EXEC_BOUND, BULK_BOUND, MEMORY_BOUND = 0.5, 0.4, 48
LIMITS = {"connections_per_run": 3_000, "connections": 3_000, "pending_logins": 256}
MIB = 2**20
LINE = (
    b"2026-11-26T%02d:%02d:%02d.%06d orders[%d]: paid %d.%02d EUR, customer %d, ship to Example Street %d\n"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: commands, rounds of all that is large, bytes of a file and a text, small files."""

    commands: int
    rounds: int
    file: int
    text: int
    files: int


QUICK = Size(commands=30, rounds=1, file=128 * MIB, text=32 * MIB, files=200)
FULL = Size(commands=200, rounds=3, file=1024 * MIB, text=100 * MIB, files=1_000)


class Bench:
    """The stage and what has been measured on it so far."""

    def __init__(self, server: OpenSsh, gateway: Gateway, port: int, place: Path, size: Size) -> None:
        self.server, self.gateway, self.port, self.place, self.size = server, gateway, port, place, size
        self.rows: list[Row] = []
        children = gateway.children()
        self.worker, self.archivist = tuple(children["worker"]), tuple(children["archivist"])
        self.control = tuple(children["control"])
        self.ways: dict[str, Way] = {DIRECT: Way("direct", server.config)}
        self._runs = 0

    def add(self, measure: str, value: float | None, unit: str, **rest: float | str | None) -> None:
        """Keep one row."""
        self.rows.append(row(measure, value, unit, **rest))  # type: ignore[arg-type]

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """A run of its own, so that what it recorded is sealed and can be counted."""
        self._runs += 1
        own = self.place / f"run-{self._runs}"
        self.ways[BODYCAM], credential = through(self.gateway, self.port, self.worker, own, self.server)
        yield
        self.gateway.end(credential, wait=60)

    # -- the measures ---------------------------------------------------------------------------

    def commands(self, *, lasting: bool) -> None:
        """`true`, one after the other: in a connection that stays, or in one for each."""
        took: dict[str, list[float]] = {}
        archivist, control = cpu(self.archivist), cpu(self.control)
        used = 0.0
        with self.run():
            for name, way in self.ways.items():
                with contextlib.ExitStack() as stack:
                    options = ["-S", stack.enter_context(way.master())] if lasting else []
                    way.do("ssh", *options, TARGET, "true")
                    before = cpu(way.pids)
                    took[name] = [way.do("ssh", *options, TARGET, "true") for _ in range(self.size.commands)]
                    used = cpu(way.pids) - before
        each = 1e3 / self.size.commands
        what = f"exec of true, {'one connection' if lasting else 'new connections'}"
        rates = {name: 1 / statistics.mean(found) for name, found in took.items()}
        self.add(f"{what}: direct", rates[DIRECT], "1/s")
        self._against_direct(f"{what}: Bodycam", rates, "1/s", EXEC_BOUND)
        for part in (50, 99):
            cut = {name: statistics.quantiles(found, n=100)[part - 1] * 1e3 for name, found in took.items()}
            self.add(f"{what}: direct p{part}", cut[DIRECT], "ms")
            self.add(f"{what}: Bodycam p{part}", cut[BODYCAM], "ms")
        self.add(f"{what}: worker, CPU", used * each, "ms")
        self.add(f"{what}: archivist, CPU", (cpu(self.archivist) - archivist) * each, "ms")
        self.add(f"{what}: control, CPU", (cpu(self.control) - control) * each, "ms")

    def file(self) -> None:
        """A large file, to the server and back."""
        here, there = self.place / "large", self.place / "copied"
        with here.open("wb") as file:
            _write_noise(file.write, self.size.file)
        for what, how in (
            ("scp to the server", (here, f"{TARGET}:{there}")),
            ("scp from it", (f"{TARGET}:{here}", there)),
        ):
            self._bulk(
                f"{what}, {self.size.file // MIB:,} MiB",
                self.size.file,
                lambda way, how=how: way.do("scp", "-q", *how),
            )
        for path in (here, there):
            path.unlink()

    def terminal(self) -> None:
        """A text, to a terminal."""
        text = self.place / "text"
        with text.open("wb") as file:
            _write_lines(file.write, self.size.text)
        size = text.stat().st_size
        what = f"cat of {size // MIB:,} MiB to a terminal"
        stored = self._bulk(what, size, lambda way: way.do("ssh", "-tt", TARGET, f"cat {text}"))
        self.add(f"{what}: recording", stored / MIB, "MiB", against="the text", base=size / MIB)
        text.unlink()

    def files(self) -> None:
        """Many small files, by sftp."""
        here, count = self.place / "small", self.size.files
        here.mkdir()
        for number in range(count):
            (here / f"{number}.json").write_bytes(b'{"order": %d, "paid": true}\n' % number * 32)
        batch = self.place / "batch"
        rates: dict[str, list[float]] = {}
        used, stored, archivist = [], folder_size(self._recordings), cpu(self.archivist)
        with self.run():
            for turn in range(self.size.rounds):
                for name, way in self.ways.items():
                    there = self.place / f"small-{name}-{turn}"
                    batch.write_text(f"mkdir {there}\nput {here}/*.json {there}/\n")
                    before = cpu(way.pids)
                    rates.setdefault(name, []).append(count / way.do("sftp", "-q", "-b", batch, TARGET))
                    if name == BODYCAM:
                        used.append((cpu(way.pids) - before) / count * 1e6)
                    if len(list(there.iterdir())) != count:
                        raise RuntimeError("not all files have come")
        archivist = (cpu(self.archivist) - archivist) / count / self.size.rounds * 1e6
        what = f"sftp of {count:,} files of 1 KiB"
        middle = {name: statistics.median(each) for name, each in rates.items()}
        self.add(f"{what}: direct", middle[DIRECT], "files/s")
        self._against_direct(f"{what}: Bodycam", middle, "files/s", BULK_BOUND)
        self.add(f"{what}: worker, CPU", statistics.median(used), "us/file")
        self.add(f"{what}: archivist, CPU", archivist, "us/file")
        size = (folder_size(self._recordings) - stored) / count / self.size.rounds
        self.add(f"{what}: recording", size, "B/file")

    # -- what they share ------------------------------------------------------------------------

    def _bulk(self, what: str, size: int, work: Callable[[Way], float]) -> int:
        """Much data in one direction, in turns; gives the bytes that one recording of it took."""
        rates: dict[str, list[float]] = {}
        used, peak, stored, archivist = [], 0, folder_size(self._recordings), cpu(self.archivist)
        before = sum(map(private_memory, self.worker))
        with self.run():
            for _ in range(self.size.rounds):
                for name, way in self.ways.items():
                    spent = cpu(way.pids)
                    with watched_memory(self.worker) as seen:
                        rates.setdefault(name, []).append(size / MIB / work(way))
                    if name == BODYCAM:
                        used.append((cpu(way.pids) - spent) / size * 2**30)
                        peak = max(peak, *seen)
        archivist = (cpu(self.archivist) - archivist) / size / self.size.rounds * 2**30
        middle = {name: statistics.median(each) for name, each in rates.items()}
        self.add(f"{what}: direct", middle[DIRECT], "MiB/s")
        self._against_direct(f"{what}: Bodycam", middle, "MiB/s", BULK_BOUND)
        self.add(f"{what}: worker, CPU", statistics.median(used), "s/GiB")
        self.add(f"{what}: archivist, CPU", archivist, "s/GiB")
        grown = max(peak - before, 0) / MIB
        self.add(f"{what}: worker, memory at most added", grown, "MiB", at_most=MEMORY_BOUND)
        return (folder_size(self._recordings) - stored) // self.size.rounds

    def _against_direct(self, what: str, found: dict[str, float], unit: str, bound: float) -> None:
        self.add(what, found[BODYCAM], unit, against=DIRECT, base=found[DIRECT], at_least=bound)

    @property
    def _recordings(self) -> Path:
        return self.gateway.data / "recordings"


def _write_noise(write: Callable[[bytes], object], size: int) -> None:
    """So many bytes that can't be made smaller."""
    for _ in range(size // MIB):
        write(os.urandom(MIB))


def _write_lines(write: Callable[[bytes], object], size: int) -> None:
    """A service's log of about that many bytes."""
    written = number = 0
    while written < size:
        lines = b"".join(
            LINE
            % (
                n // 3600 % 24,
                n // 60 % 60,
                n % 60,
                n * 7919 % 10**6,
                n % 97,
                n * 31 % 9973,
                n % 100,
                n * 7919 % 100003,
                n % 311,
            )
            for n in range(number, number + 10_000)
        )
        number += 10_000
        written += len(lines)
        write(lines)


def measure(size: Size, only: Sequence[str] = ()) -> list[Row]:
    """Everything, or what is named, on a server and a gateway made for it."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(folder())
        # left out is what would flatter the gateway: start-up files of the user's shell, and a key exchange
        # that OpenSSH 9 agrees on with itself, which takes longer than all else of a connection
        settings = ["LogLevel ERROR", f"SetEnv HOME={place}", "KexAlgorithms curve25519-sha256"]
        server = stack.enter_context(sshd(place / "sshd", settings=settings))
        port = free_port()
        gateway = Gateway(
            place / "gateway",
            {TARGET: target(server)},
            listen={"ssh": f"127.0.0.1:{port}"},
            limits=LIMITS,
            rules=shell_rules(10),
        )
        gateway.init()
        gateway.start()
        stack.callback(gateway.stop)
        bench = Bench(server, gateway, port, place, size)
        for name, work in MEASURES.items():
            if not only or name in only:
                work(bench)
        return bench.rows


MEASURES: dict[str, Callable[[Bench], None]] = {
    "one": lambda bench: bench.commands(lasting=True),
    "new": lambda bench: bench.commands(lasting=False),
    "scp": Bench.file,
    "terminal": Bench.terminal,
    "sftp": Bench.files,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of all, within a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--only", action="append", choices=MEASURES, help="this alone; may come again")
    options = parser.parse_args()
    about = machine()
    rows = measure(QUICK if options.quick else FULL, options.only or ())
    show("ssh", rows, about, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
