"""Acts of looking at recordings, entered before anything is shown.

A viewing, an export and a watching are entered each time. Looking into the index comes in pages and in polls:
the same person looking for the same in the same place is entered once a minute.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from bodycam.api.trail import Trail

SAME_SECONDS: Final = 60.0
MOST_REMEMBERED: Final = 10_000
_MOST_WORDS: Final = 200

# what may be a token, a card or an account: the trail goes to others, and must not hold what leaked
_TELLING: Final = re.compile(r"\S*(?:\d[-. ]?){4,}\d\S*|\S{16,}")

EVERYWHERE: Final = "recordings"
"""What an act is done to that is not about one run or session."""


class Looks:
    """Enters them into the trail; `clock` gives monotonic seconds."""

    def __init__(self, trail: Trail, clock: Callable[[], float] = time.monotonic) -> None:
        self._trail, self._clock = trail, clock
        self._entered: OrderedDict[Hashable, float] = OrderedDict()

    async def viewed(self, actor: str, session: str, detail: Mapping[str, Any]) -> None:
        """A recording is about to be shown.

        Raises:
            ArchivistAway, ArchivistRefused: it is not in the ledger, so it must not happen; as for all these.
        """
        await self._trail.before("viewed", actor, session, detail)

    async def exported(self, actor: str, object: str, detail: Mapping[str, Any]) -> None:  # noqa: A002
        """A recording, or what was asked in some, is about to be taken away."""
        if not self._lately("exported", actor, object, detail):
            await self._trail.before("exported", actor, object, detail)
            self._remember("exported", actor, object, detail)

    async def searched(self, actor: str, object: str, detail: Mapping[str, Any]) -> None:  # noqa: A002
        """What was asked is about to be shown, out of the index."""
        if not self._lately("searched", actor, object, detail):
            await self._trail.before("searched", actor, object, detail)
            self._remember("searched", actor, object, detail)

    async def watched(self, actor: str, object: str, detail: Mapping[str, Any]) -> None:  # noqa: A002
        """Somebody is about to watch live."""
        await self._trail.before("watched", actor, object, detail)

    def _lately(self, *what: Any) -> bool:
        at = self._entered.get(_key(*what))
        return at is not None and self._clock() - at < SAME_SECONDS

    def _remember(self, *what: Any) -> None:
        key = _key(*what)
        self._entered[key] = self._clock()
        self._entered.move_to_end(key)
        while len(self._entered) > MOST_REMEMBERED:
            self._entered.popitem(last=False)


def words(question: str) -> str:
    """A question as the trail keeps it: of words that may be a secret or a number only their beginnings."""
    return _TELLING.sub(lambda found: f"{found[0][:2]}…", question)[:_MOST_WORDS]


def _key(action: str, actor: str, object: str, detail: Mapping[str, Any]) -> Hashable:  # noqa: A002
    return action, actor, object, repr(sorted(detail.items()))
