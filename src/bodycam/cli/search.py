"""`bodycam search`: full text over what was asked, its values and the errors."""

from typing import Annotated, Any

import typer

from bodycam.cli.door import knock
from bodycam.cli.exchanges import print_exchanges
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
from bodycam.cli.printing import print_json, tell


def command(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words; all must be there. None: only filters.")
    ] = None,
    run: RunFilter = None,
    agent: AgentFilter = None,
    principal: PrincipalFilter = None,
    target: TargetFilter = None,
    since: Since = None,
    until: Until = None,
    kind: Annotated[str | None, typer.Option("--kind", help="The verb: query, execute, copy, ...")] = None,
    status: Annotated[str | None, typer.Option("--status", help="ok, error, denied, cancelled, ...")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Find exchanges by words in statements, values and errors, and by filters; newest first."""
    wanted = {
        "q": " ".join(words or []) or None,
        "run": run,
        "agent": agent,
        "principal": principal,
        "target": target,
        "since": moment(since, "--since"),
        "until": moment(until, "--until"),
        "kind": kind,
        "status": status,
    }
    with knock(url) as client:
        pages: list[dict[str, Any]] = []
        hits = list(client.pages("/v1/search", "hits", wanted, limit=limit, beside=pages.append))
    if any(page.get("left_out") for page in pages):
        tell("recordings of which your view is masked were left out: ask without words to list what was done")
    if as_json:
        print_json({"hits": hits})
    else:
        print_exchanges(hits, empty="nothing fits")
