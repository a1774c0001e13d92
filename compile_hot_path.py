"""Compiles the modules of the hot path with mypyc, in place: `./dev compile`.

The same sources run interpreted where nothing was compiled. What was compiled is taken away as soon as a
source of it has changed, so that nobody runs yesterday's code.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SOURCE = ROOT / "src"
STAMP = SOURCE / "bodycam_hot_path.stamp"
GROUP = "bodycam_hot_path"
# what the C compiler is asked for
FAST, QUICK = "3", "1"


def modules() -> list[str]:
    """The sources, relative to `src`."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(settings["tool"]["bodycam"]["compiled"])


def compiled() -> list[Path]:
    """What stands there compiled, by an earlier list too."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return [*SOURCE.glob(f"bodycam/**/*{suffix}"), *SOURCE.glob(f"{GROUP}__mypyc*.so")]


def stamp(level: str) -> str:
    """A digest of all that the compiled code depends on, the list of modules included."""
    digest = hashlib.sha256("\n".join([sys.version, level, *modules()]).encode())
    for path in sorted([*SOURCE.glob("bodycam/**/*.py"), Path(__file__), ROOT / "requirements.lock"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def fresh(*levels: str) -> bool:
    """Whether what stands there was made of these sources, optimised so."""
    return bool(compiled()) and STAMP.exists() and STAMP.read_text() in map(stamp, levels)


def clean() -> bool:
    """Take away what is compiled; returns whether there was anything."""
    found = compiled()
    for path in found:
        path.unlink()
    STAMP.unlink(missing_ok=True)
    return bool(found)


def missing() -> str | None:
    """What compiling needs and is not here, or None."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    probe = subprocess.run(["/bin/sh", "-c", f"command -v {compiler}"], capture_output=True, check=False)
    if probe.returncode:
        return f"a C compiler ({compiler}); the package gcc has one"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers; the package python3-dev has them"
    return None


def build(level: str) -> None:
    """Compile, and put the results beside their sources."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    names = modules()
    os.environ["MYPY_CACHE_DIR"] = str(ROOT / ".mypy_cache" / "compiled")
    os.chdir(SOURCE)
    with tempfile.TemporaryDirectory() as folder:
        extensions = mypycify(
            names, opt_level=level, debug_level="0", group_name=GROUP, target_dir=folder, verbose=False
        )
        work = Distribution({"name": GROUP, "ext_modules": extensions})
        command = work.get_command_obj("build_ext")
        command.inplace = True
        command.build_temp = command.build_lib = folder
        command.parallel = 2
        command.ensure_finalized()
        command.run()
    STAMP.write_text(stamp(level))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", action="store_true", help="take away what is compiled")
    parser.add_argument("--tidy", action="store_true", help="take it away if its sources have changed")
    parser.add_argument("--quick", action="store_true", help="optimise little: to test it, not to measure it")
    chosen = parser.parse_args()
    if chosen.tidy:
        if compiled() and not fresh(FAST, QUICK) and clean():
            print("the sources have changed: what was compiled is gone (./dev compile)", file=sys.stderr)
        return 0
    if chosen.clean:
        clean()
        return 0
    level = QUICK if chosen.quick else FAST
    if fresh(level, FAST):
        return 0
    clean()
    lacking = missing()
    if lacking is not None:
        print(f"compiling needs {lacking}", file=sys.stderr)
        return 3
    build(level)
    print(f"compiled {len(modules())} modules", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
