"""How leaks are listed: what it is, its first moment, and the sessions under it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bodycam.cli.asked import asked
from bodycam.cli.printing import print_line, tell, when

_TEXT_WIDTH = 160


def print_leaks(leaks: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """A few lines a leak, the sessions under it in order."""
    for one in leaks:
        first = one["first"]
        print_line(f"{one['detector']}  {one['fingerprint'] or '(no fingerprint)'}")
        print_line(
            f"  first {when(first['at'])}  {first['run']}  {first['session']} #{first['exchange']}  "
            f"{first['way']} at {first['target']} by {first['agent']}"
        )
        if first["text"]:
            text = " ".join(asked(first.get("verb"), first["text"]).split())
            print_line(f"        {text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + '…'}")
        for place in one["sessions"]:
            print_line(
                f"  {place['way']:<8} {place['session']}  {place['run']}  {place['target']}  "
                f"{when(place['first'])} to {when(place['last'])}  {_counted(place)}"
            )
        if one["sessions_total"] > len({place["session"] for place in one["sessions"]}):
            print_line(f"  in {one['sessions_total']} sessions altogether")
    if not leaks:
        tell(empty)


def _counted(place: Mapping[str, Any]) -> str:
    exchanges, values = place["exchanges"], place["values"]
    said = f"{exchanges} exchange{'' if exchanges == 1 else 's'}"
    return said if values is None else f"{said}, {values} value{'' if values == 1 else 's'}"
