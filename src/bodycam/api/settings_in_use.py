"""The settings as they are now, with what follows from them; swapped whole by a reload."""

from bodycam.config import Settings
from bodycam.policy.access import AccessPolicy


class SettingsInUse:
    """Holds one version of the settings and its grants."""

    def __init__(self, settings: Settings) -> None:
        self._both = (settings, AccessPolicy(settings))

    @property
    def settings(self) -> Settings:
        """The settings tree."""
        return self._both[0]

    @property
    def access(self) -> AccessPolicy:
        """Who may start and open what."""
        return self._both[1]

    def adopt(self, settings: Settings) -> None:
        """Use another version from here on."""
        self._both = (settings, AccessPolicy(settings))
