"""The `bodycam` program: the command line of `bodycam.cli`, with `run` from `bodycam.run`."""

import gc
import sys
from collections.abc import Callable


def main() -> None:
    """Run the command line and exit with its code."""
    gc.disable()  # what a command loads stays until its end: nothing of it is to be collected
    from bodycam.cli.main import COMMANDS, build, invoke

    arguments = sys.argv[1:]
    only = arguments[0] if arguments else None
    app = build({} if only in COMMANDS else _run(), only=only)
    gc.freeze()
    gc.enable()
    sys.exit(invoke(app, arguments))


def _run() -> dict[str, Callable[..., None]]:
    from bodycam.run.command import run

    return {"run": run}


if __name__ == "__main__":
    main()
