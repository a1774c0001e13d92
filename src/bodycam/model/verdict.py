"""What policy says of an operation."""

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """Allow, deny, or wait for a human."""

    ALLOW = "allow"
    DENY = "deny"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with the rule and the policy version that made it, and what the client is told."""

    decision: Decision
    rule: str
    policy: str
    message: str = ""
    hint: str = ""
