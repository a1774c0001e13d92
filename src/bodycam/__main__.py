"""The `bodycam` program: the command line of `bodycam.cli`, with `run` from `bodycam.run`."""

import sys

from bodycam.cli.main import build, invoke
from bodycam.run.command import run


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(invoke(build({"run": run}), sys.argv[1:]))


if __name__ == "__main__":
    main()
