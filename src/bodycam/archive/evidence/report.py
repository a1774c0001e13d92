"""What verification found in a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bodycam.archive.findings import Finding, Verified


@dataclass(frozen=True, slots=True)
class BundleReport:
    """The whole answer.

    Attributes:
        run: the run that the bundle is of, and who, which agent, when, as its manifest and recordings say.
        counts: members, bytes, sessions, sealed, open, deleted, acts, leaves, findings.
        open: sessions that were not sealed when the bundle was made.
        deletions: the sessions that retention deleted, with the rule; no fault.
        kept_heads: each head that was given, whether it fits, and what is not known.
        notes: what could not be looked into, and why; no fault.
    """

    state: Verified
    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    run: Mapping[str, Any] = field(default_factory=dict)
    open: Sequence[str] = ()
    deletions: Sequence[Mapping[str, Any]] = ()
    kept_heads: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    head: Mapping[str, Any] | None = None
    key: str = ""

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "state": self.state.value,
            "ok": self.state is not Verified.BROKEN,
            "findings": [{"where": one.where, "what": one.what} for one in self.findings],
            "counts": dict(self.counts),
            "run": dict(self.run),
            "open": list(self.open),
            "deletions": [dict(one) for one in self.deletions],
            "kept_heads": [dict(one) for one in self.kept_heads],
            "notes": list(self.notes),
            "head": None if self.head is None else dict(self.head),
            "key": self.key,
        }
