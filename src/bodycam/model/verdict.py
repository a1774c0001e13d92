"""What policy says of an operation."""

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """Allow, deny, or wait for a human."""

    ALLOW = "allow"
    DENY = "deny"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an approval takes: groups, any of which may give it (none: admins), and how many people.

    `wait` is for how many seconds the client waits, `expires` for how many it may be decided and used.
    """

    by: tuple[str, ...] = ()
    minimum: int = 1
    wait: float = 30.0
    expires: float = 3600.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with the rule and the policy version that made it, and what the client is told.

    `alerts` are rules that matched and only want it to be known; `terms` come with PENDING.
    """

    decision: Decision
    rule: str
    policy: str
    message: str = ""
    hint: str = ""
    alerts: tuple[str, ...] = ()
    terms: Terms | None = None
