"""An operation that waits for a person, and with it all that the client sent behind it."""

from typing import final

from bodycam.model.operation import Operation
from bodycam.protocols.postgres.group import Group
from bodycam.session.session import Exchange


class Waits(Exception):
    """The operation that was just recorded waits for a person; nothing behind it is looked at before."""


@final
class Waiting:
    """An operation that waits: its exchange, and what to forward once it may go on."""

    __slots__ = ("exchange", "group", "operation", "raw")

    def __init__(self, exchange: Exchange, operation: Operation, group: Group | None, raw: bytes) -> None:
        self.exchange, self.operation, self.group, self.raw = exchange, operation, group, raw
