"""What an operation of an open session may do.

In this version the one decision is made when the session opens, by access, and every operation of an open
session is allowed under it. The session asks here for each operation all the same, so that rules have one
place to come to.
"""

from collections.abc import Sequence
from typing import Protocol

from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Verdict

RULE_ACCESS = "access"
RULE_FAULT = "policy-error"


class Subject(Protocol):
    """Whose operation it is: `policy` is the version under which the session was opened."""

    @property
    def policy(self) -> str: ...


class Judge(Protocol):
    """One rule: a verdict, or None when it has nothing to say of the operation."""

    def judge(self, operation: Operation, subject: Subject) -> Verdict | None: ...


_STRICTNESS = {Decision.ALLOW: 0, Decision.PENDING: 1, Decision.DENY: 2}


class DecisionPoint:
    """Asks every judge and takes the strictest verdict; a judge that raises denies (law 2)."""

    def __init__(self, judges: Sequence[Judge] = ()) -> None:
        self._judges = tuple(judges)
        self._allowed: dict[str, Verdict] = {}

    def decide(self, operation: Operation, subject: Subject) -> Verdict:
        """What is said of one operation; never raises."""
        try:
            verdict = self._access(subject.policy)
            for judge in self._judges:
                said = judge.judge(operation, subject)
                if said is not None and _STRICTNESS[said.decision] > _STRICTNESS[verdict.decision]:
                    verdict = said
        except Exception as error:
            return Verdict(
                Decision.DENY,
                RULE_FAULT,
                str(getattr(subject, "policy", "")),
                f"the policy could not judge this operation ({type(error).__name__})",
                "This is a fault of the gateway's policy; its log says more.",
            )
        return verdict

    def _access(self, policy: str) -> Verdict:
        verdict = self._allowed.get(policy)
        if verdict is None:
            # one verdict a policy version; a worker meets few, and forgets them all rather than grow
            if len(self._allowed) >= 64:
                self._allowed.clear()
            verdict = self._allowed[policy] = Verdict(Decision.ALLOW, RULE_ACCESS, policy)
        return verdict
