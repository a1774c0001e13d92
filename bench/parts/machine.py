"""The form of a benchmark's result: the machine it ran on, and rows with their bounds."""

import json
import os
import platform
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def machine() -> dict[str, Any]:
    """What the figures depend on, as far as the machine tells."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": model,
        "memory_mib": pages // 2**20,
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def row(
    measure: str,
    value: float | None,
    unit: str,
    *,
    against: str | None = None,
    base: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """One measure. `base` is what `against` measured; a bound holds for the ratio, or without `against`
    for the value.

    A bound that could not be judged, because its baseline is missing, is not met: `ok` is false.
    """
    ratio = value / base if value is not None and base else None
    judged = ratio if against else value
    bound, ok = None, True
    if at_least is not None:
        bound, ok = at_least, judged is not None and judged >= at_least
    elif at_most is not None:
        bound, ok = at_most, judged is not None and judged <= at_most
    return {
        "measure": measure,
        "value": None if value is None else round(value, 3),
        "unit": unit,
        "against": against,
        "ratio": None if ratio is None else round(ratio, 3),
        "bound": bound,
        "ok": ok,
    }


def show(name: str, rows: list[Row], about: dict[str, Any], *, as_json: bool) -> None:
    """Print the result, for a program or for people."""
    if as_json:
        print(json.dumps({"bench": name, "machine": about, "rows": rows}))
        return
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    for one in rows:
        value = "-" if one["value"] is None else f"{one['value']:,.2f}"
        ratio = "" if one["ratio"] is None else f"x{one['ratio']:.2f}"
        verdict = "" if one["bound"] is None else f"bound {one['bound']} {'met' if one['ok'] else 'MISSED'}"
        against = "" if not one["against"] else f"of {one['against']}"
        print(f"{one['measure']:58} {value:>13} {one['unit']:8} {ratio:>7} {against:18} {verdict}")
