"""What can read the texts of operations, so that rules can ask what they do."""

from typing import Protocol

from bodycam.policy.shell.analysis import ShellAnalysis
from bodycam.policy.sql.facts import SqlFacts


class Analysis(Protocol):
    """Turns a statement in SQL into facts, and never raises.

    `shape` is a text that stands for many others where it has the very same facts.
    """

    def facts(self, text: str) -> SqlFacts: ...

    def shape(self, text: str) -> str | None: ...


Language = Analysis | ShellAnalysis
"""What reads the texts of one language: SQL, or the command lines of a shell."""
