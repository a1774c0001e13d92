"""For what somebody looks at recordings: to see them, or to take them away."""

from enum import StrEnum
from typing import Annotated

from fastapi import Query

from bodycam.config.viewing import Act


class Purpose(StrEnum):
    """What is looked at is also what is taken away: clients say which it is, for grants and for the trail."""

    LOOK = "look"
    EXPORT = "export"

    def act(self, look: Act) -> Act:
        """The act that this is, where looking would be `look`."""
        return Act.EXPORT if self is Purpose.EXPORT else look


PurposeAsked = Annotated[
    Purpose, Query(description="`export` to take it away, which needs that act to be granted.")
]
"""What a route takes; its default is to look."""
