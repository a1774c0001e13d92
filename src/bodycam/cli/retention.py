"""`bodycam retention`: what the rules would delete, and deleting it now."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bodycam.cli.door import knock
from bodycam.cli.failure import NO
from bodycam.cli.options import Json, Url, span
from bodycam.cli.printing import print_json, print_line, print_table, tell, when

app = typer.Typer(help="Look at what retention would delete, and delete it.", no_args_is_help=True)

RETENTION_SECONDS = 3600.0
_SAID = {
    "due": "due",
    "later": "goes later",
    "held": "held by {kept_by}",
    "minimum": "kept by {kept_by}",
}


@app.command("plan")
def plan(
    within: Annotated[
        str, typer.Option("--within", help="What will be due until then, too: 12h, 30d.")
    ] = "0s",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Name at most so many.")] = 100,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """List what would be deleted, when and by which rule, and what is kept past its time; deletes nothing."""
    asked = {"within": span(within, "--within"), "limit": limit}
    with knock(url) as client:
        answer = client.get("/v1/retention/plan", asked, seconds=RETENTION_SECONDS)
    if as_json:
        print_json(answer)
        return
    recordings = answer.get("recordings") or []
    print_table(
        ["session", "agent", "target", "sealed", "rule", "due", "so"],
        [
            (
                one.get("session"),
                one.get("agent"),
                one.get("target"),
                when(one.get("sealed")),
                one.get("rule"),
                when(one.get("due")),
                _SAID.get(str(one.get("fate")), "").format_map(one),
            )
            for one in recordings
        ],
        empty="nothing is due",
    )
    if recordings:
        counts = answer.get("counts") or {}
        more = ", of which the first are shown" if answer.get("more") else ""
        print_line(", ".join(f"{number} {name}" for name, number in counts.items()) + more)
    if answer.get("waits"):
        tell(f"nothing is deleted at present: {answer['waits']}")


@app.command("apply")
def apply(
    trust_clock: Annotated[
        bool, typer.Option("--trust-clock", help="Also while the clock is in doubt: you have looked at it.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Delete what is due now; exits 1 if something keeps everything from being deleted."""
    with knock(url) as client:
        answer = client.post("/v1/retention/apply", {"trust_clock": trust_clock}, seconds=RETENTION_SECONDS)
    if as_json:
        print_json(answer)
    else:
        _say(answer)
    if answer.get("refused"):
        raise typer.Exit(NO)


def _say(answer: Mapping[str, Any]) -> None:
    if answer.get("refused"):
        tell(f"nothing is deleted: {answer['refused']}")
        return
    deleted = answer.get("deleted") or {}
    for rule, count in deleted.items():
        print_line(f"deleted by {rule}: {count}")
    if not deleted:
        tell("nothing is due")
    if answer.get("held"):
        print_line(f"kept by legal holds: {answer['held']}")
    for session in answer.get("unreadable") or []:
        print_line(f"can't be read, and is kept: {session}")
    if answer.get("objects_left"):
        print_line(f"objects that the store keeps for now, unreadable: {answer['objects_left']}")
    if answer.get("more"):
        tell("there is more: run it again")
