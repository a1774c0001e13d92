"""What a client sends to a program's standard input: recorded without secrets, and then sent as it came.

Text waits for the end of its line, or a moment, so that no secret is recorded in halves;
what is not recorded yet does not go on. The moment is short, as it may be half of a conversation.
"""

import asyncio
from collections.abc import Callable
from typing import Final, final

from bodycam.model.media import Content, Media
from bodycam.session.masks import BodyMasks, Passed
from bodycam.session.session import Exchange, Session

PATIENCE: Final = 0.02
"""Seconds that text waits for the end of its line."""

LOOKED_MOST: Final = 64 << 10
"""Bytes of text without a line's end that wait at most."""

_TEXT: Final = Media("", Content.TEXT, "")


@final
class Input:
    """One program's standard input. `write` sends to the program what the journal has."""

    def __init__(
        self,
        session: Session,
        exchange: Exchange,
        write: Callable[[bytes], None],
        *,
        kept: bool,
        stir: Callable[[], None],
    ) -> None:
        self._session, self._exchange, self._write = session, exchange, write
        self._kept, self._stir = kept, stir
        self._masks: BodyMasks | None = self._look() if kept else None
        self._timer: asyncio.TimerHandle | None = None

    def _look(self) -> BodyMasks | None:
        masks = self._session.masks
        return self._session.redaction.body(_TEXT, () if masks is None else masks.paths, LOOKED_MOST)

    def feed(self, data: bytes) -> None:
        """The client sent this."""
        masks = self._masks
        if masks is None:
            self._exchange.recorded_to_target(data, recorded=None if self._kept else b"")
            self._write(data)
            return
        self._pass(masks, masks.feed(data))
        if masks.held and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._waited)

    def settle(self) -> None:
        """What follows is no input: what waits goes on before it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        masks = self._masks
        if masks is not None:
            # what follows is looked into as if it began there
            self._masks = self._look()
            self._pass(masks, masks.flush())

    def end(self) -> None:
        """It has ended: what waited goes on, and nothing after it is kept."""
        self.settle()
        if self._masks is not None:
            self._masks, self._kept = None, False

    def _waited(self) -> None:
        self._timer = None
        self.settle()
        self._stir()

    def _pass(self, masks: BodyMasks, passed: Passed) -> None:
        onward, recorded = passed
        if onward or recorded:
            self._exchange.recorded_to_target(onward, recorded=recorded)
        self._exchange.sent(masks.sightings())
        if onward:
            self._write(onward)
