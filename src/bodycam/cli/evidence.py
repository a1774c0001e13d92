"""`bodycam export --evidence`: a run's bundle of evidence, into a file."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.heads_folder import heads_folder, kept_sizes
from bodycam.net.control_client import ControlClient

EVIDENCE_SECONDS = 600.0
"""How long to wait for the next bytes: before the first, the gateway looks through its ledger."""

_BLOCK = 512
_SHEET = b"/session.json"


def write_bundle(client: ControlClient, run: str, output: str | None) -> str:
    """Write the bundle, whole or not at all; returns the file's name, `-` for standard output.

    Without `output` it is named after the run. The gateway is asked for proofs from the heads kept here.

    Raises:
        Failure: the file is there already.
        ControlError: the gateway gives no bundle, or not all of it.
    """
    name = output or f"{run}.evidence.tar"
    asked = {"kept": kept_sizes(client.url, heads_folder(os.environ))}
    console = Console(stderr=True)
    with (
        file_made_whole(name) as file,
        client.download(f"/v1/runs/{run}/evidence", asked, read_seconds=EVIDENCE_SECONDS) as (
            headers,
            pieces,
        ),
        Progress(
            TextColumn("sessions"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}, {task.fields[megabytes]} MB"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        ) as progress,
    ):
        total = headers.get("Bodycam-Sessions", "")
        task = progress.add_task("", total=int(total) if total.isdigit() else None, megabytes=0)
        counter, size = _Sheets(), 0
        for piece in pieces:
            file.write(piece)
            size += len(piece)
            progress.update(task, completed=counter.take(piece), megabytes=size // 1_000_000)
    return name


class _Sheets:
    """Counts the sessions that went by: the last member of each is its sheet."""

    def __init__(self) -> None:
        self._head, self._left, self._count = b"", 0, 0

    def take(self, piece: bytes) -> int:
        """Take the next bytes; returns how many sessions are written."""
        while piece:
            if self._left:
                passed = min(self._left, len(piece))
                self._left -= passed
                piece = piece[passed:]
                continue
            wanted = _BLOCK - len(self._head)
            self._head, piece = self._head + piece[:wanted], piece[wanted:]
            if len(self._head) == _BLOCK:
                size = self._head[124:136].rstrip(b" \0")
                # a size that is not in octal is that of a recording of many gigabytes, in binary
                octal = not self._head[124] & 0x80 and size.isdigit()
                number = int(size, 8) if octal else int.from_bytes(self._head[125:136], "big")
                self._left = number + -number % _BLOCK
                self._count += self._head[:100].rstrip(b"\0").endswith(_SHEET)
                self._head = b""
        return self._count


@contextmanager
def file_made_whole(name: str) -> Iterator[BinaryIO]:
    """A new file, readable by its owner only, that has the name once all is written; `-`: standard output.

    Raises:
        Failure: there is one of that name.
    """
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    there = Failure(f"{path} is there already", hint="choose another name or remove it", code=USAGE)
    if path.exists():
        raise there
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        os.link(partial, path)
    except FileExistsError as error:
        raise there from error
    finally:
        Path(partial).unlink(missing_ok=True)
