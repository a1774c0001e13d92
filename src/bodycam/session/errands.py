"""What the gateway does at a target for itself, on a connection of its own."""

from collections.abc import Hashable
from typing import Protocol


class Errand(Protocol):
    """Something of the gateway's own that is done at a target, on a connection of its own, without I/O."""

    @property
    def purpose(self) -> Hashable:
        """What it is for: of errands for the same at the same target one is done, and counts for all."""

    @property
    def over(self) -> bool:
        """Whether it is done, once what it gave last is sent."""

    def begun(self, secure: bool, certificate: bytes) -> bytes:
        """The connection stands, as `DialDone` says; what to send first."""

    def receive(self, data: bytes) -> bytes:
        """Take what the target sent; what to send back.

        Raises:
            ErrandFailed: it can't be done.
        """


class ErrandFailed(Exception):
    """What was to be done at a target can't be done, and why, for people."""
