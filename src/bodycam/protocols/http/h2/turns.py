"""Whose turn it is where there is room for several streams."""

from collections.abc import Iterable

from bodycam.protocols.http.h2.stream import Stream


def in_turns(streams: Iterable[Stream], turn: int) -> None:
    """There is room for all: each gets its share, and not always the same one first."""
    waiting = [stream for stream in streams if stream.waits_for_room]
    if waiting:
        first = turn % len(waiting)
        waiting = waiting[first:] + waiting[:first]
    while waiting:
        waiting = [stream for stream in waiting if not stream.gone and stream.pump()]
