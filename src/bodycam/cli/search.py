"""`bodycam search`: full text over what was asked, its values and the errors."""

import re
from typing import Annotated, Any

import typer

from bodycam.cli.door import knock
from bodycam.cli.exchanges import print_exchanges
from bodycam.cli.failure import USAGE, Failure
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
from bodycam.model.trace import TRACE_ID, trace_parent


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
    trace: Annotated[
        str | None, typer.Option("--trace", help="Only those of this trace: its id, or a traceparent.")
    ] = None,
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
        "trace": None if trace is None else _trace_id(trace),
    }
    with knock(url) as client:
        pages: list[dict[str, Any]] = []
        hits = list(client.pages("/v1/search", "hits", wanted, limit=limit, beside=pages.append))
    if any(page.get("left_out") for page in pages):
        tell("recordings of which your view is masked were left out: without words and trace they are listed")
    if as_json:
        print_json({"hits": hits})
    else:
        print_exchanges(hits, empty="nothing fits")


def _trace_id(said: str) -> str:
    parent = trace_parent(said)
    if parent is not None:
        return parent.trace
    if re.fullmatch(TRACE_ID, said) is None:
        raise Failure("--trace expects the id of a trace, 32 hexadecimal digits in lower case", code=USAGE)
    return said
