"""asyncpg's own tests, from its source distribution, run against an address and read test by test."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.thirdparty.cache import CACHE, call

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"


class Suite:
    """The tests of the asyncpg that is installed."""

    def __init__(self) -> None:
        self.version = version("asyncpg")
        self._folder = CACHE / f"asyncpg-{self.version}"

    def fetch(self) -> None:
        """Have them, and what they import, in the cache.

        Raises:
            Unavailable: they can't be fetched.
        """
        if (self._folder / "fetched").exists():
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
        with tempfile.TemporaryDirectory() as work:
            options = ["--no-deps", "--no-binary", "asyncpg", "-d", work]
            call([*pip, "download", *options, f"asyncpg=={self.version}"], cwd=self._folder)
            call([*pip, "install", "--target", self._folder / "imported", "distro"], cwd=self._folder)
            (source,) = Path(work).glob("asyncpg-*.tar.gz")
            with tarfile.open(source) as archive:
                archive.extractall(work, filter="data")
            (tests,) = Path(work).glob("asyncpg-*/tests")
            shutil.copytree(tests, self._folder / "tests")
        (self._folder / "fetched").touch()

    def run(self, environment: Mapping[str, str], what: Sequence[str]) -> dict[str, str]:
        """Run files or tests; returns what became of each, by `file::class::test` without the file's suffix.

        Raises:
            RuntimeError: pytest itself failed.
        """
        with tempfile.TemporaryDirectory() as work:
            report = Path(work) / "report.xml"
            # a copy, because the tests write beside themselves
            shutil.copytree(self._folder / "tests", Path(work) / "tests")
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={work}", "-q"),
                    *("-p", "no:cacheprovider", "-p", "no:asyncio", "--import-mode=importlib"),
                    *("--tb=native", "-W", "default", "--timeout=120"),
                    *("-o", "junit_family=xunit1", f"--junitxml={report}", *what),
                ],
                cwd=work,
                env=dict(environment) | {"PYTHONPATH": str(self._folder / "imported")},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            if done.returncode not in (0, 1):
                raise RuntimeError(f"asyncpg's tests did not run ({done.returncode}):\n{done.stdout[-4000:]}")
            cases = ET.parse(report).iter("testcase")
            return {_name(case): _outcome(case) for case in cases}


def _name(case: ET.Element) -> str:
    # in JUnit's words: class "tests.test_copy.TestCopyFrom", name "test_copy_01"
    return f"{case.get('classname', '').removeprefix('tests.').replace('.', '::')}::{case.get('name')}"


def _outcome(case: ET.Element) -> str:
    tags = {part.tag for part in case}
    if tags & {"failure", "error"}:
        return FAILED
    return SKIPPED if "skipped" in tags else PASSED
