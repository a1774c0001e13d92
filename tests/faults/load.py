"""pgbench's TPC-B transactions through the gateway, each with a token of its own that says which it was."""

import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests import stage

# pgbench's own TPC-B script with one statement more; `n` outlives a transaction and counts them by client
SCRIPT = """\
\\set n :n + 1
\\set aid random(1, 100000 * :scale)
\\set bid random(1, 1 * :scale)
\\set tid random(1, 10 * :scale)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
INSERT INTO marks (load, client, number) VALUES (:load, :client_id, :n);
END;
"""
_ABORTED = re.compile(r"client \d+ (?:script \d+ )?aborted")


class Token(NamedTuple):
    """One transaction: of which pgbench, of which of its clients, and its number there."""

    load: int
    client: int
    number: int


@dataclass(frozen=True, slots=True)
class Done:
    """What one pgbench saw: the transactions that were committed for it, and how many clients lost theirs."""

    committed: frozenset[Token]
    thrown_out: int
    said: str


class Bench:
    """Starts pgbench again and again on one database; no two loads share a token."""

    def __init__(self, server: stage.Postgres, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._numbers = count(1)
        self._started: list[subprocess.Popen[str]] = []
        self._script = folder / "tpcb.sql"

    def prepare(self) -> None:
        """Make pgbench's tables at scale 1, and the one for tokens."""
        self._script.write_text(SCRIPT)
        subprocess.run(
            [self._server.bin / "pgbench", "-i", "-q", "-s", "1"],
            env=self._server.direct(),
            check=True,
            capture_output=True,
            timeout=60,
        )
        self._server.sql(
            "create table marks (load bigint, client bigint, number bigint, primary key (load, client, number))"
        )

    def start(self, environment: Mapping[str, str], mode: str, seconds: int, clients: int = 6) -> "Load":
        """Start one load."""
        number = next(self._numbers)
        log = self._folder / f"load-{number}"
        process = subprocess.Popen(
            [
                *(self._server.bin / "pgbench", "-n", "-M", mode, "-f", self._script),
                *("-s", "1", "-D", f"load={number}", "-D", "n=0"),
                *("-c", str(clients), "-j", "2", "-T", str(seconds)),
                *("--log", f"--log-prefix={log}"),
            ],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return Load(number, process, log)

    def close(self) -> None:
        """End what a failed test left running."""
        for process in self._started:
            if process.returncode is None:
                process.kill()
                process.communicate(timeout=10)

    def under_way(self, load: "Load", transactions: int = 10) -> None:
        """Wait until a load has so many transactions behind it."""
        count = f"select count(*) from marks where load = {load.number}"
        deadline = time.monotonic() + 30
        while int(self._server.sql(count)) < transactions:
            assert load.process.poll() is None, f"the load ended before it began: {load.finish().said}"
            assert time.monotonic() < deadline, "the load does not get under way"
            time.sleep(0.02)

    def in_table(self) -> set[Token]:
        """The transactions that the database itself has committed."""
        said = self._server.sql("select load, client, number from marks").split()
        return {Token(*map(int, line.split("|"))) for line in said}


@dataclass(frozen=True, slots=True)
class Load:
    """One pgbench that runs."""

    number: int
    process: "subprocess.Popen[str]"
    log: Path

    def finish(self, within: float = 60) -> Done:
        """Wait for its end, so many seconds at most; one whose clients were all thrown out ends early."""
        _, said = self.process.communicate(timeout=within)
        committed = set()
        for path in self.log.parent.glob(f"{self.log.name}.*"):
            for line in path.read_text().splitlines():
                # client, transaction, microseconds or "failed", ...: written when the COMMIT was answered
                client, number, took = line.split()[:3]
                if took != "failed":
                    committed.add(Token(self.number, int(client), int(number)))
        return Done(frozenset(committed), len(_ABORTED.findall(said)), said)
