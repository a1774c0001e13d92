"""`bodycam show`: a run with its timeline, or a session's transcript."""

from typing import Annotated

import typer

from bodycam.cli.door import kind_of, knock
from bodycam.cli.exchanges import print_exchanges
from bodycam.cli.options import Json, Url
from bodycam.cli.printing import print_json, print_line, print_raw
from bodycam.cli.runs import print_run
from bodycam.cli.scenes import scenes
from bodycam.net.control_client import ControlClient

Asides = Annotated[bool, typer.Option("--asides", help="Connections' own housekeeping too.")]


def command(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A run (run_...) or a session (ses_...).")],
    wide: Annotated[bool, typer.Option("--wide", help="Show long values in full.")] = False,
    asides: Asides = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show a run's summary and timeline, or all that was said in a session."""
    kind = kind_of(identifier)
    with knock(url) as client:
        if kind == "run":
            _run(client, identifier, asides, as_json)
        elif as_json:
            session = client.get(f"/v1/sessions/{identifier}")
            entries = list(client.lines(f"/v1/sessions/{identifier}/transcript"))
            print_json({**session, "transcript": entries})
        else:
            for scene in scenes(client.lines(f"/v1/sessions/{identifier}/transcript"), wide=wide):
                print_raw(scene.text)


def _run(client: ControlClient, run: str, asides: bool, as_json: bool) -> None:
    summary = client.get(f"/v1/runs/{run}")
    exchanges = client.pages("/v1/exchanges", "exchanges", {"run": run, "asides": asides})
    if as_json:
        print_json({**summary, "exchanges": list(exchanges)})
        return
    print_run(summary)
    print_line()
    print_exchanges(list(exchanges), empty="nothing was asked yet")
