"""The settings as they are now, with what follows from them; swapped whole by a reload."""

from bodycam.config import Settings
from bodycam.policy.access import AccessPolicy
from bodycam.policy.viewing import ViewingPolicy


class SettingsInUse:
    """Holds one version of the settings and its grants."""

    def __init__(self, settings: Settings) -> None:
        self._all = _of(settings)

    @property
    def settings(self) -> Settings:
        """The settings tree."""
        return self._all[0]

    @property
    def access(self) -> AccessPolicy:
        """Who may start and open what."""
        return self._all[1]

    @property
    def viewing(self) -> ViewingPolicy:
        """Who may look at which recording."""
        return self._all[2]

    def adopt(self, settings: Settings) -> None:
        """Use another version from here on."""
        self._all = _of(settings)


def _of(settings: Settings) -> tuple[Settings, AccessPolicy, ViewingPolicy]:
    return settings, AccessPolicy(settings), ViewingPolicy(settings)
