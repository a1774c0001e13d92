"""`bodycam legal-hold`: keep recordings past every rule of retention."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bodycam.cli.door import knock
from bodycam.cli.options import Json, Limit, Since, Until, Url, moment
from bodycam.cli.printing import print_json, print_table, tell, when

app = typer.Typer(
    help="Keep recordings past every rule of retention, until they are released.", no_args_is_help=True
)

_BASE = "/v1/legal-holds"
SETTLE_SECONDS = 90.0


@app.command("add")
def add(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit trail.")],
    query: Annotated[
        str | None, typer.Option("--query", help="Sessions with an exchange that has all of these words.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", help="Sessions of this run.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Sessions of this agent.")] = None,
    principal: Annotated[
        str | None, typer.Option("--principal", help="Sessions of runs that this principal started.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="Sessions on this target.")] = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Hold what fits all that is given, sessions to come too; nothing of it is deleted from now on."""
    body = {
        "query": query,
        "run": run,
        "agent": agent,
        "principal": principal,
        "target": target,
        "since": moment(since, "--since"),
        "until": moment(until, "--until"),
        "reason": reason,
    }
    with knock(url) as client:
        answer = client.post(
            _BASE, {name: value for name, value in body.items() if value is not None}, seconds=SETTLE_SECONDS
        )
    if as_json:
        print_json(answer)
    else:
        tell(f"{answer.get('id')} holds {_about(answer)}")


@app.command("list")
def list_holds(
    every: Annotated[bool, typer.Option("--all", help="Those that were released, too.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """List holds in force, newest first."""
    wanted = {"released": every or None}
    with knock(url) as client:
        holds = list(client.pages(_BASE, "holds", wanted, limit=limit))
    if as_json:
        print_json({"holds": holds})
        return
    print_table(
        ["hold", "about", "reason", "added by", "added", "released", "released by", "why"],
        [
            (
                one.get("id"),
                _about(one),
                one.get("reason"),
                one.get("actor"),
                when(one.get("created")),
                when(one.get("released")),
                one.get("released_by"),
                one.get("release_reason"),
            )
            for one in holds
        ],
        empty="nothing is held",
    )


@app.command("release")
def release(
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id: hld_...")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit trail.")],
    as_json: Json = False,
    url: Url = None,
) -> None:
    """End a hold: the rules of retention count again for what it kept."""
    with knock(url) as client:
        answer = client.post(f"{_BASE}/{quote(hold, safe='')}/release", {"reason": reason})
    if as_json:
        print_json(answer)
    else:
        tell(f"{hold} is released")


def _about(hold: Mapping[str, Any]) -> str:
    parts = [f"{name} {hold[name]}" for name in ("run", "agent", "principal", "target") if hold.get(name)]
    if hold.get("query"):
        parts.insert(0, f"what says {hold['query']}")
    parts += [f"{name} {when(hold[name])}" for name in ("since", "until") if hold.get(name) is not None]
    return ", ".join(parts)
