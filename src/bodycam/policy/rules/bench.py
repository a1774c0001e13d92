"""The rules that concern one kind of session, asked together, with what they said remembered.

Rules that read the same facts are asked together and remembered by the values of those facts: fifty rules
over statement kinds and tables are asked once for each mixture that comes up, not for each statement.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bodycam.config.rules import Action
from bodycam.model.verdict import Decision, Verdict
from bodycam.policy.rules import facts
from bodycam.policy.rules.condition import NotYesOrNo, variables
from bodycam.policy.rules.facts import Case
from bodycam.policy.rules.rule import Rule
from bodycam.policy.rules.vocabulary import Lasting

REMEMBERED: Final = 4096
LONGEST: Final = 1024

STRICTNESS: Final = {Decision.ALLOW: 0, Decision.PENDING: 1, Decision.DENY: 2}

_DECIDES = {Action.DENY: Decision.DENY, Action.REQUIRE_APPROVAL: Decision.PENDING}


@dataclass(frozen=True, slots=True)
class Said:
    """What some rules say of one operation: the strictest verdict, None for nothing, and the alerts."""

    verdict: Verdict | None = None
    alerts: tuple[str, ...] = ()


NOTHING: Final = Said()


@dataclass(slots=True)
class _Group:
    """Rules that read the same facts."""

    paths: tuple[str, ...]
    rules: tuple[Rule, ...]
    lasting: Lasting
    about_sql: bool
    remembered: dict[Hashable, Said] = field(default_factory=dict)

    def say(self, case: Case, policy: str) -> Said:
        if self.about_sql and case.sql is None:
            return NOTHING
        values = [facts.value(path, case) for path in self.paths]
        # counts and times hardly come twice
        if self.lasting is Lasting.OPERATION:
            return self._ask(values, policy)
        key = facts.key(values)
        said = self.remembered.get(key)
        if said is None:
            said = self._ask(values, policy)
            if _small(values):
                if len(self.remembered) >= REMEMBERED:
                    self.remembered.clear()
                self.remembered[key] = said
        return said

    def _ask(self, values: Sequence[object], policy: str) -> Said:
        context = variables(dict(zip(self.paths, values, strict=True)))
        strictest: Verdict | None = None
        alerts: list[str] = []
        for rule in self.rules:
            try:
                if not rule.matches(context):
                    continue
            except Exception as error:
                verdict = _unjudged(rule, policy, error)
            else:
                if rule.then is Action.ALERT:
                    alerts.append(rule.name)
                    continue
                verdict = _verdict(rule, policy)
            strictest = stricter(strictest, verdict)
        return Said(strictest, tuple(alerts))


class Bench:
    """The rules for one kind of session, by how long what they say lasts."""

    def __init__(self, rules: Sequence[Rule], policy: str) -> None:
        self._policy = policy
        grouped: dict[tuple[tuple[str, ...], bool], list[Rule]] = {}
        for rule in rules:
            grouped.setdefault((tuple(sorted(rule.paths)), rule.about_sql), []).append(rule)
        groups = [
            _Group(paths, tuple(members), members[0].lasting, about)
            for (paths, about), members in grouped.items()
        ]
        self._lasting = [group for group in groups if group.lasting is not Lasting.OPERATION]
        self._passing = [group for group in groups if group.lasting is Lasting.OPERATION]
        self.paths = frozenset[str]().union(*(rule.paths for rule in rules))
        self.about_sql = any(rule.about_sql for rule in rules)
        self.empty = not rules

    @property
    def passing(self) -> bool:
        """Whether some rules have to be asked anew for each operation."""
        return bool(self._passing)

    def lasting(self, case: Case) -> Said:
        """What those rules say whose answer the session and the text of the operation decide."""
        return _joined(self._lasting, case, self._policy)

    def of_the_moment(self, case: Case) -> Said:
        """What the other rules say."""
        return _joined(self._passing, case, self._policy)


def _small(values: Sequence[object]) -> bool:
    """Whether values may be remembered; a long text would be held a few thousand times over."""
    return all(len(one) <= LONGEST for one in values if isinstance(one, str | tuple | dict))


def stricter(one: Verdict | None, other: Verdict | None) -> Verdict | None:
    """The stricter of two verdicts; the first of two alike."""
    if one is None or other is None:
        return one or other
    return other if STRICTNESS[other.decision] > STRICTNESS[one.decision] else one


def both(one: Said, other: Said) -> Said:
    """What two say together."""
    return Said(stricter(one.verdict, other.verdict), one.alerts + other.alerts)


def _joined(groups: Sequence[_Group], case: Case, policy: str) -> Said:
    said = NOTHING
    for group in groups:
        more = group.say(case, policy)
        if more is not NOTHING:
            said = both(said, more)
    return said


def _verdict(rule: Rule, policy: str) -> Verdict:
    message = rule.message or ("a person must approve this" if rule.terms else "this is not allowed here")
    return Verdict(_DECIDES[rule.then], rule.name, policy, message, rule.hint, terms=rule.terms)


def _unjudged(rule: Rule, policy: str, error: Exception) -> Verdict:
    if isinstance(error, NotYesOrNo):
        why = "it is neither true nor false"
    elif isinstance(error, KeyError):
        why = f"there is no {error.args[0]!s:.60} to read" if error.args else "a fact is not there"
    else:
        why = type(error).__name__
    return Verdict(
        Decision.DENY,
        rule.name,
        policy,
        f"the rule could not be judged: {why}",
        "Tell whoever wrote the rule; what can't be judged is denied.",
    )
