"""What masking costs: a batch of rows through a screen, and the values of a message through the redactor.

    ./dev bench masking [--quick] [--json]

A batch is 64 KiB of rows of 100 bytes: a number, a name, a time, an amount, a UUID and a note. The worker's
own share of such a row is about 0.2 us compiled, which is what a screen's time is to be compared with. Beside
it stands what it takes to cut the values out of DataRow messages.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from parts.machine import Row, machine, row, show

from bodycam.config.masking import Then
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.columns import CellKind, Column
from bodycam.policy.masking.screen import Screen
from bodycam.policy.redaction import Redactor
from bodycam.protocols.postgres.cells import row_cells

BATCH = 64 << 10
ROW = 100
WORDS = "lorem ipsum dolor sit order shipped customer number total pending Miller Berlin".split()  # noqa: SIM905
SECRET = b"AKIAIOSFODNN7ABCDEFG"
CARD = b"4111111111111111"


def rows(chance: random.Random, hits: float) -> list[bytes | None]:
    """Cells of one batch, in `hits` of whose rows a key or a card number stands."""
    cells: list[bytes | None] = []
    for _ in range(BATCH // ROW):
        note = " ".join(chance.choice(WORDS) for _ in range(3)).encode()
        if chance.random() < hits:
            note = chance.choice((SECRET, CARD)) + b" " + note[:10]
        at = datetime.fromtimestamp(chance.randrange(2**31), UTC)
        cells += (
            str(chance.randrange(10**7)).encode(),
            f"{chance.choice(WORDS)} {chance.choice(WORDS)}".encode(),
            at.strftime("%Y-%m-%d %H:%M:%S").encode(),
            f"{chance.random() * 1000:.2f}".encode(),
            str(uuid.UUID(int=chance.getrandbits(128))).encode(),
            note,
        )
    return cells


# as PostgreSQL would type them: a whole number, text, a time, a numeric, a UUID, text
TYPED = [
    Column("id", CellKind.CANNOT_HOLD, holds_text=False),
    Column("name", CellKind.TEXT),
    Column("at", CellKind.CANNOT_HOLD, holds_text=False),
    Column("total", CellKind.TEXT, holds_text=False),
    Column("reference", CellKind.CANNOT_HOLD, holds_text=False),
    Column("note", CellKind.TEXT),
]
ALL_TEXT = [Column(column.name, CellKind.TEXT) for column in TYPED]


def timed(work: Callable[[], object], seconds: float) -> float:
    """Microseconds for one call: the median of five turns."""
    work()
    turns: list[float] = []
    for _ in range(5):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            work()
            count += 1
        turns.append(spent / count * 1e6)
    return statistics.median(turns)


def screens(name: str, matcher: Matcher, seconds: float) -> list[Row]:
    measured: list[Row] = []
    for columns, kind in ((TYPED, "typed"), (ALL_TEXT, "all text")):
        screen = Screen(columns, matcher, lambda rule: Then.REDACT)
        for hits in (0.0, 0.01):
            cells = rows(random.Random(1), hits)
            spent = timed(lambda cells=cells, screen=screen: screen.cells(cells), seconds)  # type: ignore[misc]
            measured.append(row(f"{name}, {kind}, {hits:.0%} hits", spent / (BATCH // ROW), "us/row"))
    return measured


def cutting(seconds: float) -> list[Row]:
    measured: list[Row] = []
    for width in (1, 6):
        value = b"x" * (ROW // width)
        row_body = width.to_bytes(2, "big") + (len(value).to_bytes(4, "big") + value) * width
        data = (b"D" + (4 + len(row_body)).to_bytes(4, "big") + row_body) * (BATCH // ROW)
        spent = timed(lambda data=data, width=width: row_cells(data, 0, len(data), width), seconds)  # type: ignore[misc]
        measured.append(row(f"values cut out of rows of {width}", spent / (BATCH // ROW), "us/row"))
    return measured


def redactions(matcher: Matcher, seconds: float) -> list[Row]:
    values = {
        "1 value": [b"12345"],
        "3 values of 30 bytes": [b"42", b"alice@example.com", b"2024-01-01"],
        "100 values of 1 KiB": [b"some words of a note"] * 50 + [b"12345"] * 50,
    }
    measured: list[Row] = []
    for name, redactor in (("passwords", Redactor()), ("and secrets", Redactor(matcher=matcher))):
        for label, one in values.items():
            spent = timed(lambda one=one, redactor=redactor: redactor.redact_values(one), seconds)  # type: ignore[misc]
            measured.append(row(f"redact_values, {name}, {label}", spent, "us"))
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    seconds = 0.1 if asked.quick else 0.5
    about, measured = machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for turn in ("compiled", "from the cache"):
            start = time.perf_counter()
            patterns = Patterns.open(Path(folder))
            secrets = patterns.matcher(["secrets"], placed=True)
            measured.append(row(f"secrets, {turn}", (time.perf_counter() - start) * 1e3, "ms"))
        for label, text in (("200 bytes", b"words, " * 28), ("64 KiB", b"plain words " * 5461)):
            spent = timed(lambda text=text: secrets.suspicious(text), seconds)  # type: ignore[misc]
            measured.append(row(f"scan for secrets, {label}", spent, "us"))
        for names in (["secrets"], ["secrets", "pii"], ["secrets", "pii", "pii.national"]):
            measured += screens(" ".join(names), patterns.matcher(names, placed=True), seconds)
        measured += cutting(seconds)
        measured += redactions(secrets, seconds)
    show("masking", measured, about, as_json=asked.json)


if __name__ == "__main__":
    main()
