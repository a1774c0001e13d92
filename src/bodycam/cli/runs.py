"""`bodycam runs`: list, look at, end and revoke runs."""

from typing import Annotated

import typer

from bodycam.cli.door import kind_of, knock
from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.options import AgentFilter, Json, Limit, PrincipalFilter, Since, Until, Url, moment
from bodycam.cli.printing import labels_text, print_facts, print_json, print_line, print_table, tell, when

app = typer.Typer(help="List, look at, end and revoke runs.", no_args_is_help=True)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id: run_...")]


@app.command("list")
def list_runs(
    agent: AgentFilter = None,
    principal: PrincipalFilter = None,
    state: Annotated[str | None, typer.Option("--state", help="active, ended, revoked or expired.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """List runs, newest first."""
    wanted = {
        "agent": agent,
        "principal": principal,
        "state": state,
        "since": moment(since, "--since"),
        "until": moment(until, "--until"),
    }
    with knock(url) as client:
        runs = list(client.pages("/v1/runs", "runs", wanted, limit=limit))
    if as_json:
        print_json({"runs": runs})
        return
    print_table(
        ["run", "agent", "started by", "state", "grade", "started", "labels"],
        [
            (
                one.get("id"),
                one.get("agent"),
                who(one.get("principal")),
                one.get("state"),
                one.get("grade"),
                when(one.get("created")),
                labels_text(one.get("labels")),
            )
            for one in runs
        ],
        empty="no run fits",
    )


@app.command("show")
def show(run: RunId, as_json: Json = False, url: Url = None) -> None:
    """Show one run with its sessions, and those that retention deleted, by which rule."""
    _must_be_run(run)
    with knock(url) as client:
        answer = client.get(f"/v1/runs/{run}")
    if as_json:
        print_json(answer)
        return
    print_run(answer)


@app.command("end")
def end(run: RunId, as_json: Json = False, url: Url = None) -> None:
    """End a run; its sessions are cut and its credential is worthless."""
    _must_be_run(run)
    with knock(url) as client:
        answer = client.post(f"/v1/runs/{run}/end", {"exit_code": None, "wait": 10}, seconds=20)
    if as_json:
        print_json(answer)
    else:
        tell(f"{run} is ended")


@app.command("revoke")
def revoke(
    run: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit trail.")] = "",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Revoke a run's credential and cut its sessions."""
    _must_be_run(run)
    with knock(url) as client:
        answer = client.post(f"/v1/runs/{run}/revoke", {"reason": reason})
    if as_json:
        print_json(answer)
    else:
        tell(f"{run} is revoked")


def print_run(answer: dict[str, object]) -> None:
    """A run's facts and its sessions, as `GET /v1/runs/{id}` gives them."""
    found = answer.get("run")
    run = found if isinstance(found, dict) else answer
    print_facts(
        {
            "run": run.get("id"),
            "agent": run.get("agent"),
            "started by": who(run.get("principal")),
            "with key": run.get("api_key"),
            "state": run.get("state"),
            "grade": run.get("grade"),
            "labels": labels_text(run.get("labels")),
            "trace": run.get("trace"),
            "started": when(run.get("created")),
            "ended": when(run.get("ended")),
            "expires": when(run.get("expires")),
            "exit code": run.get("exit_code"),
        }
    )
    sessions = answer.get("sessions")
    print_sessions(sessions if isinstance(sessions, list) else [])
    deleted = answer.get("deleted")
    if isinstance(deleted, list) and deleted:
        print_line("deleted by retention; their tombstones are in the ledger:")
        rows = [
            (
                one.get("session"),
                one.get("rule") or "(not known any more)",
                when(one.get("sealed")),
                when(one.get("deleted")),
            )
            for one in deleted
        ]
        print_table(["session", "rule", "sealed", "deleted"], rows, empty="")


def print_sessions(sessions: list[dict[str, object]]) -> None:
    """A table of sessions."""
    print_table(
        ["session", "run", "target", "database", "agent", "started", "state", "outcome", "exchanges", "rows"],
        [
            (
                one.get("id"),
                one.get("run"),
                one.get("target"),
                one.get("database"),
                one.get("agent"),
                when(one.get("started") or one.get("opened")),
                one.get("state"),
                one.get("outcome"),
                one.get("exchanges"),
                one.get("rows"),
            )
            for one in sessions
        ],
        empty="no session fits",
        sparse=("database",),
    )


def who(principal: object) -> str:
    """A principal as text: subject@issuer."""
    if isinstance(principal, dict):
        return f"{principal.get('subject', '')}@{principal.get('issuer', '')}"
    return str(principal or "")


def _must_be_run(identifier: str) -> None:
    if kind_of(identifier) != "run":
        raise Failure(f"{identifier} is a session", hint="give a run's id: run_...", code=USAGE)
