"""Settings of retention: how long recordings are kept, at most and at least."""

from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import Field, model_validator

from bodycam.config.people import ANY, TargetSelector
from bodycam.config.section import Section
from bodycam.config.types import Duration, Name, Text
from bodycam.model.event import SessionOutcome


class Retention(Section):
    """One rule: recordings that match all that it names are kept so long."""

    name: Name | None = Field(
        default=None,
        description="What plans and deletions call it; absent: `rule-1` for the first, and so on.",
    )
    targets: TargetSelector | None = Field(
        default=None, description="Only recordings of these targets, by the labels that were recorded."
    )
    protocols: tuple[Text, ...] | None = Field(
        default=None, description="Only recordings of these protocols; absent: any."
    )
    agents: tuple[Name, ...] | None = Field(
        default=None, description="Only recordings of these agents; absent: any."
    )
    outcomes: tuple[SessionOutcome, ...] | None = Field(
        default=None, description="Only sessions that ended so; absent: any."
    )
    keep: Duration | None = Field(
        default=None, description="The maximum age: a recording that was sealed longer ago is deleted."
    )
    at_least: Duration | None = Field(
        default=None, description="The minimum age: until then no rule deletes the recording."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.keep is None and self.at_least is None:
            raise ValueError("expected keep, at_least or both")
        if self.keep is not None and self.keep <= 0:
            raise ValueError("expected a keep of more than 0s")
        return self


def called(rules: Sequence[Retention]) -> list[str]:
    """The rules' names; one that has none is called by its place, from 1."""
    return [rule.name or f"rule-{number}" for number, rule in enumerate(rules, 1)]


def contradictions(rules: Sequence[Retention]) -> Iterator[tuple[int, str, str]]:
    """Rules that want the same recordings kept longer than they may be: place, key, and what was expected.

    Of the rules with `keep` the first that matches counts, so a minimum is held against the maximum of each
    rule that may be the one for a recording that both match. Two rules may mean the same recordings unless
    their names of targets, a label, their protocols, agents or outcomes say otherwise.
    """
    names = called(rules)
    for number, rule in enumerate(rules):
        least = rule.at_least
        if least is None:
            continue
        for place, other in enumerate(rules):
            if other.keep is None or other.keep >= least or not _meet(rule, other):
                continue
            decided = any(
                earlier.keep is not None and (_covers(earlier, rule) or _covers(earlier, other))
                for earlier in rules[:place]
            )
            if place == number:
                yield number, "at_least", "expected a minimum age of at most keep"
            elif not decided:
                yield (
                    number,
                    "at_least",
                    f"expected at most what {names[place]} keeps, whose recordings can be this rule's too",
                )


def _meet(one: Retention, other: Retention) -> bool:
    """Whether a recording can match both."""
    for name in ("protocols", "agents", "outcomes"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine is not None and theirs is not None and not set(mine) & set(theirs):
            return False
    if one.targets is None or other.targets is None:
        return True
    mine, theirs = set(one.targets.names), set(other.targets.names)
    if mine and theirs and ANY not in mine | theirs and not mine & theirs:
        return False
    return all(other.targets.labels.get(key, value) == value for key, value in one.targets.labels.items())


def _covers(wide: Retention, narrow: Retention) -> bool:
    """Whether each recording that matches `narrow` matches `wide`."""
    for name in ("protocols", "agents", "outcomes"):
        allowed, wanted = getattr(wide, name), getattr(narrow, name)
        if allowed is not None and (wanted is None or not set(wanted) <= set(allowed)):
            return False
    if wide.targets is None:
        return True
    if narrow.targets is None:
        return wide.targets.names == (ANY,) and not wide.targets.labels
    names, wanted_names = set(wide.targets.names), set(narrow.targets.names)
    if names and ANY not in names and not (wanted_names and wanted_names <= names):
        return False
    return wide.targets.labels.items() <= narrow.targets.labels.items()
