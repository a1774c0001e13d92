"""From the settings to rules: all of them, or what is wrong with each by its place in the file."""

from collections.abc import Iterator, Sequence

from bodycam.config.rules import Action
from bodycam.config.rules import Rule as Written
from bodycam.config.settings import Settings
from bodycam.model.verdict import Terms
from bodycam.policy.access import selects
from bodycam.policy.rules.condition import BadCondition, Condition
from bodycam.policy.rules.presets import PRESETS
from bodycam.policy.rules.rule import Rule

Finding = tuple[tuple[str | int, ...], str]
"""A place in the settings, and what is wrong there."""


class BadRules(Exception):
    """Rules that can't be used; nothing of them is."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {said}" for path, said in findings))


def compile_rules(settings: Settings) -> tuple[Rule, ...]:
    """The rules of the settings, in their order.

    Raises:
        BadRules: one of them can't be used.
    """
    rules: list[Rule] = []
    faults: list[Finding] = []
    for place, written in enumerate(settings.rules):
        try:
            rules.append(_compiled(place, written))
        except _BadAt as error:
            faults.append((("rules", place, error.key), str(error)))
    faults += _contradictions(settings)
    for rule in rules:
        faults += _missing_labels(rule, settings)
    if faults:
        raise BadRules(faults)
    return tuple(rules)


def check_rules(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the rules of settings that are whole in form (`config.load.Check`)."""
    try:
        compile_rules(settings)
    except BadRules as error:
        yield from error.findings


class _BadAt(Exception):
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _compiled(place: int, written: Written) -> Rule:
    preset = None
    if written.preset is not None:
        preset = PRESETS.get(written.preset)
        if preset is None:
            raise _BadAt("preset", f"expected one of {', '.join(sorted(PRESETS))}")
    when = written.when if preset is None else preset.when
    then = written.then if preset is None else written.then or preset.then
    assert when is not None
    assert then is not None
    terms = None
    if then is Action.REQUIRE_APPROVAL:
        terms = Terms(written.by, written.minimum, written.wait, written.expires)
    return Rule(
        name=written.called,
        place=place,
        when=_condition("when", when),
        unless=None if written.unless is None else _condition("unless", written.unless),
        then=then,
        message=written.message or ("" if preset is None else preset.message),
        hint=written.hint or ("" if preset is None else preset.hint),
        terms=terms,
        agents=written.agents,
        targets=written.targets,
    )


def _condition(key: str, text: str) -> Condition:
    try:
        return Condition(text)
    except BadCondition as error:
        raise _BadAt(key, str(error)) from error


def _contradictions(settings: Settings) -> Iterator[Finding]:
    """A preset that stands there twice for the same agents and targets, and says two things."""
    for place, written in enumerate(settings.rules):
        for earlier, other in enumerate(settings.rules[:place]):
            if written.preset is None or written.preset != other.preset or written.preset not in PRESETS:
                continue
            own = PRESETS[written.preset].then
            if (written.then or own) is (other.then or own):
                continue
            if _overlap(written, other, settings):
                yield (
                    ("rules", place, "then"),
                    f"expected what rule {earlier + 1} says: the same preset contradicts it for the same "
                    "agents and targets",
                )


def _overlap(one: Written, other: Written, settings: Settings) -> bool:
    if one.agents is not None and other.agents is not None and not set(one.agents) & set(other.agents):
        return False
    if one.targets is None or other.targets is None or not settings.targets:
        return True
    return any(
        selects(one.targets, name, target.labels) and selects(other.targets, name, target.labels)
        for name, target in settings.targets.items()
    )


def _missing_labels(rule: Rule, settings: Settings) -> Iterator[Finding]:
    """A label that a target lacks would make the rule deny all that is done there."""
    for key, condition in (("when", rule.when), ("unless", rule.unless)):
        for path in () if condition is None else sorted(condition.paths):
            label = path.removeprefix("target.labels.")
            if label == path or f"has({path})" in condition.text.replace(" ", ""):  # type: ignore[union-attr]
                continue
            for name, target in settings.targets.items():
                if label not in target.labels and (
                    rule.targets is None or selects(rule.targets, name, target.labels)
                ):
                    yield (
                        ("rules", rule.place, key),
                        f"expected every target that the rule is about to carry the label {label}, and "
                        f"{name} does not; add the label, select targets, or ask has({path}) first",
                    )
                    break
