"""An exchange's details as the index keeps them: what its protocol has kept, and what policy said."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from bodycam.archive.asked import Rest
from bodycam.catalog.statement import storable
from bodycam.model.operation import Fact
from bodycam.model.transcript import Transcript

VERDICT, RULE = "verdict", "rule"
LONGEST: Final = 4096
"""Characters of the details at most; what a client says may be long, and such are left out."""
_MOST_TAGS = 64


def detailed(
    protocol: str, transcript: Transcript, rest: Rest, tag: str | None, learned: Mapping[str, Fact]
) -> str | None:
    """The details as JSON; None for none."""
    if learned:
        return _written({**transcript.kept(rest.facts, tag), **learned}, rest)
    room, key = rest.details, (protocol, tag)
    if key not in room:
        if len(room) >= _MOST_TAGS:
            room.clear()
        room[key] = _written(transcript.kept(rest.facts, tag), rest)
    return room[key]


def _written(kept: Mapping[str, Fact], rest: Rest) -> str | None:
    details = dict(kept)
    if rest.verdict is not None:
        details[VERDICT], details[RULE] = rest.verdict
    if not details:
        return None
    return _as_json(tuple(details), *details.values())


@lru_cache(maxsize=1024, typed=True)
def _as_json(names: tuple[str, ...], *facts: Fact) -> str | None:
    """Of most exchanges the details are the same few, whatever was asked: a status, and no more."""
    details = dict(zip(names, facts, strict=True))
    # ASCII: no text that a database can't hold
    said = storable(json.dumps(details, separators=(",", ":")))
    if len(said) > LONGEST:
        said = json.dumps({VERDICT: details[VERDICT], RULE: details[RULE]}) if VERDICT in details else ""
    return said or None
