"""A request that is known to be one, and whose session is not open yet."""

from typing import final

from h2.events import Event

from bodycam.protocols.http.destination import Destination
from bodycam.protocols.http.head import RequestHead


@final
class Asked:
    """Its stream, its head and where it goes; `since` is what has come on its stream meanwhile.

    Its windows bound that: they are given back once it has gone on.
    """

    __slots__ = ("ended", "head", "number", "since", "where")

    def __init__(self, number: int, head: RequestHead, where: Destination, *, ended: bool) -> None:
        self.number, self.head, self.where, self.ended = number, head, where, ended
        self.since: list[Event] = []
