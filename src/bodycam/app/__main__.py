"""Where the supervisor's children begin: `python -m bodycam.app ROLE`.

What a child loads stays for its whole life, so the collector need not go through it again and again while it
is loaded: that was a fifth of a start. And what draws on terminals is not loaded at all: the log's library
takes it wherever it is installed.
"""

import gc
import sys


def main() -> None:
    """Start one of the supervisor's children."""
    gc.disable()
    sys.modules["rich"] = None  # type: ignore[assignment]  # what Python has for "there is no such module"
    from bodycam.app.child import main as begin

    begin()


if __name__ == "__main__":
    main()
