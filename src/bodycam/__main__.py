"""The `bodycam` program: the command line of `bodycam.cli`, with `run` from `bodycam.run`."""

import sys

from bodycam.cli.main import build, invoke
from bodycam.run.command import run


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    sys.exit(invoke(build({"run": run}, only=arguments[0] if arguments else None), arguments))


if __name__ == "__main__":
    main()
