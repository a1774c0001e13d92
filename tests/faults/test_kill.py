"""kill -9 of every process under pgbench's TPC-B load: what a client saw committed, and every statement that
reached the database, is in a recording that verifies.

`./dev test tests/faults/test_kill.py -s` prints the table of docs/operations.md;
BODYCAM_FAULT_ROUNDS sets the number of rounds (20).
"""

import contextlib
import os
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests import stage
from tests.faults import database_log, victims
from tests.faults.load import Bench, Token
from tests.faults.recorded import Recorded, events, read

ROUNDS = int(os.environ.get("BODYCAM_FAULT_ROUNDS", "20"))
VICTIMS = ("worker", "archivist", "worker", "control", "everything", "worker", "supervisor")
MODES = ("simple", "prepared")


@dataclass(slots=True)
class Round:
    """One kill under load, and what became of it."""

    number: int
    victim: str
    mode: str
    run: stage.Credential
    committed: set[Token] = field(default_factory=set)
    thrown_out: int = 0
    back: float = 0.0


def play(number: int, gateway: stage.Gateway, bench: Bench) -> Round:
    """Kill one process in the middle of a load; when clients lost their sessions, load once more."""
    victim, mode = VICTIMS[number % len(VICTIMS)], MODES[number % len(MODES)]
    this = Round(number + 1, victim, mode, gateway.run())
    # long enough for the children of a dead supervisor to cut what goes on
    load = bench.start(this.run.environment, mode, 6 if victim == "supervisor" else 2)
    time.sleep(random.uniform(0.4, 1.6))
    began = time.monotonic()
    victims.kill(gateway, victim)
    victims.until_served(gateway, this.run.dsn())
    this.back = time.monotonic() - began
    done = load.finish()
    this.committed |= done.committed
    this.thrown_out = done.thrown_out
    if done.thrown_out:
        again = bench.start(this.run.environment, mode, 1).finish()
        assert not again.thrown_out, again.said
        this.committed |= again.committed
    assert len(this.committed) > 10, done.said
    return this


def gaps(gateway: stage.Gateway) -> float:
    """What the archivist counts as missing openings."""
    lines = gateway.api("GET", "/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith("bodycam_journal_gaps_total "))
    return float(line.split()[1])


@pytest.mark.timeout(120 + 15 * ROUNDS)
def test_what_was_committed_and_what_reached_the_database_is_recorded(
    gateway: stage.Gateway, server: stage.Postgres, tmp_path: Path
) -> None:
    bench = Bench(server, tmp_path)
    bench.prepare()
    rounds = [play(number, gateway, bench) for number in range(ROUNDS)]
    for one in rounds:
        with contextlib.suppress(httpx.HTTPError):
            gateway.end(one.run, wait=30)
    assert gaps(gateway) == 0
    assert gateway.stop() == 0
    code, report = gateway.verify()
    assert (code, report["findings"], report["open"]) == (0, [], [])

    sessions = [read(told) for told in events(gateway).values()]
    assert_no_opening_is_missing(sessions)
    reached = database_log.statements(server.log)
    in_table = bench.in_table()
    table = [assess(one, sessions, reached, in_table) for one in rounds]
    print(*render(table), sep="\n")  # noqa: T201
    assert {token for one in rounds for token in one.committed} <= in_table
    assert in_table <= {token for one in sessions for token in one.marked}
    for row in table:
        assert row.missing == [], row


def assert_no_opening_is_missing(sessions: list[Recorded]) -> None:
    """Every worker's sessions are numbered 1, 2, 3, and every number has its recording."""
    numbers = defaultdict(list)
    for one in sessions:
        numbers[one.worker].append(one.opening)
    for worker, found in numbers.items():
        assert sorted(found) == list(range(1, len(found) + 1)), worker.hex()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `missing` says in words what should have been recorded and is not."""

    number: int
    victim: str
    mode: str
    committed: int
    committed_recorded: int
    statements: int
    statements_recorded: int
    sessions: int
    thrown_out: int
    interrupted: int
    back: float
    missing: list[str]


def assess(
    one: Round,
    sessions: list[Recorded],
    reached: dict[tuple[str, int], list[tuple[str, tuple[str, ...]]]],
    in_table: set[Token],
) -> Row:
    """Compare what one round did with what is recorded of it."""
    own = [session for session in sessions if session.run == one.run.run]
    answered = {token for session in own for token in session.committed}
    by_backend = {session.backend: session for session in own}
    assert len(by_backend) == len(own), "two sessions name one process at the database"
    missing: list[str] = []
    at_database = recorded = 0
    for (run, backend), said in reached.items():
        if run != one.run.run:
            continue
        asked = by_backend[backend].asked if backend in by_backend else []
        at_database += len(said)
        same = sum(left == right for left, right in zip(said, asked, strict=False))
        recorded += same
        if same != len(said):
            missing.append(
                f"of backend {backend}: {said[same : same + 3]}, recorded {asked[same : same + 3]}"
            )
    if lost := one.committed - answered:
        missing.append(f"committed: {sorted(lost)[:3]} and {len(lost)} in all")
    for session in own:
        if ("interrupted" in session.notes) is not (session.outcome == "interrupted"):
            missing.append(f"the marker of session {session.opening} of {session.worker.hex()}")
    interrupted = sum(session.outcome == "interrupted" for session in own)
    # whoever lost a session to a dead worker has it marked; one that was cut has an end of its own
    expected = one.thrown_out if one.victim in ("worker", "everything") else 0
    if interrupted != expected:
        missing.append(f"{expected} sessions were interrupted, {interrupted} are marked")
    if one.victim in ("archivist", "control") and one.thrown_out:
        missing.append(f"{one.thrown_out} clients were thrown out by the death of the {one.victim}")
    return Row(
        one.number,
        one.victim,
        one.mode,
        len(one.committed),
        len(one.committed & answered),
        at_database,
        recorded,
        len(own),
        one.thrown_out,
        interrupted,
        one.back,
        missing,
    )


def render(table: list[Row]) -> list[str]:
    """The rounds, and their sums by what was killed."""
    lines = [
        "",
        "| round | killed | mode | committed | recorded | statements | recorded | sessions | thrown out | interrupted | back after |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        lines.append(
            f"| {row.number} | {row.victim} | {row.mode} | {row.committed} | {row.committed_recorded} "
            f"| {row.statements} | {row.statements_recorded} | {row.sessions} | {row.thrown_out} "
            f"| {row.interrupted} | {row.back:.1f} s |"
        )
    lines += [
        "",
        "| killed | rounds | committed | recorded | statements | recorded | thrown out | interrupted | back after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for victim in dict.fromkeys(row.victim for row in table):
        rows = [row for row in table if row.victim == victim]
        sums = " | ".join(
            str(sum(getattr(row, name) for row in rows))
            for name in (
                "committed",
                "committed_recorded",
                "statements",
                "statements_recorded",
                "thrown_out",
                "interrupted",
            )
        )
        lines.append(f"| {victim} | {len(rows)} | {sums} | at most {max(row.back for row in rows):.1f} s |")
    return lines
