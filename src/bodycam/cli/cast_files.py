"""`bodycam export --asciicast`: which files, and that each is whole or not there."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from bodycam.cli.asciicast import Casts
from bodycam.cli.door import kind_of
from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.printing import tell
from bodycam.net.control_client import ControlClient

FOR_EXPORT: Final = {"purpose": "export"}
_NAMED_MOST: Final = 20


@dataclass
class _Written:
    """Files under names of their own until all are whole: session, exchange, and where it is."""

    folder: Path
    files: list[tuple[str, int, Path]] = field(default_factory=list)


def write_casts(
    client: ControlClient, ids: list[str], destination: str, *, exchange: int | None, with_input: bool
) -> None:
    """Write the terminals of a session or a run; one to a file, all of them into a folder.

    Raises:
        Failure: there is none, there are several and no folder, or a file is there already.
    """
    if len(ids) != 1:
        raise Failure(
            "an asciicast is of one session or run",
            hint="bodycam export --asciicast FILE ses_...",
            code=USAGE,
        )
    if exchange is not None and kind_of(ids[0]) != "ses":
        raise Failure("--exchange is of a session", hint="give the session's id (ses_...)", code=USAGE)
    target = Path(destination)
    into_folder = destination.endswith("/") or target.is_dir()
    if not into_folder and destination != "-" and target.exists():
        raise _there(target)
    if into_folder:
        target.mkdir(mode=0o700, exist_ok=True)
    folder = target if into_folder else Path(tempfile.gettempdir()) if destination == "-" else target.parent
    with _whole(folder) as written:
        for session in _sessions(client, ids[0]):
            _session(client, session, written, exchange=exchange, with_input=with_input)
        _name(written, ids[0], destination, into_folder=into_folder)


def _name(written: _Written, identifier: str, destination: str, *, into_folder: bool) -> None:
    files = written.files
    if not files:
        raise Failure(
            f"no such terminal was recorded in {identifier}",
            hint="bodycam show says what was recorded",
        )
    if into_folder:
        for session, number, file in files:
            _link(file, Path(destination) / f"{session}-{number}.cast")
        tell(f"{len(files)} terminals in {destination}")
        return
    if len(files) > 1:
        said = ", ".join(f"{session} #{number}" for session, number, _ in files[:_NAMED_MOST])
        raise Failure(
            f"{identifier} has {len(files)} terminals: {said}",
            hint="choose one by a session's id and --exchange, or give a folder (its name ends with /)",
            code=USAGE,
        )
    session, number, file = files[0]
    if destination == "-":
        sys.stdout.write(file.read_text("utf-8"))
        sys.stdout.flush()
        return
    _link(file, Path(destination))
    tell(f"the terminal of {session} #{number} is in {destination}")


def _session(
    client: ControlClient, session: str, written: _Written, *, exchange: int | None, with_input: bool
) -> None:
    about = client.get(f"/v1/sessions/{session}").get("session") or {}
    with ExitStack() as files:

        def create(number: int) -> TextIO:
            # recordings are as sensitive as the data in them: mkstemp makes the file 0600
            descriptor, name = tempfile.mkstemp(dir=written.folder, prefix=f".{session}-")
            written.files.append((session, number, Path(name)))
            return files.enter_context(os.fdopen(descriptor, "w", encoding="utf-8", newline=""))

        place = f"{about.get('target') or 'a target'} in {session}"
        casts = Casts(create, _seconds(about.get("opened")), place, with_input=with_input, only=exchange)
        casts.feed(client.lines(f"/v1/sessions/{session}/transcript", FOR_EXPORT))
        if casts.masked:
            raise Failure(
                f"your view of {session} is masked: it has nothing of what a terminal showed",
                hint="ask whoever grants views for a full one, or `bodycam export --transcripts`",
            )


def _sessions(client: ControlClient, identifier: str) -> list[str]:
    if kind_of(identifier) == "ses":
        return [identifier]
    client.get(f"/v1/runs/{identifier}")
    found = client.pages("/v1/sessions", "sessions", {"run": identifier})
    return [
        str(one["id"])
        for one in sorted(found, key=lambda one: _seconds(one.get("opened")))
        if _may(client, one)
    ]


def _may(client: ControlClient, session: dict[str, Any]) -> bool:
    """Whether it can have had a terminal: what is exported enters the ledger, so others are left alone."""
    exchanges = client.pages("/v1/exchanges", "exchanges", {"session": session["id"]})
    return any(one.get("verb") in ("shell", "exec", "subsystem") for one in exchanges)


@contextmanager
def _whole(folder: Path) -> Iterator[_Written]:
    written = _Written(folder)
    try:
        yield written
    finally:
        for _, _, file in written.files:
            file.unlink(missing_ok=True)


def _link(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except FileExistsError as error:
        raise _there(name) from error


def _there(path: Path) -> Failure:
    return Failure(f"{path} is there already", hint="choose another name or remove it", code=USAGE)


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
