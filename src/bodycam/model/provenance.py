"""Where a recording comes from: what who may look at it is decided by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provenance:
    """The starter (`subject@issuer`), the agent, the target and its protocol: many sessions have the same.

    `groups` are the starter's when the run began, sorted.

    All of it was proved or declared when the session opened; what a run only claims is not in it.
    """

    principal: str
    agent: str
    target: str
    protocol: str
    groups: tuple[str, ...] = ()
