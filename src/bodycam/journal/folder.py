"""The folders of a journal: one for each incarnation of a worker, its segments, and its writer's lock."""

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bodycam.journal import layout

LOCK = "writer.lock"
UNBORN = ".new"
"""Ends the name of a folder that its writer has not finished making."""
SPENT = ".old"
"""Ends the name of a folder that is being removed, so that nobody takes what is left of it for a journal."""


@dataclass(frozen=True, slots=True)
class IncarnationFolder:
    """One incarnation's folder as it was when it was listed; `bytes` is the size of its segment files."""

    path: Path
    incarnation: bytes
    live: bool
    segments: int
    bytes: int


def incarnations(root: Path) -> list[IncarnationFolder]:
    """The incarnations under `data/journal`, oldest folder first; an absent root has none."""
    found: list[tuple[int, IncarnationFolder]] = []
    try:
        paths = list(root.iterdir())
    except FileNotFoundError:
        return []
    for path in paths:
        if (incarnation := incarnation_of(path)) is None:
            continue
        try:
            born = (path / LOCK).stat().st_mtime_ns
            live = is_live(path)
            segments = segments_of(path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # removed meanwhile, or never a journal
        total = used_bytes(segments)
        found.append((born, IncarnationFolder(path, incarnation, live, len(segments), total)))
    return [folder for _, folder in sorted(found, key=lambda item: item[0])]


def incarnation_of(folder: Path) -> bytes | None:
    """The incarnation that a folder's name stands for (32 hexadecimal digits); None when it is another's."""
    name = folder.name
    if len(name) != 32 or name != name.lower():
        return None
    try:
        return bytes.fromhex(name)
    except ValueError:
        return None


def is_live(folder: Path) -> bool:
    """Whether a writer holds the folder's lock. The kernel gives it back when the writer dies."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def segments_of(folder: Path) -> list[tuple[int, Path]]:
    """Generation and path of a folder's segments, lowest generation first.

    Raises:
        FileNotFoundError: the folder is gone.
    """
    found = ((layout.segment_generation(path.name), path) for path in folder.iterdir())
    return sorted((generation, path) for generation, path in found if generation is not None)


def used_bytes(segments: list[tuple[int, Path]]) -> int:
    """The size in bytes of those segment files that are still there."""
    total = 0
    for _, path in segments:
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # retired meanwhile
    return total


def remove(folder: Path) -> None:
    """Remove the folder of an incarnation that has ended and of which all is sealed.

    Raises:
        ValueError: its writer lives.
        OSError: it can't be removed.
    """
    if is_live(folder):
        raise ValueError(f"the journal {folder} is being written and can't be removed")
    shutil.rmtree(folder.rename(folder.with_name(folder.name + SPENT)))


def sweep(root: Path) -> int:
    """Remove folders whose writer died before it had made them, and what removing left; returns how many.

    The first hold nothing, for a writer takes its first entry only after the folder got its name; of the
    others all is sealed.
    """
    if not root.is_dir():
        return 0
    dead = [path for path in root.iterdir() if path.name.endswith((UNBORN, SPENT)) and not is_live(path)]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)
