"""What notes of a session add up to."""

from typing import Any

import pytest

from bodycam.archive import seen
from bodycam.archive.seen import Seen

KEY, OTHER = "a" * 32, "b" * 32


def note(detector: str = "secrets.x", count: int = 1, **more: Any) -> dict[str, Any]:
    return {"note": "masked", "detector": detector, "count": count, **more}


def test_notes_of_one_exchange_are_one_exchange_and_ways_are_apart() -> None:
    own = Seen()
    own.take(100, 1, 90, note(count=2, fingerprints=f"{KEY}, {OTHER}"))
    own.take(105, 1, 90, note(count=7, fingerprints=KEY))
    own.take(200, 2, 190, note(count=1, fingerprints=KEY))
    own.take(300, 3, 290, note(way="sent", fingerprints=KEY))
    own.take(310, 3, 290, note("pii.card", 4))
    own.take(410, 4, 400, note("pii.card", 5))

    found = {(one.what, one.way): one for one in own.changed()}
    received, sent, card = found[KEY, "received"], found[KEY, "sent"], found["pii.card", "received"]
    assert (received.first, received.exchange, received.started, received.last) == (100, 1, 90, 200)
    assert (received.exchanges, received.secret, received.met) == (2, True, 0)
    assert (sent.first, sent.exchanges) == (300, 1)
    assert (card.exchanges, card.secret, card.met) == (2, False, 9)
    assert len(found) == 4
    own.written()
    assert own.changed() == []
    own.take(500, 5, 490, note(fingerprints=OTHER))
    assert [(one.what, one.exchanges) for one in own.changed()] == [(OTHER, 2)]


def test_more_secrets_than_are_told_apart_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "MOST", 3)
    own = Seen()
    for number in range(10):
        own.take(number, number, number, note(fingerprints=f"{number:032x}"))
    own.take(99, 99, 99, note(fingerprints=f"{1:032x}"))

    found = {one.what: one for one in own.changed()}
    assert len(found) == 4
    assert (found["secrets.x"].met, found["secrets.x"].secret) == (7, False)
    assert found[f"{1:032x}"].exchanges == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"note": "masked"},
        note(count=-1),
        note(count="1"),
        note(detector=7),
        note(fingerprints="hunter2"),
        note(fingerprints=["a"]),
    ],
)
def test_what_no_gateway_writes_is_refused(odd: dict[str, Any]) -> None:
    own = Seen()
    with pytest.raises((LookupError, TypeError, ValueError)):
        own.take(1, 1, 1, odd)
    assert own.changed() == []
