"""Exchanges that began at one moment, more than it has ids: each gets one of its own, and quickly found."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, select

from bodycam.catalog import ingest
from bodycam.catalog.engine import reading
from bodycam.catalog.free_ids import FreeIds
from bodycam.catalog.tables import bundles
from tests.contract.catalog_cases import NOON, add_session, exchange, write

BATCH = 500


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    said: list[str] = []

    def hear(*arguments: object) -> None:
        said.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def test_a_moment_with_more_exchanges_than_ids_costs_no_more_statements(catalog: Engine) -> None:
    keys = add_session(catalog, "ses_many")
    costs = []
    for first in range(1, 9001, BATCH):
        rows = [
            exchange(keys, number, f"insert {number}", started=NOON) for number in range(first, first + BATCH)
        ]
        with counted(catalog) as said:
            assert write(catalog, rows) == BATCH
        costs.append(len(said))

    assert max(costs) < costs[0] + 10
    with reading(catalog) as connection:
        found = connection.execute(select(bundles.c.id).order_by(bundles.c.id)).scalars().all()
    assert len(found) == 9000
    assert {ingest.started_at(one) for one in found} == {NOON, NOON + 1, NOON + 2}


def test_it_is_the_first_free_id_whatever_was_taken_before(catalog: Engine) -> None:
    chance = random.Random(7)
    keys = add_session(catalog, "ses_mixed")
    near = [chance.choice((0, 0, 0, 1, 3)) for _ in range(6000)]
    rows = [
        exchange(keys, number, f"insert {number}", started=NOON + at) for number, at in enumerate(near, 1)
    ]
    write(catalog, rows)

    with reading(catalog) as connection:
        held = set(connection.execute(select(bundles.c.id)).scalars())
        low, high = ingest.first_id(NOON) - 10, ingest.first_id(NOON + 5)
        wanted = [chance.randrange(low, high) for _ in range(3000)]
        ids = FreeIds(connection, held & set(wanted))
        for one in wanted:
            free = one
            while free in held:
                free += 1
            held.add(free)
            assert ids.take(one) == free
