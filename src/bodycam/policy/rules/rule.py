"""One rule, ready to be asked."""

from dataclasses import dataclass

from bodycam.config.people import TargetSelector
from bodycam.config.rules import Action
from bodycam.model.identity import Run
from bodycam.model.target import Target
from bodycam.model.verdict import Terms
from bodycam.policy.access import selects
from bodycam.policy.cel_alone import cel
from bodycam.policy.rules.condition import Condition
from bodycam.policy.rules.told import KINDS, kind
from bodycam.policy.rules.vocabulary import Lasting


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition and what follows from it; `place` is where it stands in the settings, from 0."""

    name: str
    place: int
    when: Condition
    unless: Condition | None
    then: Action
    message: str
    hint: str
    terms: Terms | None
    agents: tuple[str, ...] | None
    targets: TargetSelector | None

    @property
    def paths(self) -> frozenset[str]:
        """The facts that it reads."""
        return self.when.paths if self.unless is None else self.when.paths | self.unless.paths

    @property
    def lasting(self) -> Lasting:
        """For how long what it says stays the same."""
        return self.when.lasting if self.unless is None else max(self.when.lasting, self.unless.lasting)

    @property
    def about_sql(self) -> bool:
        """Whether it reads what statements do, and so says nothing of what is no SQL."""
        return any(path.startswith("op.sql.") for path in self.when.paths)

    @property
    def about_shell(self) -> bool:
        """Whether it reads what command lines run, and so says nothing of what is none."""
        return any(path.startswith("op.shell.") for path in self.when.paths)

    @property
    def about(self) -> frozenset[str]:
        """The kinds of facts that it reads and protocols tell; it says nothing of what has none of them."""
        return frozenset(branch for path in self.when.paths if path not in KINDS and (branch := kind(path)))

    def concerns(self, run: Run, target: Target) -> bool:
        """Whether it is about sessions of this run with this target."""
        if self.agents is not None and run.agent not in self.agents:
            return False
        return self.targets is None or selects(self.targets, target.name, target.labels)

    def matches(self, facts: cel.Context) -> bool:
        """Whether it holds for these facts.

        Raises:
            Exception: a fact that it reads is not there, or the like; the caller fails closed.
        """
        if not self.when.holds(facts):
            return False
        return self.unless is None or not self.unless.holds(facts)
