"""Running pgbench and reading what it says."""

import re
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_DONE = re.compile(r"number of transactions actually processed: (\d+)")
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """What one pgbench did: transactions, their rate a second, and each one's microseconds if asked."""

    transactions: int
    tps: float
    latencies: tuple[int, ...] = ()

    def percentile(self, part: int) -> float:
        """The latency in microseconds below which `part` percent of the transactions stayed."""
        return statistics.quantiles(self.latencies, n=100)[part - 1]


def pgbench(
    program: Path,
    environment: Mapping[str, str],
    *arguments: str,
    latencies: bool = False,
    timeout: float = 300,
) -> Load:
    """Run pgbench with these arguments.

    Raises:
        RuntimeError: it failed, or a client of it was aborted.
    """
    with tempfile.TemporaryDirectory() as folder:
        logging = ["--log", f"--log-prefix={folder}/log"] if latencies else []
        done = subprocess.run(
            [program, "-n", *arguments, *logging],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        transactions, tps = _DONE.search(done.stdout), _TPS.search(done.stdout)
        if done.returncode or transactions is None or tps is None:
            raise RuntimeError(f"pgbench failed ({done.returncode}): {done.stderr[-2000:]}")
        # client, transaction, microseconds, script, end
        found = (line.split()[2] for log in Path(folder).iterdir() for line in log.read_text().splitlines())
        return Load(int(transactions[1]), float(tps[1]), tuple(int(one) for one in found))
