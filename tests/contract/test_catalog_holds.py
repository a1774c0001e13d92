"""Legal holds in each database: what they keep, and until when."""

from typing import Any

import pytest
from sqlalchemy import Engine

from bodycam.catalog import holds, sessions
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.holds import Held
from tests.contract.catalog_cases import NOON, add_session, exchange, write

SECOND = 1_000_000


def keeps(engine: Engine, session: str, *, whole: bool = True) -> str | None:
    with reading(engine) as connection:
        found = sessions.get_session(connection, session)
        assert found is not None
        in_force = holds.holds_in_force(connection)
        kept = holds.holding(connection, in_force, found, NOON + 60 * SECOND, whole=whole)
        return None if kept is None else kept.id


def hold(engine: Engine, name: str, **about: Any) -> None:
    with writing(engine) as connection:
        holds.add_hold(connection, name, Held(**about), "a suit", "ada@bodycam", NOON)


@pytest.mark.parametrize(
    ("about", "fits"),
    [
        ({"run": "run_a"}, True),
        ({"run": "run_b"}, False),
        ({"agent": "bot", "target": "orders"}, True),
        ({"agent": "bot", "target": "other"}, False),
        ({"principal": "ci@api"}, True),
        ({"since": NOON - 9}, True),
        ({"since": NOON + 59 * SECOND}, True),
        ({"since": NOON + 61 * SECOND}, False),
        ({"until": NOON + 1}, True),
        ({"until": NOON}, False),
        ({"since": NOON - 9, "until": NOON - 5}, False),
        ({"words": "zebra"}, True),
        ({"words": "ZEBRA giraffe"}, True),
        ({"words": "zebra lion"}, False),
        ({"words": '"select zebra"'}, True),
        ({"words": "housekeeping"}, True),
        ({"words": "zebra", "run": "run_b"}, False),
        ({"words": "zebra", "target": "orders", "until": NOON + 9}, True),
    ],
    ids=str,
)
def test_a_hold_keeps_what_fits_all_of_it(catalog: Engine, about: dict[str, Any], fits: bool) -> None:
    keys = add_session(catalog, "ses_a")
    write(
        catalog,
        [
            exchange(keys, 1, "SELECT zebra", values="giraffe"),
            exchange(keys, 2, "SELECT lion"),
            exchange(keys, 3, "SET housekeeping = 1", aside=True),
        ],
    )
    hold(catalog, "hld_1", **about)
    assert keeps(catalog, "ses_a") == ("hld_1" if fits else None)


def test_what_the_index_has_not_whole_is_kept_by_any_words(catalog: Engine) -> None:
    add_session(catalog, "ses_a")
    hold(catalog, "hld_1", words="zebra", target="orders")
    assert keeps(catalog, "ses_a") is None
    assert keeps(catalog, "ses_a", whole=False) == "hld_1"


def test_a_released_hold_keeps_nothing_and_stays_on_record(catalog: Engine) -> None:
    add_session(catalog, "ses_a")
    hold(catalog, "hld_1", agent="bot")
    hold(catalog, "hld_2", agent="bot", until=NOON + 5)
    assert keeps(catalog, "ses_a") == "hld_1"
    with writing(catalog) as connection:
        assert holds.release_hold(connection, "hld_1", "over", "eve@bodycam", NOON + 7)
        assert not holds.release_hold(connection, "hld_1", "again", "eve@bodycam", NOON + 8)
        assert not holds.release_hold(connection, "hld_9", "", "eve@bodycam", NOON + 8)
    assert keeps(catalog, "ses_a") == "hld_2"
    with reading(catalog) as connection:
        assert [one.id for one in holds.list_holds(connection).items] == ["hld_2"]
        first = holds.list_holds(connection, released=True, limit=1)
        assert [one.id for one in first.items] == ["hld_2"]
        (found,) = holds.list_holds(connection, released=True, limit=1, cursor=first.next).items
        assert found == holds.get_hold(connection, "hld_1")
        assert holds.get_hold(connection, "hld_9") is None
    assert (found.held, found.reason, found.actor) == (Held(agent="bot"), "a suit", "ada@bodycam")
    assert (found.released, found.released_by, found.release_reason) == (NOON + 7, "eve@bodycam", "over")


def test_holds_that_are_quick_to_look_at_come_first(catalog: Engine) -> None:
    hold(catalog, "hld_1", words="zebra")
    hold(catalog, "hld_2", run="run_a")
    with reading(catalog) as connection:
        assert [one.id for one in holds.holds_in_force(connection)] == ["hld_2", "hld_1"]
