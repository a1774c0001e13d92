"""An archivist as a process of its own, to be killed: `python -m tests.faults.archivist_process FOLDER`."""

import sys
import time
from pathlib import Path

from tests.unit.archive.house import House


def main() -> None:
    house = House(Path(sys.argv[1]))
    archivist = house.start()
    print("ready", flush=True)  # noqa: T201
    while True:
        if not archivist.step():
            time.sleep(0.001)


if __name__ == "__main__":
    main()
