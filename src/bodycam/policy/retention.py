"""How long a recording is kept, by the settings' rules: a minimum beats a maximum.

The first rule with `keep` that matches gives the maximum, as with access lists: the special ones stand before
the general ones. The longest `at_least` of all rules that match gives the minimum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bodycam.config.retention import Retention, called
from bodycam.policy.access import selects


@dataclass(frozen=True, slots=True)
class Recorded:
    """What rules read of a recording; `labels` are the target's as they were when the session opened."""

    target: str
    labels: Mapping[str, str]
    protocol: str
    agent: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Term:
    """How long one recording is kept, in seconds after its sealing.

    `rule` names the rule of the maximum `keep`, and is None where no rule ever deletes it; `minimum` is 0
    where no rule has one.
    """

    rule: str | None
    keep: float
    minimum_rule: str | None
    minimum: float

    @property
    def due(self) -> float | None:
        """Seconds after sealing at which it may go; None is never."""
        return None if self.rule is None else max(self.keep, self.minimum)


class RetentionPolicy:
    """The retention rules of one version of the settings."""

    def __init__(self, rules: Sequence[Retention]) -> None:
        self._rules = tuple(zip(called(rules), rules, strict=True))

    @property
    def shortest(self) -> float | None:
        """The shortest maximum age of all, in seconds; None where nothing is ever deleted."""
        return min((rule.keep for _, rule in self._rules if rule.keep is not None), default=None)

    def term(self, recorded: Recorded) -> Term:
        """How long this one is kept."""
        keeping: tuple[str | None, float] = (None, 0.0)
        least: tuple[str | None, float] = (None, 0.0)
        for name, rule in self._rules:
            if not _matches(rule, recorded):
                continue
            if rule.keep is not None and keeping[0] is None:
                keeping = name, rule.keep
            if rule.at_least is not None and rule.at_least > least[1]:
                least = name, rule.at_least
        return Term(*keeping, *least)


def _matches(rule: Retention, recorded: Recorded) -> bool:
    if rule.targets is not None and not selects(rule.targets, recorded.target, recorded.labels):
        return False
    return all(
        wanted is None or value in wanted
        for wanted, value in (
            (rule.protocols, recorded.protocol),
            (rule.agents, recorded.agent),
            (rule.outcomes, recorded.outcome),
        )
    )
