"""Make the golden files of what programs say: `python -m tests.golden.make_programs FOLDER`.

They are of version 1 as it is since it has the flavor `errors`, and are never made anew either.
"""

import sys
from pathlib import Path

from bodycam.model.event import Flavor, Kind
from tests.golden.make_recordings import OPENED, make

TARGET = {"name": "web", "protocol": "ssh", "labels": {"env": "prod"}}
EXEC = {"ssh.kind": "exec", "ssh.account": "deploy", "ssh.env": ["LANG=C"]}
SHELL = {"ssh.kind": "shell", "ssh.account": "deploy", "ssh.term": "xterm", "ssh.columns": 80, "ssh.rows": 24}
FILE = {"ssh.kind": "sftp", "file.path": "/srv/a.txt", "file.action": "write", "file.via": "sftp"}


def programs(session: str, opening: int) -> list[list[object]]:
    """A command, a shell on a terminal and a file."""
    opened = {**OPENED, "session": session, "opening": opening, "target": TARGET, "database": "deploy"}
    return [
        [Kind.OPENED, 0, 0, opened],
        [Kind.REQUEST, 1000, 1, ["exec", "make check", [], EXEC, "statement", None, 0]],
        [Kind.TO_CLIENT, 2000, 1, [Flavor.CHUNK, 0, b"cc main.c\n"]],
        [Kind.TO_CLIENT, 2500, 1, [Flavor.ERRORS, 0, b"warning: \x1b[1mold\x1b[0m\n"]],
        [Kind.FINISH, 3000, 1, ["error", 0, 30, 0, "exit 2", None]],
        [Kind.REQUEST, 1_000_000, 2, ["shell", "", [], SHELL, "statement", None, 0]],
        [Kind.TO_CLIENT, 1_100_000, 2, [Flavor.FRAMES, 0, b"$ "]],
        [Kind.TO_TARGET, 3_000_000, 2, [Flavor.CHUNK, 0, b"ls\r"]],
        [Kind.TO_CLIENT, 3_000_100, 2, [Flavor.FRAMES, 0, b"ls\r\n\x1b[34mbin\x1b[0m\r\n$ "]],
        [Kind.NOTE, 3_500_000, 2, {"note": "resized", "columns": 100, "rows": 30}],
        [Kind.NOTE, 3_600_000, 2, {"note": "signal", "name": "INT"}],
        [Kind.NOTE, 3_700_000, 2, {"note": "eof", "by": "client"}],
        [Kind.FINISH, 3_800_000, 2, ["error", 0, 26, 3, "signal HUP", None]],
        [Kind.REQUEST, 4_000_000, 3, ["write", "/srv/a.txt", [], FILE, "statement", None, 0]],
        [Kind.TO_TARGET, 4_000_100, 3, [Flavor.CHUNK, 0, b"hello"]],
        [
            Kind.NOTE,
            4_000_200,
            3,
            {"note": "file", "path": "/srv/a.txt", "size": 5, "sha256": "2cf24dba", "direction": "upload"},
        ],
        [Kind.FINISH, 4_000_300, 3, ["ok", 0, 0, 5, None, None]],
        [
            Kind.CLOSED,
            4_100_000,
            0,
            {"outcome": "ended", "reason": "", "unsent_to_client": 0, "unsent_to_target": 0},
        ],
    ]


if __name__ == "__main__":
    totals = {"exchanges": 3, "rows": 0, "bytes_to_client": 56, "bytes_to_target": 8}
    make(Path(sys.argv[1]), programs, totals)
