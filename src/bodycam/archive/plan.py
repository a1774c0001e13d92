"""The dry run: what retention would delete, when, by which rule, and what keeps the rest."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bodycam.archive.due import Due


class Fate(StrEnum):
    """What becomes of a recording whose maximum age is over, or soon will be."""

    DUE = "due"  # the next pass deletes it
    LATER = "later"  # its time is up within the span that was asked about
    HELD = "held"  # a legal hold keeps it
    MINIMUM = "minimum"  # a minimum age keeps it still


@dataclass(slots=True)
class Plan:
    """All of it counted, the first `limit` recordings named; `now` in microseconds of the Unix epoch.

    `waits` says why the keeper deletes nothing at present.
    """

    now: int
    limit: int
    waits: str = ""
    counts: Counter[Fate] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    recordings: list[dict[str, Any]] = field(default_factory=list)

    def add(self, one: Due, hold: str | None) -> None:
        """Take a recording up; `hold` is what keeps it."""
        fate, keeper = self._fate(one, hold)
        self.counts[fate] += 1
        if fate is Fate.DUE:
            self.by_rule[one.term.rule or ""] += 1
        if len(self.recordings) < self.limit:
            session = one.session
            self.recordings.append(
                {
                    "session": session.id,
                    "run": session.run,
                    "agent": session.agent,
                    "principal": session.principal,
                    "target": session.target,
                    "sealed": (session.sealed or 0) / 1e6,
                    "rule": one.term.rule,
                    "due": one.at / 1e6,
                    "fate": fate.value,
                    "kept_by": keeper,
                }
            )

    def to_plain(self) -> dict[str, Any]:
        """As JSON; times are seconds of the Unix epoch."""
        return {
            "at": self.now / 1e6,
            "waits": self.waits,
            "counts": {fate.value: self.counts[fate] for fate in Fate},
            "by_rule": dict(sorted(self.by_rule.items())),
            "recordings": self.recordings,
            "more": sum(self.counts.values()) > len(self.recordings),
        }

    def _fate(self, one: Due, hold: str | None) -> tuple[Fate, str | None]:
        if hold is not None:
            return Fate.HELD, hold
        if one.at <= self.now:
            return Fate.DUE, None
        return (Fate.MINIMUM, one.term.minimum_rule) if one.over <= self.now else (Fate.LATER, None)
