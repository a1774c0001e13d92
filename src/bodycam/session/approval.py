"""What a worker and the control process say to each other about an operation that waits for a human.

The worker asks with the operation's binding; the control process keeps the approval and consumes it, in one
atomic step, when the worker comes for it right before dispatch. So nothing that nobody waits for any more is
ever executed, and nothing is executed twice on one approval (design section 6).
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class ApprovalState(StrEnum):
    """Where an approval stands, as the worker that asks is told."""

    PENDING = "pending"  # nobody has decided yet; it may still be approved later
    APPROVED = "approved"  # approved, and consumed by this very answer: go on now
    DENIED = "denied"
    EXPIRED = "expired"  # nobody decided in time, or the approval was not used in time


@dataclass(frozen=True, slots=True)
class ApprovalWanted:
    """One operation for which a rule wants a human.

    `binding` is a keyed hash of all that the approval is bound to: principal, agent, target, database,
    effective role, search path, and the operation with its parameters. `text` and `parameters` are for
    people to read, redacted. `by` are groups, any of which may approve; `minimum` is how many people must.
    `expires` is for how many seconds it may be decided and used.
    """

    session: str
    run: str
    exchange: int
    rule: str
    policy: str
    target: str
    database: str
    verb: str
    text: str
    parameters: tuple[str, ...]
    by: tuple[str, ...]
    minimum: int
    expires: float
    binding: bytes


@dataclass(frozen=True, slots=True)
class ApprovalSaid:
    """The control process's answer: which approval it is, where it stands, and where people find it.

    `exchange` is the one that was asked for, of those of a link that may wait side by side.
    """

    approval: str
    state: ApprovalState
    url: str = ""
    by: tuple[str, ...] = ()
    reason: str = ""
    exchange: int = 0


def wanted_to_wire(wanted: ApprovalWanted) -> dict[str, Any]:
    """As plain values for the channel."""
    return asdict(wanted)


def wanted_from_wire(plain: dict[str, Any]) -> ApprovalWanted:
    """What `wanted_to_wire` made plain."""
    lists = {name: tuple(plain[name]) for name in ("parameters", "by")}
    return ApprovalWanted(**{**plain, **lists})


def said_to_wire(said: ApprovalSaid) -> dict[str, Any]:
    """As plain values for the channel."""
    return {**asdict(said), "state": said.state.value}


def said_from_wire(plain: dict[str, Any]) -> ApprovalSaid:
    """What `said_to_wire` made plain."""
    return ApprovalSaid(
        plain["approval"], ApprovalState(plain["state"]), plain["url"], tuple(plain["by"]), plain["reason"]
    )
