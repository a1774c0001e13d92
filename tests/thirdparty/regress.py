"""Running PostgreSQL's regression tests by its own pg_regress, over a server or over a gateway."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import stage
from tests.thirdparty.cache import Unavailable

DATABASE = "regression"
# what pg_regress itself sets on a database that it makes
SETTINGS = {
    "lc_messages": "C",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "bytea_output": "hex",
    "timezone_abbreviations": "Default",
}
_LINE = re.compile(r"^(?:test |\s+)?(?P<name>[\w.]+)\s+\.\.\. (?P<end>ok|FAILED)", re.MULTILINE)
_TAP = re.compile(r"^(?P<end>ok|not ok) \d+ +[-+] (?P<name>[\w.]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Results:
    """What each test printed, and whether PostgreSQL's authors expect it."""

    printed: Mapping[str, bytes]
    expected: Mapping[str, bool]


class Suite:
    """The suite in a folder that the server may read and write."""

    def __init__(self, source: Path, folder: Path, server: stage.Postgres) -> None:
        self._folder, self._server = folder, server
        self._input = folder / "input"
        shutil.copytree(source, self._input)
        self._user = "postgres" if os.getuid() == 0 else None
        self._give(self._input)

    def run(self, name: str, environment: Mapping[str, str], schedule: str | None) -> Results:
        """Run it on a fresh database: the tests of a schedule, or all.

        Raises:
            Unavailable: there is no pg_regress.
        """
        self._fresh_database()
        output = self._folder / name
        output.mkdir()
        self._give(output)
        order = self._input / "parallel_schedule"
        if schedule is not None:
            order = output / "schedule"
            order.write_text(schedule)
        program = self._server.bin.parent / "lib/pgxs/src/test/regress/pg_regress"
        if not program.exists():
            raise Unavailable(f"there is no {program}")
        done = subprocess.run(
            [
                *(program, "--use-existing", f"--dbname={DATABASE}", f"--bindir={self._server.bin}"),
                *(f"--inputdir={self._input}", f"--dlpath={self._input}", f"--outputdir={output}"),
                *("--host=127.0.0.1", f"--port={environment['PGPORT']}", f"--user={environment['PGUSER']}"),
                *("--max-concurrent-tests=20", f"--schedule={order}"),
            ],
            user=self._user,
            cwd=output,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        found = [*_LINE.finditer(done.stdout), *_TAP.finditer(done.stdout)]
        if not found:
            raise RuntimeError(f"pg_regress ran nothing ({done.returncode}): {done.stdout}{done.stderr}")
        return Results(
            {file.stem: file.read_bytes() for file in (output / "results").glob("*.out")},
            {match["name"]: match["end"] == "ok" for match in found},
        )

    def _fresh_database(self) -> None:
        self._server.sql(
            f"drop database if exists {DATABASE} with (force)",
            f"create database {DATABASE} template template0 encoding 'UTF8' locale 'C'",
            *(f"alter database {DATABASE} set {name} to '{value}'" for name, value in SETTINGS.items()),
        )

    def _give(self, folder: Path) -> None:
        if self._user is not None:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, self._user)
