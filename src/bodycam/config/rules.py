"""Settings of rules: what an operation may do, once its session is open."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from bodycam.config.people import TargetSelector
from bodycam.config.section import Section, written
from bodycam.config.types import Duration, Name, Text


class Action(StrEnum):
    """What a rule says of the operations that it matches."""

    DENY = "deny"
    REQUIRE_APPROVAL = "require_approval"
    ALERT = "alert"


_WITHOUT_APPROVAL = {"by": (), "minimum": 1, "wait": 30.0, "expires": 3600.0}


class Rule(Section):
    """One rule: a condition of your own (`when`), or a preset of Bodycam's, and what follows from it."""

    name: Name | None = Field(
        default=None, description="What clients, records and alerts call it; a preset has its own name."
    )
    preset: Name | None = Field(
        default=None, description="A ready-made rule, instead of `when`; `docs/rules.md` lists them."
    )
    when: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="A condition in CEL over the facts in `docs/rules.md`.",
    )
    unless: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="An exception, in CEL: the rule says nothing.",
    )
    then: Action | None = Field(
        default=None, description="What follows; required with `when`, a preset has its own."
    )
    agents: tuple[Name, ...] | None = Field(
        default=None, description="Only runs of these agents; absent: all runs."
    )
    targets: TargetSelector | None = Field(
        default=None, description="Only these targets; absent: all targets."
    )
    message: str = Field(default="", max_length=500, description="Why, for whoever is refused.")
    hint: str = Field(default="", max_length=500, description="What to do instead, for whoever is refused.")
    by: tuple[Text, ...] = Field(
        default=(), description="With require_approval: groups that may approve; absent: admins."
    )
    minimum: int = Field(
        default=1, ge=1, le=10, description="With require_approval: how many people must approve."
    )
    wait: Duration = Field(
        default=written("30s"),
        description="With require_approval: how long a client waits before it is told to come again.",
    )
    expires: Duration = Field(
        default=written("1h"),
        description="With require_approval: for how long it may be decided and used.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.when is None) == (self.preset is None):
            raise ValueError("expected either when, a condition in CEL, or preset")
        if self.when is not None and self.name is None:
            raise ValueError("expected a name: it is what clients are told")
        if self.when is not None and self.then is None:
            raise ValueError("expected then: deny, require_approval or alert")
        if self.preset is not None and self.name is not None:
            raise ValueError("expected no name: a preset has its own")
        said = [key for key, usual in _WITHOUT_APPROVAL.items() if getattr(self, key) != usual]
        if said and self.then is not Action.REQUIRE_APPROVAL:
            raise ValueError(f"expected then: require_approval, where {said[0]} is set")
        if self.expires < self.wait:
            raise ValueError("expected expires to be at least wait")
        return self

    @property
    def called(self) -> str:
        """Its name, or its preset's."""
        return self.name or self.preset or ""


class Unknown(StrEnum):
    """What is done with an operation whose effect can't be told, where a rule asks for its effect."""

    DENY = "deny"
    ALLOW = "allow"


class Judging(Section):
    """How operations are judged, beyond the rules."""

    unknown: Unknown = Field(
        default=Unknown.DENY,
        description="What becomes of a statement or a command line that can't be parsed or hides its effect, "
        "where a rule reads what they do.",
    )
