"""`bodycam accounts`: accounts of services and of people, and their API keys."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bodycam.cli.door import knock
from bodycam.cli.options import Json, Url, span
from bodycam.cli.printing import print_json, print_line, print_table, tell, when

app = typer.Typer(help="Accounts of services and of people, and their API keys.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
_BASE = "/v1/service-accounts"


@app.command("list")
def list_accounts(as_json: Json = False, url: Url = None) -> None:
    """List the accounts of services and of people."""
    with knock(url) as client:
        answer = client.get(_BASE)
    accounts = answer.get("accounts") or []
    if as_json:
        print_json({"accounts": accounts})
        return
    print_table(
        ["name", "kind", "groups", "created", "disabled", "keys"],
        [
            (
                one.get("name"),
                one.get("kind"),
                one.get("groups"),
                when(one.get("created")),
                when(one.get("disabled")),
                [_key(key) for key in one.get("keys") or [] if isinstance(key, dict)],
            )
            for one in accounts
        ],
        empty="there are no service accounts",
    )


@app.command("create")
def create(
    name: Name,
    group: Annotated[list[str] | None, typer.Option("--group", help="A group; may repeat.")] = None,
    human: Annotated[
        bool, typer.Option("--human", help="A person's account: only people decide on approvals.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Create an account, of a service unless it says otherwise; `accounts key` gives it a key."""
    wanted = {"name": name, "groups": group or [], **({"kind": "human"} if human else {})}
    with knock(url) as client:
        answer = client.post(_BASE, wanted)
    if as_json:
        print_json(answer)
    else:
        tell(f"{name} is created; give it a key: bodycam accounts key {name}")


@app.command("disable")
def disable(name: Name, as_json: Json = False, url: Url = None) -> None:
    """Disable an account: its keys and runs are worthless at once."""
    with knock(url) as client:
        answer = client.post(f"{_BASE}/{quote(name, safe='')}/disable")
    if as_json:
        print_json(answer)
    else:
        tell(f"{name} is disabled")


@app.command("key")
def key(
    name: Name,
    revoke: Annotated[
        str | None, typer.Option("--revoke", metavar="KEY", help="Revoke this key instead of making one.")
    ] = None,
    replace: Annotated[
        str | None,
        typer.Option("--replace", metavar="KEY", help="Make one in the place of this key, which then ends."),
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option(
            "--overlap", metavar="TIME", help="How long the replaced key is still good; 1h by default."
        ),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="What the key may be used for; may repeat."),
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Make an API key, shown this once on standard output; or revoke one, with the runs started with it."""
    if revoke is not None and (replace is not None or overlap is not None):
        raise typer.BadParameter("expected either --revoke or --replace", param_hint="--revoke")
    if overlap is not None and replace is None:
        raise typer.BadParameter("expected --replace with it", param_hint="--overlap")
    if revoke is not None and scope:
        raise typer.BadParameter("expected either --revoke or --scope", param_hint="--revoke")
    path = f"{_BASE}/{quote(name, safe='')}/keys"
    with knock(url) as client:
        if revoke is not None:
            answer = client.delete(f"{path}/{quote(revoke, safe='')}")
        else:
            answer = client.post(path, _wanted(replace, overlap, scope))
    if as_json:
        print_json(answer)
    elif revoke is not None:
        runs = answer.get("revoked") or []
        tell(f"{revoke} is revoked" + (f", and with it {', '.join(map(str, runs))}" if runs else ""))
    else:
        tell(f"key {answer.get('id')}; it is not shown again:")
        print_line(str(answer.get("key")))


def _wanted(replace: str | None, overlap: str | None, scopes: list[str] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"scopes": scopes} if scopes else {}
    if replace is not None:
        body["replaces"] = replace
    return body if overlap is None else {**body, "overlap": span(overlap, "--overlap")}


def _key(key: Mapping[str, Any]) -> str:
    if key.get("revoked") is not None:
        return f"{key.get('id')} (revoked)"
    used = when(key.get("last_used"))
    scopes = key.get("scopes")
    only = "" if scopes is None else f"only {' '.join(map(str, scopes)) or 'nothing'}; "
    return f"{key.get('id')} ({only}{f'used {used}' if used else 'never used'})"
