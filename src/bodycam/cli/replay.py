"""`bodycam replay`: watch a session, or a run's sessions one after another, as they happened."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from bodycam.cli.door import kind_of, knock
from bodycam.cli.keyboard import Keyboard
from bodycam.cli.live import live_scenes
from bodycam.cli.options import Json, Url
from bodycam.cli.player import Pace, Player, play_plain
from bodycam.cli.printing import print_json_line, print_raw, tell
from bodycam.cli.scenes import Scene, scenes
from bodycam.net.control_client import ControlClient


def command(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A session (ses_...) or a run (run_...).")],
    speed: Annotated[float, typer.Option("--speed", min=0.05, max=1000, help="Times as fast.")] = 1.0,
    skip_idle: Annotated[
        bool, typer.Option("--skip-idle", help="Shorten quiet stretches to a second.")
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Show everything at once, as for a pipe.")
    ] = False,
    wide: Annotated[bool, typer.Option("--wide", help="Show long values in full.")] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Play a recording: statements and results in their time, and terminals as they were.

    Keys: space pauses, arrows seek by five seconds, + and - change the speed, s skips to what comes next, q
    quits. --json gives the transcript's entries, one a line, at once.
    """
    kind = kind_of(identifier)
    pace = Pace(speed, skip_idle, not no_wait)
    with knock(url) as client:
        sessions = [identifier] if kind == "ses" else _sessions(client, identifier)
        if not sessions:
            tell(f"{identifier} has no session")
        for session in sessions:
            if as_json:
                for entry in client.lines(f"/v1/sessions/{session}/transcript"):
                    print_json_line({"session": session, **entry})
                continue
            if len(sessions) > 1:
                print_raw(f"── {session} ──\n")
            _play(client, session, pace, wide)


def _play(client: ControlClient, session: str, pace: Pace, wide: bool) -> None:
    on_terminal = pace.wait and sys.stdin.isatty() and sys.stdout.isatty()

    def source() -> Iterator[Scene]:
        entries = client.lines(f"/v1/sessions/{session}/transcript", read_seconds=None)
        return live_scenes(entries, wide=wide) if on_terminal else scenes(entries, wide=wide)

    if on_terminal:
        with Keyboard() as keyboard:
            Player(source, pace, print_raw, keyboard.key).play()
    else:
        play_plain(source, pace, print_raw, sleep=time.sleep)


def _sessions(client: ControlClient, run: str) -> list[str]:
    found = list(client.pages("/v1/sessions", "sessions", {"run": run}))
    return [str(one["id"]) for one in sorted(found, key=lambda one: float(one.get("opened") or 0))]
