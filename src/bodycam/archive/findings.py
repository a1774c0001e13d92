"""What verification found: a report that names each fault, and what the whole of it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verified(StrEnum):
    """What can be said of recordings and ledger together.

    `authentic` needs a key that was pinned and a head that was kept outside; without them whoever holds the
    whole store could have made all of it anew, and it is only self-consistent.
    """

    AUTHENTIC = "authentic"
    SELF_CONSISTENT = "self-consistent"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: where (a file, an object, a session, with the offset where there is one) and what."""

    where: str
    what: str


MOST_FINDINGS = 1000
"""How many findings and how many open sessions a report names; `counts` has the true numbers."""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole answer.

    Attributes:
        counts: sessions, containers, leaves, heads, bytes, sealed, deleted, open, torn, findings.
        open: sessions whose end the journal still has to bring.
        journals: how many folders, segments and records were looked at, and whether their `contents` were
            `checked` or, without the archivist's key, their `structure`.
        torn: what writers that died did not finish, or a loss of power took; no fault.
        deletions: `by_rule`, how many recordings each rule deleted, and `unknown`, how many of which nothing
            but the ledger's tombstone is left; no fault.
        redactions: their `count`, what is `told` of each, and of how many that is `unknown`; no fault.
        successions: the signing keys that took others' places, each with the word of the one before it.
        marked: by marker, how many sealed recordings say that something of them is lost, and which; no fault.
    """

    state: Verified
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    open: tuple[str, ...] = ()
    journals: Mapping[str, Any] = field(default_factory=dict)
    torn: tuple[Finding, ...] = ()
    marked: Mapping[str, Any] = field(default_factory=dict)
    deletions: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] | None = None
    key: str = ""
    successions: tuple[Mapping[str, str], ...] = ()
    redactions: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "state": self.state.value,
            "ok": self.state is not Verified.BROKEN,
            "findings": [_plain(finding) for finding in self.findings],
            "counts": dict(self.counts),
            "open": list(self.open),
            "journals": dict(self.journals),
            "torn": [_plain(finding) for finding in self.torn],
            "marked": dict(self.marked),
            "deletions": dict(self.deletions),
            "head": None if self.head is None else dict(self.head),
            "key": self.key,
            "redactions": dict(self.redactions),
            "successions": [dict(one) for one in self.successions],
        }


class Findings:
    """The faults as they are found: the first are kept, all are counted."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0

    def add(self, where: str, what: str) -> None:
        """Note a fault."""
        self.count += 1
        if len(self.kept) < MOST_FINDINGS:
            # names of files may have bytes that are no text
            self.kept.append(Finding(where.encode(errors="backslashreplace").decode(), what))


def _plain(finding: Finding) -> dict[str, str]:
    return {"where": finding.where, "what": finding.what}
