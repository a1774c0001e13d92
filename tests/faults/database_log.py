"""What reached the database, from the database's own log (`log_statement = all`)."""

import re
from collections import defaultdict
from pathlib import Path

from tests.faults.recorded import Statement

_LINE = re.compile(
    r"^(?P<pid>\d+) bodycam/(?P<run>run_[a-z2-7]+)/\S* (?P<level>[A-Z]+):  "
    r"(?:statement: |execute [^:]+: |parameters: )(?P<text>.*)$"
)
_VALUE = re.compile(r"\$\d+ = '((?:[^']|'')*)'")


def statements(log: Path) -> dict[tuple[str, int], list[Statement]]:
    """The statements of every run of the gateway, in order, by run and process at the database."""
    found: dict[tuple[str, int], list[Statement]] = defaultdict(list)
    for line in log.read_text().splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        of = found[match["run"], int(match["pid"])]
        if match["level"] == "DETAIL":
            text, _ = of[-1]
            of[-1] = (text, tuple(value.replace("''", "'") for value in _VALUE.findall(match["text"])))
        else:
            of.append((match["text"], ()))
    return found
