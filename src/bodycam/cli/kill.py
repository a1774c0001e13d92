"""`bodycam kill`: cut a session, or a run with all its sessions."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bodycam.cli.door import kind_of, knock
from bodycam.cli.options import Json, Url
from bodycam.cli.printing import print_json, tell

_CALLS = {"run": "/v1/runs/{}/revoke", "ses": "/v1/sessions/{}/kill"}


def command(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A run (run_...) or a session (ses_...).")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit trail.")] = "",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Cut a session at once, or revoke a run, which cuts all its sessions."""
    path = _CALLS[kind_of(identifier)].format(identifier)
    with knock(url) as client:
        answer = client.post(path, {"reason": reason})
    if as_json:
        print_json(answer)
    else:
        tell(f"{identifier} {_said(answer)}")


def _said(answer: Mapping[str, Any]) -> str:
    state = (answer.get("run") or {}).get("state", "revoked")
    if state != "revoked":
        return f"was {state} already: there is nothing to cut"
    if answer.get("reached", True):
        return "is cut"
    return "is to be cut, as soon as its worker answers again"
