"""The time stamps that came with ledger heads kept outside, checked offline against their authority."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bodycam.archive import stamps
from bodycam.archive.kept import KeptHead
from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.printing import print_line, when


def check_stamps(report: dict[str, Any], kept: Sequence[KeptHead], authority: Path | None) -> dict[str, Any]:
    """The report with what the heads' stamps say: under `stamps` how many hold, and the newest moment.

    A stamp that does not hold is a finding, and the report's state is broken then.

    Raises:
        Failure: the authority's certificates can't be read.
    """
    stamped = [one for one in kept if one.stamp is not None]
    if not stamped:
        return report
    told: dict[str, Any] = {"hold": 0, "unchecked": 0, "newest": None, "over": None}
    if authority is None:
        return {**report, "stamps": told | {"unchecked": len(stamped)}}
    try:
        certificates = stamps.read_authority(authority)
    except (OSError, ValueError) as error:
        hint = "--authority names the time-stamp authority's certificates in PEM"
        raise Failure(f"{authority} can't be used: {error}", hint=hint, code=USAGE) from error
    findings = list(report.get("findings") or [])
    for one in stamped:
        assert one.stamp is not None
        try:
            moment = stamps.check(one.stamp, one.head, certificates).timestamp()
        except stamps.StampRefused as error:
            where = f"the head kept outside, {one.where}"
            findings.append({"where": where, "what": f"its time stamp {error}"})
            continue
        told["hold"] += 1
        if told["newest"] is None or moment > told["newest"]:
            told |= {"newest": moment, "over": one.head.size}
    report = {**report, "stamps": told}
    if len(findings) == len(report.get("findings") or []):
        return report
    return {**report, "ok": False, "state": "broken", "findings": findings}


def print_stamps(report: dict[str, Any]) -> None:
    """What the report says of stamps, for people."""
    told = report.get("stamps") or {}
    if told.get("hold"):
        print_line(
            f"{told['hold']} time stamps hold, the newest over {told['over']} leaves: {when(told['newest'])}"
        )
    if told.get("unchecked"):
        print_line(f"{told['unchecked']} time stamps were not checked: that takes --authority")
