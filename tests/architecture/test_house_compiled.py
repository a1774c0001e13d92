"""What is compiled: the modules that are named exist, and nothing outlives a change of its sources."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["bodycam"]["compiled"]


@pytest.mark.parametrize("module", COMPILED)
def test_a_module_that_is_compiled_is_there(module: str) -> None:
    assert (ROOT / "src" / module).is_file()


def test_the_modules_are_named_once_and_in_order() -> None:
    assert sorted(set(COMPILED)) == COMPILED


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small house in which one module was compiled."""
    for name in ("compile_hot_path.py", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    for module in COMPILED:
        source = tmp_path / "src" / module
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("")
    compiled_of(tmp_path).write_bytes(b"\x7fELF")
    return tmp_path


def compiled_of(house: Path) -> Path:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return house / "src" / f"{COMPILED[0].removesuffix('.py')}{suffix}"


def tidy(house: Path) -> str:
    done = subprocess.run(
        [sys.executable, "compile_hot_path.py", "--tidy"],
        cwd=house,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr


def test_what_was_compiled_of_other_sources_is_taken_away(house: Path) -> None:
    assert "the sources have changed" in tidy(house)
    assert not compiled_of(house).exists()
    assert tidy(house) == ""


def test_what_was_compiled_of_these_sources_stays_until_one_changes(house: Path) -> None:
    stamp = "import compile_hot_path as c; c.STAMP.write_text(c.stamp(c.FAST))"
    subprocess.run([sys.executable, "-c", stamp], cwd=house, timeout=60, check=True)
    assert tidy(house) == ""
    assert compiled_of(house).exists()

    (house / "src" / COMPILED[0]).write_text("CHANGED = True\n")
    tidy(house)
    assert not compiled_of(house).exists()
