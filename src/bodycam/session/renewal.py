"""What a machine and the gateway say of credentials that a target takes no more."""

from dataclasses import dataclass

from bodycam.model.target import Dial


@dataclass(frozen=True, slots=True)
class AskRenewal:
    """The target takes what the gateway adds no more: is there anything new? Answered by Renewed."""

    session: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """The way to the session's target with what is to be added from now on; None where it stays as it was."""

    dial: Dial | None
