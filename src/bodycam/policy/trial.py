"""Operations judged without a gateway: tables of what a policy is expected to say, and runs judged again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bodycam.config.settings import Settings
from bodycam.config.targets import TargetSettings
from bodycam.model.identity import Grade, Principal, PrincipalKind, Run
from bodycam.model.operation import Fact, Operation, Weight
from bodycam.model.target import Target
from bodycam.model.verdict import Decision, Verdict
from bodycam.policy.decision import DecisionPoint, SessionJudge
from bodycam.policy.hiding import RULE_UNKNOWN
from bodycam.policy.rules.told import kind

SAID = {
    Decision.ALLOW: "allow",
    Decision.DENY: "deny",
    Decision.PENDING: "require_approval",
}
"""Verdicts in the words of the settings."""

NOON = 561_600.0
"""A Wednesday's noon, UTC: when a trial takes place that says nothing of it."""

ACTING = frozenset({"query", "execute", "function", "exec"})


@dataclass(frozen=True, slots=True)
class Trial:
    """One operation to be judged: who, where, what, and when in seconds of the Unix epoch.

    Trials with the same `session` are judged as one session's, in order; `rows` were moved in it before.
    """

    agent: str
    target: str
    text: str
    session: str
    verb: str = "query"
    parameters: tuple[str | None, ...] = ()
    database: str = ""
    principal: Principal = field(default_factory=lambda: Principal("", "somebody", PrincipalKind.HUMAN))
    grade: Grade = Grade.ADVISORY
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    rows: int = 0
    at: float = NOON


@dataclass(frozen=True, slots=True)
class Subject:
    """The session that a trial pretends to be of."""

    run: Run
    target: Target
    database: str
    policy: str


class NoSuchTarget(Exception):
    """A trial is about a target that the settings don't declare."""


class Bar:
    """Judges trials by the rules of a decision point, whose clock this is."""

    def __init__(self, settings: Settings, point: DecisionPoint) -> None:
        self._settings, self._point = settings, point
        self._sessions: dict[str, SessionJudge] = {}
        point.clock = lambda: self._now
        self._now = 0.0

    def judge(self, trial: Trial) -> Verdict:
        """What the rules say.

        Raises:
            NoSuchTarget: the settings don't declare its target.
        """
        declared = self._settings.targets.get(trial.target)
        if declared is None:
            raise NoSuchTarget(trial.target)
        self._now = trial.at
        judge = self._sessions.get(trial.session)
        if judge is None:
            judge = self._sessions[trial.session] = self._point.open(self._subject(trial, declared))
        if trial.rows:
            judge.moved(trial.rows)
        values = tuple(
            (0, 0, None if value is None else value.encode("utf-8", "replace")) for value in trial.parameters
        )
        weight = Weight.STATEMENT if trial.verb in ACTING else Weight.ASIDE
        try:
            facts = {**self._recalled(trial, declared), **trial.facts}
            return judge.decide(Operation(trial.verb, trial.text, values, facts, weight))
        except Exception as error:
            return Verdict(
                Decision.DENY,
                "policy-error",
                self._point.version,
                f"it can't be judged: {type(error).__name__}",
            )

    def read(self, trial: Trial) -> frozenset[str]:
        """The facts that the rules read which concern a trial's session."""
        declared = self._settings.targets[trial.target]
        paths = self._point.bench(self._subject(trial, declared)).paths
        if self._point.speaks(declared.protocol):
            # of its operations nothing is told beside their text, so rules about that say nothing of them
            return frozenset(path for path in paths if kind(path) is None)
        return paths

    def recalled(self, trial: Trial) -> frozenset[str]:
        """The facts of a trial that its text tells."""
        told = self._recalled(trial, self._settings.targets[trial.target])
        return frozenset(f"op.{name}" for name in told)

    def _recalled(self, trial: Trial, declared: TargetSettings) -> Mapping[str, Fact]:
        requests = self._point.requests(self._subject(trial, declared))
        return {} if requests is None else requests.recalled(trial.verb, trial.text)

    def _subject(self, trial: Trial, declared: TargetSettings) -> Subject:
        # the rate and the sums of a run are those of its one session here
        name = f"run_{trial.session}"
        run = Run(name, trial.principal, trial.agent, 0.0, trial.grade, dict(trial.labels))
        target = Target(trial.target, declared.protocol, dict(declared.labels))
        return Subject(run, target, trial.database or declared.default_database, self._point.version)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An operation on record: what was said of it then, and whether its record leaves something out."""

    trial: Trial
    said: str
    redacted: bool
    exchange: int


@dataclass(frozen=True, slots=True)
class Change:
    """What the rules say now of an operation on record; `now` is `undecidable` where that can't be told."""

    recorded: Recorded
    now: str
    rule: str
    message: str


UNDECIDABLE = "undecidable"


WORDING = frozenset({"op.text", "op.parameters"})
"""Facts that redaction changes."""


def judged_again(
    bar: Bar, recorded: Iterable[Recorded], unrecorded: frozenset[str] = frozenset()
) -> Iterator[Change]:
    """The operations of which the rules now say something else, or nothing certain.

    `unrecorded` are facts that the record, as it is at hand, doesn't tell.
    """
    for one in recorded:
        verdict = bar.judge(one.trial)
        now = SAID[verdict.decision]
        read, recalled = bar.read(one.trial), bar.recalled(one.trial)
        if missing := sorted(path for path in read - recalled if _is_or_is_in(path, unrecorded)):
            yield Change(
                one, UNDECIDABLE, verdict.rule, f"a rule reads what is not at hand: {', '.join(missing)}"
            )
        elif one.redacted and (
            read & (WORDING | recalled) or _about_shell(read) or verdict.rule == RULE_UNKNOWN
        ):
            yield Change(one, UNDECIDABLE, verdict.rule, "a rule reads what was redacted")
        elif now != one.said:
            yield Change(one, now, verdict.rule, verdict.message)


def _about_shell(paths: frozenset[str]) -> bool:
    """Whether facts of command lines are read, which a mask in the place of a word changes."""
    return any(path.startswith("op.shell.") for path in paths)


def _is_or_is_in(path: str, branches: frozenset[str]) -> bool:
    return any(path == branch or path.startswith(f"{branch}.") for branch in branches)


def moment(text: str) -> float:
    """Seconds of the Unix epoch of a time in ISO 8601.

    Raises:
        ValueError: it is none.
    """
    return datetime.fromisoformat(text).timestamp()
