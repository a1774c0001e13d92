"""`bodycam sign-ins`: who is signed in in the browser, and an end to it."""

from typing import Annotated
from urllib.parse import quote

import typer

from bodycam.cli.door import knock
from bodycam.cli.options import Json, Limit, Url
from bodycam.cli.printing import print_json, print_table, tell, when

app = typer.Typer(
    help="Who is signed in by the gateway: in a browser, or here through one.", no_args_is_help=True
)

_BASE = "/v1/sign-ins"


@app.command("list")
def list_sign_ins(
    principal: Annotated[
        str | None, typer.Option("--principal", help="Only those of this person, as name@provider.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Those of the last week that are over, too.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """List sign-ins in force, newest first: yours, and everybody's for admins and auditors."""
    wanted = {"principal": principal, "ended": every or None}
    with knock(url) as client:
        found = list(client.pages(_BASE, "sign_ins", wanted, limit=limit))
    if as_json:
        print_json({"sign_ins": found})
        return
    print_table(
        ["sign-in", "principal", "use", "from", "since", "used", "until", "ended", "why"],
        [
            (
                one.get("id"),
                one.get("principal"),
                one.get("use"),
                one.get("address"),
                when(one.get("created")),
                when(one.get("used")),
                when(one.get("expires")),
                when(one.get("ended")),
                one.get("reason"),
            )
            for one in found
        ],
        empty="nobody is signed in by the gateway",
    )


@app.command("end")
def end(
    sign_in: Annotated[str, typer.Argument(metavar="SIGN_IN", help="The sign-in's id: sgn_...")],
    as_json: Json = False,
    url: Url = None,
) -> None:
    """End a sign-in: its token is refused from now on; runs go on."""
    with knock(url) as client:
        answer = client.delete(f"{_BASE}/{quote(sign_in, safe='')}")
    if as_json:
        print_json(answer)
    else:
        tell(f"{sign_in} is over")
