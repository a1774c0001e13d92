"""`bodycam sessions`: list sessions."""

from typing import Annotated

import typer

from bodycam.cli.door import knock
from bodycam.cli.options import (
    AgentFilter,
    Json,
    Limit,
    PrincipalFilter,
    RunFilter,
    Since,
    TargetFilter,
    Until,
    Url,
    moment,
)
from bodycam.cli.printing import print_json
from bodycam.cli.runs import print_sessions


def command(
    run: RunFilter = None,
    agent: AgentFilter = None,
    principal: PrincipalFilter = None,
    target: TargetFilter = None,
    state: Annotated[str | None, typer.Option("--state", help="open, closed or sealed.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """List sessions, newest first."""
    wanted = {
        "run": run,
        "agent": agent,
        "principal": principal,
        "target": target,
        "state": state,
        "since": moment(since, "--since"),
        "until": moment(until, "--until"),
    }
    with knock(url) as client:
        sessions = list(client.pages("/v1/sessions", "sessions", wanted, limit=limit))
    if as_json:
        print_json({"sessions": sessions})
    else:
        print_sessions(sessions)
