"""Settings of viewing: who may look at recordings that others started."""

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from bodycam.config.people import Who
from bodycam.config.section import Section
from bodycam.config.types import Name

OWN: Final = "own"
"""The grant by which everybody sees the runs that they started."""

RESERVED: Final = ("admin", "auditor")
"""What viewing by a role is called in the trail."""

MAX_GRANTS: Final = 200


class Act(StrEnum):
    """What is done with a recording."""

    LIST = "list"  # that it is there: names, times, counts
    SEARCH = "search"  # what was asked, out of the index
    PLAY = "play"  # all that went by
    TAIL = "tail"  # what was asked, live
    EXPORT = "export"  # to take it away


class View(StrEnum):
    """How much of a recording is shown."""

    FULL = "full"
    MASKED = "masked"  # no values


class ViewingGrant(Section):
    """One grant: reviewers that `who` names may do `acts` with recordings for which `when` holds."""

    name: Name = Field(
        description="What the trail calls it; `own` stands in for the one by which starters see their runs."
    )
    who: Who | None = Field(
        default=None, description="Which of those with the role reviewer; absent: all of them."
    )
    when: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Which recordings, a condition in CEL over the facts in `docs/access.md`; absent: all.",
    )
    acts: tuple[Act, ...] = Field(
        default=tuple(Act), min_length=1, description="What they may do with them; `list` always."
    )
    view: View = Field(
        default=View.FULL, description="`masked`: statements without literals, and no values at all."
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.name in RESERVED:
            raise ValueError(f"expected another name: {self.name} is what viewing by that role is called")
        if self.name == OWN and (self.who is not None or self.when is not None):
            raise ValueError("expected neither who nor when: the grant own is about one's own runs")
        if self.who is not None and not (self.who.groups or self.who.subjects):
            raise ValueError("expected groups or subjects in who")
        return self
