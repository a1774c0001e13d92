"""What people read of golden recordings of programs stays the same."""

import json
from pathlib import Path
from typing import Any

from bodycam.model.event import Event, Kind
from bodycam.model.transcript import Asked, Done, Output
from bodycam.registry import TRANSCRIPTS

GOLDEN = Path(__file__).parent / "recordings_v1_programs"


def plain(value: Any) -> Any:
    match value:
        case {"hex": str(data)}:
            return bytes.fromhex(data)
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case list():
            return [plain(one) for one in value]
        case _:
            return value


def test_a_command_a_shell_and_a_file_read_as_they_did() -> None:
    [first, *_] = json.loads((GOLDEN / "expected.json").read_text())
    reader = TRANSCRIPTS["ssh"].reader()
    said = [
        entry.body
        for kind, at, exchange, body in first["events"]
        for entry in reader.feed(Event(Kind(kind), at, exchange, plain(body)))
    ]
    assert [one for one in said if isinstance(one, Asked | Output | Done)] == [
        Asked("exec", "make check", (), aside=False),
        Output("stdout", "cc main.c\n"),
        Output("stderr", "warning: old\n"),
        Done("error", "exit 2", 0, 30),
        Asked("shell", "", (), aside=False),
        Output("stdin", "ls\n"),
        Output("terminal", "$ ls\nbin\n"),
        Output("terminal", "$"),
        Done("error", "signal HUP", 0, 29),
        Asked("write", "/srv/a.txt", (), aside=False),
        Output("uploaded", "hello"),
        Done("ok", None, 0, 5),
    ]
