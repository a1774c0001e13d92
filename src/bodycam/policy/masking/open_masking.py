"""The masking of the settings, as sessions ask for it when they open."""

from collections.abc import Mapping
from typing import Final

from bodycam.config.masking import Capture
from bodycam.policy.masking.open_masks import OpenMasks
from bodycam.policy.masking.origins import Effects, Origins
from bodycam.policy.masking.policy import Masking

DATABASES_MOST: Final = 256
"""Databases whose masked columns are known at a time."""


class OpenMasking:
    """The masking of the settings, as sessions ask for it; `adopt` changes it for sessions that come."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._origins: dict[tuple[str, str], Origins] = {}

    def adopt(self, masking: Masking) -> None:
        """Mask by other settings from here on."""
        self._masking = masking

    def open(
        self, target: str, labels: Mapping[str, str], database: str, effects: Effects | None = None
    ) -> OpenMasks | None:
        """What results of a target must not show; None where all may be shown and kept."""
        plan, capture = self._masking.for_target(target, labels), self._masking.capture(target)
        if plan is None:
            if capture == Capture():
                return None
            plan = self._masking.nothing
        return OpenMasks(plan, capture, self.origins(target, labels, database), effects)

    def origins(self, target: str, labels: Mapping[str, str], database: str) -> Origins | None:
        """What is known of the masked columns of a database; None where none is masked by its name."""
        plan = self._masking.for_target(target, labels)
        if plan is None or not plan.record.by_column:
            return None
        found = self._origins.get((target, database))
        if found is None or found.plan is not plan:
            if len(self._origins) >= DATABASES_MOST:
                self._origins.clear()
            found = self._origins[target, database] = Origins(plan)
        return found
