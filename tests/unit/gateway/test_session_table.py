"""The sessions that are open at a worker, and what their runs have left."""

from dataclasses import replace
from typing import Any, cast

import pytest

from bodycam.gateway.session_table import SessionTable
from tests.playbook.play import GRANT

NOW = 1_800_000_000.0


class Moving:
    """A session that has moved so much: a tenth of it to the client, all else to the target."""

    def __init__(
        self, name: str, run: str, moved: int = 0, allowed: int = 0, expires: float = NOW + 60
    ) -> None:
        limits = replace(GRANT.limits, journal_bytes=allowed)
        self.grant = replace(
            GRANT, session=name, run=replace(GRANT.run, id=run, expires=expires), limits=limits
        )
        self.moved, self.exchanges = moved, 1
        self.bytes_to_client, self.bytes_to_target = moved // 10, moved - moved // 10


@pytest.fixture
def table() -> SessionTable:
    return SessionTable()


def add(table: SessionTable, session: Moving) -> Moving:
    table.add(cast("Any", session), cast("Any", session.grant.session))
    return session


def close(table: SessionTable, *sessions: Moving) -> None:
    for session in sessions:
        table.closed(cast("Any", session))


def test_sessions_are_found_by_their_ids_and_by_their_run(table: SessionTable) -> None:
    for name, run in (("a", "run_1"), ("b", "run_1"), ("c", "run_2"), ("d", "run_3")):
        add(table, Moving(name, run))

    assert list(table.of(["d"], "run_1")) == ["a", "b", "d"]
    assert list(table.of([], None)) == []
    assert table.listed()[:2] == [{"session": "a", "run": "run_1"}, {"session": "b", "run": "run_1"}]


def test_what_sessions_moved_counts_on_when_they_are_over(table: SessionTable) -> None:
    first, _ = add(table, Moving("a", "run_1", moved=100)), add(table, Moving("b", "run_1", moved=50))
    before = table.moved()
    close(table, first)

    assert len(table) == 1
    assert table.moved() == before == {"exchanges": 2, "bytes_to_client": 15, "bytes_to_target": 135}


def test_one_that_is_closed_twice_is_closed(table: SessionTable) -> None:
    first, second = add(table, Moving("a", "run_1", moved=10)), add(table, Moving("b", "run_1"))
    close(table, first, first)
    assert table.moved()["bytes_to_client"] == 1
    assert [one.grant.session for one, _ in table.expired(NOW + 61)] == ["b"]
    close(table, second)
    assert list(table.expired(NOW + 61)) == []


def test_a_lease_that_was_renewed_runs_out_later(table: SessionTable) -> None:
    add(table, Moving("a", "run_1"))
    add(table, Moving("b", "run_2"))
    table.renewed("run_1", NOW + 120)
    table.renewed("run_9", NOW + 120)

    assert [link for _, link in table.expired(NOW + 60)] == ["b"]
    assert [link for _, link in table.expired(NOW + 120)] == ["a", "b"]


def test_a_new_session_of_a_run_does_not_shorten_its_lease(table: SessionTable) -> None:
    add(table, Moving("a", "run_1", expires=NOW + 120))
    add(table, Moving("b", "run_1", expires=NOW + 60))
    assert list(table.expired(NOW + 60)) == []


def test_a_run_has_one_allowance_for_all_its_sessions_over_or_not(table: SessionTable) -> None:
    first = add(table, Moving("a", "run_1", moved=60, allowed=100))
    close(table, first)
    add(table, Moving("b", "run_1", moved=40, allowed=100))
    add(table, Moving("c", "run_2", moved=100, allowed=100))
    add(table, Moving("d", "run_3", moved=1000))
    assert table.overdrawn() == []

    add(table, Moving("e", "run_1", moved=1, allowed=100))
    assert table.overdrawn() == ["b", "e"]


def test_what_a_run_has_moved_is_forgotten_once_the_run_is_over(table: SessionTable) -> None:
    close(table, add(table, Moving("a", "run_1", moved=101, allowed=100)))
    table.renewed("run_1", NOW + 120)
    assert list(table.expired(NOW + 60)) == []
    again = add(table, Moving("b", "run_1", allowed=100, expires=NOW + 120))
    assert table.overdrawn() == ["b"]

    close(table, again)
    assert list(table.expired(NOW + 120)) == []
    add(table, Moving("c", "run_1", allowed=100, expires=NOW + 180))
    assert table.overdrawn() == []
