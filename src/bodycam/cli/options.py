"""Options that many commands share, and the forms in which people write times."""

import re
import time
from datetime import datetime
from typing import Annotated

import typer

Url = Annotated[str | None, typer.Option("--url", help="The control API; else BODYCAM_URL.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many.")]
RunFilter = Annotated[str | None, typer.Option("--run", help="Only this run.")]
AgentFilter = Annotated[str | None, typer.Option("--agent", help="Only runs of this agent.")]
PrincipalFilter = Annotated[
    str | None, typer.Option("--principal", help="Only runs that this principal started.")
]
TargetFilter = Annotated[str | None, typer.Option("--target", help="Only sessions on this target.")]
Since = Annotated[
    str | None, typer.Option("--since", help="From this time on: 2h (ago), 2026-01-31, 2026-01-31T12:00:00Z.")
]
Until = Annotated[str | None, typer.Option("--until", help="Before this time, written as for --since.")]
Settings = Annotated[str, typer.Option("--settings", envvar="BODYCAM_SETTINGS", help="The settings file.")]

_AGO = re.compile(r"(\d{1,9})(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def span(text: str, option: str) -> float:
    """A length of time as people write it, in seconds.

    Raises:
        typer.BadParameter: it is none of the accepted forms.
    """
    match = _AGO.fullmatch(text)
    if match is None:
        raise typer.BadParameter("expected 30m, 2h or 7d", param_hint=option)
    return float(int(match.group(1)) * _SECONDS[match.group(2)])


def moment(text: str | None, option: str) -> float | None:
    """A time as people write it, as seconds of the Unix epoch; one without a zone is local.

    Raises:
        typer.BadParameter: it is none of the accepted forms.
    """
    if text is None:
        return None
    match = _AGO.fullmatch(text)
    if match:
        return time.time() - int(match.group(1)) * _SECONDS[match.group(2)]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            "expected 30m, 2h or 7d (ago), 2026-01-31, or 2026-01-31T12:00:00Z", param_hint=option
        ) from error
