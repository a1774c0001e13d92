"""The rules that concern one kind of session, asked together, with what they said remembered.

Rules that read the same facts are asked together and remembered by the values of those facts: fifty rules
over statement kinds and tables are asked once for each mixture that comes up, not for each statement.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from bodycam.config.rules import Action
from bodycam.model.verdict import Decision, Verdict
from bodycam.policy.rules.condition import NotYesOrNo, variables
from bodycam.policy.rules.facts import Case, key, reader
from bodycam.policy.rules.rule import Rule
from bodycam.policy.rules.told import has
from bodycam.policy.rules.vocabulary import RULES, Lasting

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


@final
class _Group:
    """Rules that read the same facts."""

    def __init__(
        self,
        paths: tuple[str, ...],
        rules: tuple[Rule, ...],
        about_sql: bool,
        about_shell: bool,
        about: frozenset[str],
    ) -> None:
        self.paths, self.rules, self.about = paths, rules, about
        self.about_sql, self.about_shell = about_sql, about_shell
        self.lasting = rules[0].lasting
        self._always = not about_sql and not about_shell and not about
        # counts and times hardly come twice
        self._passing = self.lasting is Lasting.OPERATION
        self._readers: list[Callable[[Case], Any]] = [reader(path) for path in paths]
        self._remembered: dict[Hashable, Said] = {}

    def say(self, case: Case, policy: str) -> Said:
        """What they say of an operation."""
        if not self._always and not self._concerns(case):
            return NOTHING
        values = [read(case) for read in self._readers]
        if self._passing:
            return self._ask(values, policy)
        asked = key(values)
        said = self._remembered.get(asked)
        if said is None:
            said = self._ask(values, policy)
            if _small(values):
                if len(self._remembered) >= REMEMBERED:
                    self._remembered.clear()
                self._remembered[asked] = said
        return said

    def _concerns(self, case: Case) -> bool:
        if self.about_sql and case.sql is not None:
            return True
        if self.about_shell and case.shell is not None:
            return True
        facts = case.operation.facts
        for branch in self.about:  # noqa: SIM110 - a generator costs as much as the question
            if has(branch, facts):
                return True
        return False

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
        return Said(strictest, tuple(alerts)) if strictest is not None or alerts else NOTHING


class Bench:
    """The rules for one kind of session, by how long what they say lasts.

    `passing` says that some have to be asked anew for each operation.
    """

    def __init__(self, rules: Sequence[Rule], policy: str) -> None:
        self._policy = policy
        grouped: dict[tuple[tuple[str, ...], bool, bool, frozenset[str]], list[Rule]] = {}
        for rule in rules:
            alike = tuple(sorted(rule.paths)), rule.about_sql, rule.about_shell, rule.about
            grouped.setdefault(alike, []).append(rule)
        groups = [
            _Group(paths, tuple(members), about_sql, about_shell, about)
            for (paths, about_sql, about_shell, about), members in grouped.items()
        ]
        self._lasting = [group for group in groups if group.lasting is not Lasting.OPERATION]
        self._passing = [group for group in groups if group.lasting is Lasting.OPERATION]
        self.paths = frozenset[str]().union(*(rule.paths for rule in rules))
        self.about_sql = any(rule.about_sql for rule in rules)
        self.about_shell = any(rule.about_shell for rule in rules)
        self.empty = not rules
        self.passing = bool(self._passing)

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
    if one is NOTHING or other is NOTHING:
        return other if one is NOTHING else one
    return Said(stricter(one.verdict, other.verdict), one.alerts + other.alerts)


def _joined(groups: Sequence[_Group], case: Case, policy: str) -> Said:
    said = NOTHING
    for group in groups:
        said = both(said, group.say(case, policy))
    return said


def _verdict(rule: Rule, policy: str) -> Verdict:
    message = rule.message or ("a person must approve this" if rule.terms else "this is not allowed here")
    return Verdict(_DECIDES[rule.then], rule.name, policy, message, rule.hint, terms=rule.terms)


def _unjudged(rule: Rule, policy: str, error: Exception) -> Verdict:
    means = ""
    if isinstance(error, NotYesOrNo):
        why = "it is neither true nor false"
    elif isinstance(error, KeyError):
        missing = f"{error.args[0]!s:.60}" if error.args else "such fact"
        read = [path for path in rule.paths if path.endswith(f".{missing}")]
        if len(read) == 1:
            missing = read[0]
            if (known := RULES.by_path.get(missing)) is not None:
                means = f"{missing} is {known.meaning}. "
        why = f"there is no {missing} to read"
    else:
        why = type(error).__name__
    return Verdict(
        Decision.DENY,
        rule.name,
        policy,
        f"the rule could not be judged: {why}",
        f"{means}Tell whoever wrote the rule; what can't be judged is denied.",
    )
