"""What a hunt brings in, put together: the earliest moment wins, all is counted, and little is held."""

import pytest

from bodycam.archive.hunt import Found, Hunted
from bodycam.catalog.sessions import Opening
from bodycam.catalog.sightings import RECEIVED, SENT, Sighting
from bodycam.cli import quarry
from bodycam.cli.quarry import Bag

KEY = "a" * 32


def opening(name: str) -> Opening:
    return Opening(name, "run_a", "ci@api", "bot", "orders", "pg", "shop", "", {}, "p1", 0, "aa", 1)


def brought(name: str, *found: Found, **more: object) -> tuple[str, Hunted]:
    return "rec_1", Hunted(name, opening(name), list(found), **more)  # type: ignore[arg-type]


def seen(at: int, what: str = KEY, way: str = RECEIVED, text: str = "select") -> Found:
    secret = what == KEY
    one = Sighting(what, way, secret, "corp" if secret else what, at, 3, at, at + 5, 2, 0 if secret else 4)
    return Found(one, "query", text)


def test_sessions_may_come_in_any_order() -> None:
    bag = Bag()
    bag.take(brought("ses_late", seen(9_000_000), seen(9_500_000, way=SENT)))
    bag.take(brought("ses_early", seen(2_000_000, text="select first"), seen(3_000_000, "badge")))
    bag.take(brought("ses_broken", seen(5_000_000), fault="at offset 7: a block"))
    bag.take(brought("ses_gone", gone=True))

    badge, key = bag.leaks()
    assert (badge["fingerprint"], badge["detector"], badge["values"]) == (None, "badge", 4)
    assert (key["fingerprint"], key["detector"], key["values"]) == (KEY, "corp", None)
    assert (key["first"]["session"], key["first"]["text"], key["first"]["at"]) == (
        "ses_early",
        "select first",
        2.0,
    )
    assert (key["last"], key["exchanges"], key["sessions_total"]) == (9.500005, 8, 3)
    assert [(one["session"], one["way"]) for one in key["sessions"]] == [
        ("ses_early", "received"),
        ("ses_broken", "received"),
        ("ses_late", "received"),
        ("ses_late", "sent"),
    ]
    assert bag.faults == [{"object": "rec_1", "session": "ses_broken", "why": "at offset 7: a block"}]
    assert (bag.gone, bag.count) == (1, 2)


def test_the_earliest_sessions_are_kept_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarry, "SESSIONS_MOST", 3)
    bag = Bag()
    for at in (7, 3, 9, 1, 5, 8):
        bag.take(brought(f"ses_{at}", seen(at)))
    (key,) = bag.leaks()
    assert [one["session"] for one in key["sessions"]] == ["ses_1", "ses_3", "ses_5"]
    assert (key["sessions_total"], key["first"]["session"]) == (6, "ses_1")
