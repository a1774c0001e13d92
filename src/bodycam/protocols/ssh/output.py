"""What a program at the target says, on its way to the client: masked, recorded, then sent."""

import asyncio
from collections.abc import Callable
from typing import Final, final

from bodycam.model.event import Flavor
from bodycam.protocols.ssh.masking import OutputMasks
from bodycam.session.masks import Passed
from bodycam.session.session import Exchange

WORDS_AFTER: Final = 0.02
"""Seconds after which all goes on but a word that has begun: a prompt has no end of line."""

ALL_AFTER: Final = 0.3
"""Seconds after which all goes on."""


@final
class Output:
    """One stream of a program. `write` sends to the client what the journal has."""

    def __init__(
        self,
        exchange: Exchange,
        flavor: Flavor,
        write: Callable[[bytes], None],
        masks: OutputMasks | None,
        *,
        kept: bool,
        stir: Callable[[], None],
    ) -> None:
        self._exchange, self._flavor, self._write, self._masks = exchange, flavor, write, masks
        self._kept, self._stir = kept, stir
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        """What the program said."""
        masks = self._masks
        if masks is None:
            self._exchange.recorded_to_client(data, flavor=self._flavor, recorded=None if self._kept else b"")
            self._write(data)
            return
        self._pass(masks, masks.feed(data))
        if masks.held and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WORDS_AFTER, self._words, masks)

    def end(self) -> None:
        """It says no more: all that is held back goes on."""
        self._stop()
        if self._masks is not None:
            self._pass(self._masks, self._masks.flush())

    def _words(self, masks: OutputMasks) -> None:
        self._timer = None
        self._pass(masks, masks.release_words())
        if masks.held:
            self._timer = asyncio.get_running_loop().call_later(ALL_AFTER - WORDS_AFTER, self._all, masks)
        self._stir()

    def _all(self, masks: OutputMasks) -> None:
        self._timer = None
        self._pass(masks, masks.release_held())
        self._stir()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pass(self, masks: OutputMasks, passed: Passed) -> None:
        onward, recorded = passed
        if onward or recorded:
            kept = recorded if self._kept else b""
            self._exchange.recorded_to_client(onward, flavor=self._flavor, recorded=kept)
        self._exchange.met(masks.sightings())
        if onward:
            self._write(onward)
