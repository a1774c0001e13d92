"""Notes of what an exchange met: the first at once, the rest together, none lost."""

from bodycam.policy.masking.sighting import Sighting
from bodycam.session.tally import MOST, Tally


def seen(detector: str, count: int, *fingerprints: str) -> Sighting:
    return Sighting(detector, count, fingerprints)


def test_the_first_of_a_kind_is_told_at_once_and_what_follows_at_the_end() -> None:
    tally = Tally()

    assert tally.add([seen("key", 2, "aa", "bb")]) == [
        {"detector": "key", "count": 2, "fingerprints": "aa, bb"}
    ]
    assert tally.add([seen("key", 1, "bb"), seen("pii.card", 4)]) == [{"detector": "pii.card", "count": 4}]
    assert tally.add([seen("key", 5, "cc")]) == []
    assert tally.rest() == [{"detector": "key", "count": 6, "fingerprints": "bb, cc"}]
    assert tally.rest() == []


def test_however_many_there_are_none_is_dropped_and_little_is_held() -> None:
    tally = Tally()
    told = [
        note
        for number in range(3 * MOST)
        for note in tally.add([seen("key", 1, f"{number:032x}", f"{number:032X}a")])
    ]
    told += tally.rest()

    names = {name for note in told for name in str(note["fingerprints"]).split(", ")}
    assert len(names) == 6 * MOST
    assert sum(int(note["count"]) for note in told) == 3 * MOST
    assert max(str(note["fingerprints"]).count(",") for note in told) <= MOST
