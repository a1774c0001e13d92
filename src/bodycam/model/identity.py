"""Who acts: the proved principal, the declared agent, and the run that ties the two together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PrincipalKind(StrEnum):
    """Whether a person or a workload proved itself."""

    HUMAN = "human"
    SERVICE = "service"


class Grade(StrEnum):
    """How well the run was kept to the gateway, as measured when it started (design section 8)."""

    ISOLATED = "isolated"
    SEPARATED = "separated"
    ADVISORY = "advisory"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: an issuer and a subject that it vouches for, with the groups it says they are in."""

    issuer: str
    subject: str
    kind: PrincipalKind
    groups: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.subject}@{self.issuer}"


@dataclass(frozen=True, slots=True)
class Run:
    """One agent run. `labels` and `trace` are claims of the client and never grant anything.

    `expires` is in seconds of the Unix epoch.
    """

    id: str
    principal: Principal
    agent: str
    expires: float
    grade: Grade = Grade.ADVISORY
    labels: Mapping[str, str] = field(default_factory=dict)
    trace: str | None = None
