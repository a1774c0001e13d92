"""kill -9 of every process under pgbench's TPC-B load: what a client saw committed, and every statement that
reached the database, is in a recording that verifies.

`./dev test tests/faults/test_kill.py -s` prints the table of docs/operations.md;
BODYCAM_FAULT_ROUNDS sets the number of rounds (20), BODYCAM_FAULT_FSYNC=strict the other way to sync.
"""

import contextlib
import os
import random
import time
from dataclasses import dataclass, field

import httpx
import pytest

from tests import stage
from tests.faults import metrics, victims
from tests.faults.balance import Balance, Books
from tests.faults.load import Bench, Token

ROUNDS = int(os.environ.get("BODYCAM_FAULT_ROUNDS", "20"))
VICTIMS = ("worker", "archivist", "worker", "control", "everything", "worker", "supervisor")
MODES = ("simple", "prepared")


@dataclass(slots=True)
class Round:
    """One kill under load, and what became of it; `back` is after how many seconds all was well again."""

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
    bench.under_way(load)
    time.sleep(random.uniform(0.0, 1.0))
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
    assert this.committed, done.said
    return this


@pytest.mark.timeout(120 + 15 * ROUNDS)
def test_what_was_committed_and_what_reached_the_database_is_recorded(
    gateway: stage.Gateway, server: stage.Postgres, bench: Bench
) -> None:
    rounds = [play(number, gateway, bench) for number in range(ROUNDS)]
    for one in rounds:
        with contextlib.suppress(httpx.HTTPError):
            gateway.end(one.run, wait=30)
    assert metrics.total(gateway, "bodycam_journal_gaps_total") == 0
    assert metrics.total(gateway, "bodycam_journal_damages_total") == 0
    assert gateway.stop() == 0

    books = Books(gateway, server, bench)
    table = [(one, books.balance(one.run, one.committed)) for one in rounds]
    print(*render(table), sep="\n")  # noqa: T201
    assert books.unasked() == set()
    for one, balance in table:
        assert not balance.missing, (one, balance)
        assert balance.sessions["interrupted"] == interrupted(one), (one, balance)
        if one.victim in ("archivist", "control"):
            assert not one.thrown_out, one


def interrupted(one: Round) -> int:
    """How many sessions have to carry the marker: of each client that lost its own to the death of a worker.

    Those that the children of a dead supervisor cut have an end of their own.
    """
    return one.thrown_out if one.victim in ("worker", "everything") else 0


def render(table: list[tuple[Round, Balance]]) -> list[str]:
    """The rounds, and their sums by what was killed."""
    lines = [
        "",
        "| round | killed | mode | committed | recorded | statements | recorded | sessions | thrown out "
        "| interrupted | back after |",
        "|" + "---|" * 11,
    ]
    for one, balance in table:
        lines.append(
            f"| {one.number} | {one.victim} | {one.mode} | {numbers(balance)} | {balance.sessions.total()} "
            f"| {one.thrown_out} | {balance.sessions['interrupted']} | {one.back:.1f} s |"
        )
    lines += [
        "",
        "| killed | rounds | committed | recorded | statements | recorded | thrown out | interrupted | back after |",
        "|" + "---|" * 9,
    ]
    for victim in dict.fromkeys(one.victim for one, _ in table):
        rows = [(one, balance) for one, balance in table if one.victim == victim]
        sums = (sum(column) for column in zip(*(counts(balance) for _, balance in rows), strict=True))
        thrown_out = sum(one.thrown_out for one, _ in rows)
        marked = sum(balance.sessions["interrupted"] for _, balance in rows)
        lines.append(
            f"| {victim} | {len(rows)} | {' | '.join(f'{one:,}' for one in sums)} | {thrown_out} | {marked} "
            f"| at most {max(one.back for one, _ in rows):.1f} s |"
        )
    return lines


def counts(balance: Balance) -> tuple[int, int, int, int]:
    """Committed and recorded, at the database and recorded."""
    return (
        balance.committed,
        balance.committed_recorded,
        balance.statements,
        balance.statements_recorded,
    )


def numbers(balance: Balance) -> str:
    """The same, as cells of a table."""
    return " | ".join(str(one) for one in counts(balance))
