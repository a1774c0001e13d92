"""Which recordings each caller may look at: conditions held against where recordings come from.

There are few provenances for many sessions, and what a caller may see of them is remembered: a listing asks
the catalog for those that are new, and then finds by their keys, so that it never looks at what is hidden.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

import structlog
from sqlalchemy import Connection, Engine

from bodycam.api.catalog_calls import read
from bodycam.api.errors import ApiError
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.catalog.provenances import newer
from bodycam.catalog.visible import EVERYTHING, NOTHING, Visible
from bodycam.config.viewing import Act, View
from bodycam.model.identity import Principal
from bodycam.model.provenance import Provenance
from bodycam.policy.access import Role
from bodycam.policy.viewing import Permit, Viewer, ViewingPolicy

log = structlog.get_logger(__name__)

MOST_PROVENANCES: Final = 50_000
"""What reviewers see is decided for the newest so many; recordings from elsewhere they don't see."""

LATE_KEYS: Final = 100
"""Of two provenances added at once the one with the higher key may come first: so many are asked again."""

MOST_VIEWERS: Final = 64

Keys = Mapping[tuple[Act, View], tuple[int, ...]]
"""The keys of provenances, for each act those that are shown in full and those that are masked."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one caller may look at. `keys` are of reviewers; without them only what they own counts."""

    viewer: Viewer
    keys: Keys | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is hidden from them."""
        return self.viewer.everything is not None

    def owns(self, principal: str) -> bool:
        """Whether that is themselves."""
        return self.viewer.principal == principal

    def permit(self, act: Act, recording: Provenance) -> Permit | None:
        """Whether they may do this with a recording; None if not."""
        return self.viewer.permit(act, recording)

    def visible(self, act: Act, *views: View) -> Visible:
        """With which sessions they may do this, of those that they see in these views; none is any."""
        if self.everything:
            return EVERYTHING
        wanted = views or tuple(View)
        own = self.viewer.own(act)
        mine = self.viewer.principal if own is not None and own.view in wanted else None
        if self.keys is not None:
            return Visible(mine, tuple(key for view in wanted for key in self.keys.get((act, view), ())))
        return NOTHING if mine is None else Visible(mine)

    def filtered(self, principal: str | None) -> str | None:
        """The principal to filter by, when that one was asked for.

        Raises:
            ApiError: 403, others' can't be among what they see.
        """
        if self.everything or self.viewer.reviews or principal is None or self.owns(principal):
            return principal
        raise ApiError(
            403,
            "forbidden",
            "you may see your own runs only",
            "An admin or auditor sees all, and a reviewer what the settings grant under viewing.",
        )

    def needs(self, act: Act) -> None:
        """Go on only if some grant lets them do this with any recording.

        Raises:
            ApiError: 403.
        """
        if not self.viewer.grants(act):
            raise not_granted(act)

    def permitted(self, act: Act, recording: Provenance) -> Permit:
        """The permit to do this with a recording that they see listed.

        Raises:
            ApiError: 403.
        """
        found = self.permit(act, recording)
        if found is None:
            raise not_granted(act)
        return found


@dataclass(slots=True)
class _Evaluated:
    """What one viewer may see of the provenances up to a key."""

    viewer: Viewer
    newest: int = 0
    keys: dict[tuple[Act, View], tuple[int, ...]] = field(default_factory=dict)


class Sights:
    """What callers may look at, by the settings in use; bounded, and safe to ask from several threads."""

    def __init__(self, catalog: Engine, settings: SettingsInUse) -> None:
        self._catalog, self._settings = catalog, settings
        self._policy: ViewingPolicy | None = None
        self._evaluated: OrderedDict[Hashable, _Evaluated] = OrderedDict()
        self._known: list[tuple[int, Provenance]] = []
        self._lock = threading.Lock()

    async def of(self, principal: Principal, roles: frozenset[Role]) -> Sight:
        """What a principal in these roles may look at just now."""
        policy = self._settings.viewing
        viewer = policy.viewer(principal, roles)
        if viewer.everything is not None or not viewer.reviews:
            return Sight(viewer)
        key = (principal.issuer, principal.subject, principal.kind, principal.groups, roles)
        return await read(self._catalog, self._reviewer, policy, key, viewer)

    def _reviewer(
        self, connection: Connection, policy: ViewingPolicy, key: Hashable, viewer: Viewer
    ) -> Sight:
        with self._lock:
            self._learn(connection)
            if policy is not self._policy:
                self._policy = policy
                self._evaluated.clear()
            found = self._evaluated.setdefault(key, _Evaluated(viewer))
            self._evaluated.move_to_end(key)
            while len(self._evaluated) > MOST_VIEWERS:
                self._evaluated.popitem(last=False)
            self._evaluate(found)
            return Sight(found.viewer, dict(found.keys))

    def _learn(self, connection: Connection) -> None:
        """Take up the provenances that are new."""
        newest = self._known[-1][0] if self._known else 0
        lately = {key for key, _ in self._known[-LATE_KEYS:]}
        told = newer(connection, max(0, newest - LATE_KEYS), MOST_PROVENANCES)
        fresh = [one for one in told if one[0] not in lately]
        self._known += fresh
        if fresh and fresh[0][0] < newest:
            self._known.sort(key=itemgetter(0))
            self._evaluated.clear()
        if len(self._known) > MOST_PROVENANCES:
            log.error("recordings come from so many places that reviewers don't see the oldest")
            del self._known[: len(self._known) - MOST_PROVENANCES]
            self._evaluated.clear()

    def _evaluate(self, found: _Evaluated) -> None:
        at = len(self._known)
        while at and self._known[at - 1][0] > found.newest:
            at -= 1
        fresh: dict[tuple[Act, View], list[int]] = {}
        for key, provenance in self._known[at:]:
            for act, permit in found.viewer.permits(provenance).items():
                fresh.setdefault((act, permit.view), []).append(key)
            found.newest = key
        for name, keys in fresh.items():
            found.keys[name] = (*found.keys.get(name, ()), *keys)


def not_granted(act: Act) -> ApiError:
    """What is said to who may see that it is there, and no more."""
    words = {
        Act.LIST: "list recordings",
        Act.SEARCH: "look into what was asked",
        Act.PLAY: "play this recording",
        Act.TAIL: "watch live",
        Act.EXPORT: "export recordings",
    }
    return ApiError(
        403,
        "not-granted",
        f"what is granted to you does not let you {words[act]}",
        "The settings say who may, under viewing[].acts.",
    )
