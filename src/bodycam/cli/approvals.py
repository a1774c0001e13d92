"""`bodycam approvals`: what waits for people, and deciding on it."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bodycam.cli.asked import asked
from bodycam.cli.door import knock
from bodycam.cli.options import Json, Limit, RunFilter, Url
from bodycam.cli.printing import print_facts, print_json, print_line, print_table, tell, when

app = typer.Typer(help="Look at what waits for people, and decide on it.", no_args_is_help=True)

ApprovalId = Annotated[str, typer.Argument(metavar="APPROVAL", help="The approval's id: apr_...")]
_BASE = "/v1/approvals"
_SHOWN = 60


@app.command("list")
def list_approvals(
    state: Annotated[
        str | None,
        typer.Option(
            "--state", help="pending, approved, used, denied, expired, withdrawn; all: every one of them."
        ),
    ] = "pending",
    run: RunFilter = None,
    target: Annotated[str | None, typer.Option("--target", help="Only approvals for this target.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """List approvals, newest first: those that wait, unless another state is asked for."""
    wanted = {"state": None if state == "all" else state, "run": run, "target": target}
    with knock(url) as client:
        approvals = list(client.pages(_BASE, "approvals", wanted, limit=limit))
    if as_json:
        print_json({"approvals": approvals})
        return
    print_table(
        ["approval", "state", "agent", "started by", "target", "operation", "rule", "by", "expires", "yours"],
        [
            (
                one.get("id"),
                one.get("state"),
                one.get("agent"),
                one.get("principal"),
                one.get("target"),
                _short(asked(one.get("verb"), one.get("text"))),
                one.get("rule"),
                _needed(one),
                when(one.get("expires")),
                one.get("may_decide"),
            )
            for one in approvals
        ],
        empty="nothing waits" if state == "pending" else "no approval fits",
    )


@app.command("show")
def show(approval: ApprovalId, as_json: Json = False, url: Url = None) -> None:
    """Show one approval with the whole operation, and who decided what."""
    with knock(url) as client:
        answer = client.get(_path(approval))
    if as_json:
        print_json(answer)
        return
    print_facts(
        {
            "approval": answer.get("id"),
            "state": answer.get("state"),
            "agent": answer.get("agent"),
            "started by": answer.get("principal"),
            "run": answer.get("run"),
            "session": answer.get("session"),
            "exchange": answer.get("exchange"),
            "target": answer.get("target"),
            "database": answer.get("database"),
            "rule": answer.get("rule"),
            "decided by": _needed(answer),
            "asked": when(answer.get("created")),
            "expires": when(answer.get("expires")),
            "used": when(answer.get("used")),
            "reason": answer.get("reason"),
            "not by you": answer.get("why_not"),
            "link": answer.get("url"),
            "operation": answer.get("verb"),
        }
    )
    for line in str(answer.get("text") or "").splitlines():
        print_line(f"  {line}")
    for number, value in enumerate(answer.get("parameters") or [], 1):
        print_line(f"  ${number} = {value}")
    votes = answer.get("votes") or []
    if votes:
        print_table(
            ["person", "decided", "at", "reason"],
            [
                (
                    vote.get("principal"),
                    "approved" if vote.get("approve") else "denied",
                    when(vote.get("at")),
                    vote.get("reason"),
                )
                for vote in votes
            ],
            empty="",
        )


@app.command("approve")
def approve(
    approval: ApprovalId,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the record.")] = "",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Approve an operation; it goes through once, when it is asked for again."""
    with knock(url) as client:
        answer = client.post(f"{_path(approval)}/approve", {"reason": reason})
    if as_json:
        print_json(answer)
    elif answer.get("state") == "pending":
        given = sum(1 for vote in answer.get("votes") or [] if vote.get("approve"))
        tell(f"{approval} has {given} of {answer.get('minimum')} approvals")
    else:
        tell(f"{approval} is approved")


@app.command("deny")
def deny(
    approval: ApprovalId,
    reason: Annotated[str, typer.Option("--reason", help="Why; the client is told.")],
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Deny an operation, or take back an approval that is not used yet."""
    with knock(url) as client:
        answer = client.post(f"{_path(approval)}/deny", {"reason": reason})
    if as_json:
        print_json(answer)
    else:
        tell(f"{approval} is denied")


def _path(approval: str) -> str:
    return f"{_BASE}/{quote(approval, safe='')}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def _needed(approval: Mapping[str, Any]) -> str:
    people = " or ".join(map(str, approval.get("by") or ["admins"]))
    minimum = approval.get("minimum")
    return people if minimum == 1 else f"{minimum} of {people}"
