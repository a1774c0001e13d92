"""What a process has used, from /proc."""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pids: Iterable[int]) -> float:
    """Seconds of CPU that these processes have used, user and kernel (proc(5), fields 14 and 15)."""
    used = 0
    for pid in pids:
        # the second field is the command's name and may hold blanks
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / _TICKS


def private_memory(pid: int) -> int:
    """Bytes of memory that this process alone holds."""
    kib = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            kib += int(line.split()[1])
    return kib * 1024


@contextlib.contextmanager
def watched_memory(pids: Iterable[int]) -> Iterator[list[int]]:
    """Bytes that these processes alone hold, ten times a second as long as the `with` block lasts."""
    watched, seen, over = tuple(pids), [0], threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            seen.append(sum(map(private_memory, watched)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def folder_size(folder: Path) -> int:
    """Bytes in the files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
