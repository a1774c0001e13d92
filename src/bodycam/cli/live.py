"""Scenes for a viewer who has a terminal: what a recorded one got is shown as it was, made safe.

One recorded terminal has the screen at a time, from its first output on; whatever else happens meanwhile is
shown when it is over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, final

from bodycam.cli.frames import CLEAR, SafeFrames
from bodycam.cli.scenes import Scene, scenes

WAITING_MOST: Final = 1000
"""Scenes that wait for a terminal's end; of more only the last are shown."""


def live_scenes(entries: Iterable[Mapping[str, Any]], *, wide: bool = False) -> Iterator[Scene]:
    """The scenes of a transcript's entries; memory is bounded."""
    stage = _Stage()
    waiting: list[Scene] = []
    for scene in scenes(stage.set_up(entries), wide=wide):
        if scene.live:
            yield scene
        elif stage.exchange is not None:
            waiting.append(scene)
            del waiting[:-WAITING_MOST]
        else:
            for one in waiting:
                yield replace(one, at=scene.at)
            waiting.clear()
            yield scene
    yield from waiting


@final
class _Stage:
    """Makes scenes of a terminal's frames, in their places among the entries."""

    def __init__(self) -> None:
        self._frames = SafeFrames()
        self.exchange: int | None = None
        """The one that has the screen."""

    def set_up(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any] | Scene]:
        """The entries, but for the text of what is shown as frames."""
        at = 0
        for entry in entries:
            at, exchange = int(entry.get("at") or 0), int(entry.get("exchange") or 0)
            match entry.get("type"):
                case "frame":
                    if not entry.get("input"):
                        yield from self._frame(at, exchange, str(entry.get("data") or ""))
                case "output" if exchange == self.exchange and entry.get("stream") in ("terminal", "stdin"):
                    continue
                case "done" if exchange == self.exchange:
                    yield from self._end(at)
                    yield entry
                case _:
                    yield entry
        yield from self._end(at)

    def _frame(self, at: int, exchange: int, data: str) -> Iterator[Scene]:
        if self.exchange is None:
            self.exchange, self._frames = exchange, SafeFrames()
            yield Scene(at, exchange, CLEAR, live=True)
        if exchange == self.exchange:
            yield Scene(at, exchange, self._frames.feed(data), live=True)

    def _end(self, at: int) -> Iterator[Scene]:
        if self.exchange is not None:
            yield Scene(at, self.exchange, self._frames.end(), live=True)
            self.exchange = None
