"""`bodycam tail`: what happens, as it happens."""

from typing import Annotated

import typer

from bodycam.cli.door import knock
from bodycam.cli.exchanges import one_line
from bodycam.cli.options import AgentFilter, Json, RunFilter, Url
from bodycam.cli.printing import print_json_line, print_raw, when
from bodycam.cli.visible import visible


def command(
    run: RunFilter = None,
    session: Annotated[str | None, typer.Option("--session", help="Only this session.")] = None,
    agent: AgentFilter = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show finished exchanges and sessions that open and close, until Ctrl-C."""
    wanted = {"run": run, "session": session, "agent": agent}
    with knock(url) as client:
        # quiet times are normal here, so there is no deadline between two lines
        for event in client.lines("/v1/tail", wanted, read_seconds=None):
            if as_json:
                print_json_line(event)
            elif event.get("text") is not None or event.get("verb") is not None:
                print_raw(one_line(event) + "\n")
            elif event.get("type") != "alive":
                print_raw(visible(_session_line(event)) + "\n")


def _session_line(event: dict[str, object]) -> str:
    names = ("type", "session", "run", "agent", "target", "outcome", "reason")
    return "  ".join(
        [when(event.get("at") or event.get("started"))]
        + [str(event[name]) for name in names if event.get(name)]
    ).strip()
