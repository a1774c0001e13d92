"""Scopes of API keys: what a key may be used for, of what its account may. They only ever narrow."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bodycam.config.types import NAME


class Scope(StrEnum):
    """What each route of the control API belongs to; docs/operations.md says what each lets do."""

    READ = "read"
    RUNS = "runs"  # also as runs:AGENT, for one agent
    APPROVE = "approve"
    ACCOUNTS = "accounts"
    AUDIT = "audit"
    RETENTION = "retention"


_OF_AGENT = f"{Scope.RUNS}:"


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of one key, as they are written. A text that is not known lets nothing be done."""

    texts: frozenset[str]

    def allow(self, scope: Scope) -> bool:
        """Whether routes of that scope may be called; which agents' runs is another question."""
        if scope in self.texts:
            return True
        return scope is Scope.RUNS and any(text.startswith(_OF_AGENT) for text in self.texts)

    def allow_agent(self, agent: str) -> bool:
        """Whether runs of that agent may be started and ended."""
        return Scope.RUNS in self.texts or f"{_OF_AGENT}{agent}" in self.texts

    def cover(self, others: "Scopes") -> bool:
        """Whether the others let nothing be done that these don't."""
        return all(
            text in self.texts or (text.startswith(_OF_AGENT) and Scope.RUNS in self.texts)
            for text in others.texts
        )

    def listed(self) -> list[str]:
        """As they are stored and shown."""
        return sorted(self.texts)


def covered(ours: Scopes | None, theirs: Scopes | None) -> bool:
    """Whether a key of `theirs` may do nothing that one of `ours` may not; None is everything."""
    return ours is None or (theirs is not None and ours.cover(theirs))


def scopes_of(texts: Iterable[str] | None) -> Scopes | None:
    """The scopes that are stored so; None, of a key without any, is everything that its account may."""
    return None if texts is None else Scopes(frozenset(texts))


def checked(text: str) -> str:
    """The text of a scope, as it was given.

    Raises:
        ValueError: it is none.
    """
    agent = text.removeprefix(_OF_AGENT)
    if text not in set(Scope) and (agent == text or re.fullmatch(NAME, agent) is None):
        raise ValueError(f"expected one of {', '.join(Scope)} or {_OF_AGENT}AGENT")
    return text
