"""`bodycam leaks`: which secrets were seen, where they came from, and where they turned up afterwards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bodycam.cli.door import knock
from bodycam.cli.leak_lines import print_leaks
from bodycam.cli.options import Json, Limit, RunFilter, Settings, Url
from bodycam.cli.printing import print_json
from bodycam.net.control_client import ControlClient


def command(
    run: RunFilter = None,
    hunt: Annotated[
        Path | None,
        typer.Option("--hunt", metavar="RULES", help="Look through recordings with these detectors instead."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, max=256, help="With --hunt: processes; else one a core.")
    ] = None,
    limit: Limit = 1000,
    settings: Settings = "bodycam.yaml",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show each secret seen, by fingerprint: kind, first moment, source, and sessions since; never the value.

    With --hunt sealed recordings are decrypted and searched for what RULES describe, on the gateway's
    machine; exits 1 if one of them could not be read.
    """
    if hunt is not None:
        # only a hunt needs the archive's modules
        from bodycam.cli.hunting import search

        search(hunt, run=run, jobs=jobs, limit=limit, settings=settings, as_json=as_json, url=url)
        return
    with knock(url) as client:
        found = [
            {**one, "sessions": _sessions(client, one, run)}
            for one in client.pages("/v1/leaks", "leaks", {"run": run}, limit=limit)
        ]
    if as_json:
        print_json({"leaks": [_plain(one) for one in found]})
    else:
        print_leaks(found, empty="no secret was seen")


def _sessions(client: ControlClient, leak: Mapping[str, Any], run: str | None) -> list[dict[str, Any]]:
    if not leak["more"]:
        return list(leak["sessions"])
    return list(client.pages("/v1/leaks/sessions", "sessions", {"leak": leak["id"], "run": run}))


def _plain(leak: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in leak.items() if name not in ("id", "more")}
