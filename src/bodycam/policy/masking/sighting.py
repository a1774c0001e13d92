"""What was met of one kind of sensitive data, without the values."""

from collections.abc import Iterable
from dataclasses import dataclass

from bodycam.policy.masking.screen import Hits


@dataclass(frozen=True, slots=True)
class Sighting:
    """A kind of sensitive data that was met: how often, and keyed fingerprints of the secrets among it."""

    detector: str
    count: int
    fingerprints: tuple[str, ...]


def sightings(counted: Iterable[Hits]) -> list[Sighting]:
    """What these have counted since they were last asked, by detector."""
    found: dict[str, tuple[int, set[str]]] = {}
    for hits in counted:
        for seen in hits.take():
            count, prints = found.setdefault(seen.detector, (0, set()))
            found[seen.detector] = (count + seen.count, prints | seen.fingerprints)
    return [Sighting(name, count, tuple(sorted(prints))) for name, (count, prints) in found.items()]
