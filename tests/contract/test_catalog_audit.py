"""Audit events become visible in the order of their ids, whoever adds them: who reads on misses none."""

import threading

from sqlalchemy import Engine

from bodycam.catalog import audit
from bodycam.catalog.engine import reading, writing


class Turns:
    """Lets a transaction wait after its event is added."""

    def __init__(self) -> None:
        self.added, self.go_on = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.added.set()
        assert self.go_on.wait(30)


def add(engine: Engine, name: str, turns: Turns | None = None) -> int:
    with writing(engine) as connection:
        added = audit.add_event(
            connection, at=1, actor="ada@bodycam", action="viewed", object=name, detail={}
        )
        if turns is not None:
            turns.wait()
    return added


def told(engine: Engine, after: int) -> list[str]:
    with reading(engine) as connection:
        return [one.object for one in audit.events_after(connection, after, 100)]


def test_a_later_event_is_not_read_before_an_earlier_one_that_takes_its_time(catalog: Engine) -> None:
    before = add(catalog, "before")
    turns, taken = Turns(), list[int]()
    slow = threading.Thread(target=lambda: taken.append(add(catalog, "slow", turns)))
    quick = threading.Thread(target=lambda: taken.append(add(catalog, "quick")))
    slow.start()
    try:
        assert turns.added.wait(30)
        quick.start()
        quick.join(0.7)
        assert quick.is_alive()
        assert told(catalog, before) == []
    finally:
        turns.go_on.set()
        slow.join(30)
        quick.join(30)
    assert told(catalog, before) == ["slow", "quick"]
    assert taken == sorted(taken)
    assert told(catalog, taken[0]) == ["quick"]
