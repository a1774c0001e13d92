"""Plays scenes in time: with keys on a terminal, plainly in a pipe.

Scenes are read as they are needed and only the last ones are kept; going back reads the recording anew, so
that an endless session needs no more memory than a short one.
"""

import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from bodycam.cli.clockwork import Clockwork
from bodycam.cli.frames import TAKEN_BACK
from bodycam.cli.keyboard import Key
from bodycam.cli.scenes import Scene, clock

SEEK_MICROSECONDS = 5_000_000
IDLE_MICROSECONDS = 1_000_000
SHOWN_AGAIN = 50
_CLEAR_SCREEN, _CLEAR_LINE = "\x1b[H\x1b[2J", "\r\x1b[K"

Source = Callable[[], Iterator[Scene]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How time passes: `speed` times as fast, quiet stretches shortened by `skip_idle`, or not at all."""

    speed: float = 1.0
    skip_idle: bool = False
    wait: bool = True


def play_plain(
    source: Source, pace: Pace, write: Callable[[str], None], *, sleep: Callable[[float], None]
) -> None:
    """Write the scenes one after another, with pauses as they were."""
    before = 0
    for scene in source():
        if pace.wait:
            gap = max(0, scene.at - before)
            sleep((min(gap, IDLE_MICROSECONDS) if pace.skip_idle else gap) / 1e6 / pace.speed)
            before = max(before, scene.at)
        write(scene.text)


class Player:
    """Plays on a terminal. `key` waits up to so many seconds (None: for ever) for one key."""

    def __init__(
        self,
        source: Source,
        pace: Pace,
        write: Callable[[str], None],
        key: Callable[[float | None], Key | None],
        *,
        now: Callable[[], float] = time.monotonic,
        width: Callable[[], int] = lambda: shutil.get_terminal_size().columns,
    ) -> None:
        self._source, self._pace, self._write, self._key = source, pace, write, key
        self._clock = Clockwork(now, speed=pace.speed)
        self._scenes = source()
        self._skip, self._width = pace.skip_idle, width
        # whether a recorded terminal has the screen
        self._live = False

    def play(self) -> None:
        """Play until the end or until the viewer quits."""
        try:
            self._play()
        finally:
            if self._live:
                self._write(TAKEN_BACK)
        self._write(_CLEAR_LINE)

    def _play(self) -> None:
        scene = next(self._scenes, None)
        while scene is not None:
            if self._skip and scene.at - self._clock.position > IDLE_MICROSECONDS:
                self._clock.seek(scene.at - IDLE_MICROSECONDS)
            left = self._clock.until(scene.at)
            if left == 0:
                self._show(scene)
                scene = next(self._scenes, None)
                continue
            self._status()
            # the status line moves while the time does
            match self._key(None if left is None else min(left, 0.25)):
                case Key.QUIT:
                    break
                case Key.PAUSE:
                    self._clock.toggle()
                case Key.FASTER:
                    self._clock.faster()
                case Key.SLOWER:
                    self._clock.slower()
                case Key.SKIP:
                    self._clock.seek(scene.at)
                case Key.FORWARD:
                    self._clock.seek(self._clock.position + SEEK_MICROSECONDS)
                    scene = self._catch_up(scene)
                case Key.BACK:
                    self._clock.seek(self._clock.position - SEEK_MICROSECONDS)
                    self._write((TAKEN_BACK if self._live else "") + _CLEAR_SCREEN)
                    self._live = False
                    self._scenes = self._source()
                    scene = self._catch_up(next(self._scenes, None))
                case None:
                    continue

    def _show(self, scene: Scene) -> None:
        self._write(scene.text if scene.live or self._live else f"{_CLEAR_LINE}{scene.text}")
        self._live = scene.live

    def _catch_up(self, scene: Scene | None) -> Scene | None:
        """Show the last of what lies before the position, and return what follows it."""
        passed: deque[Scene] = deque(maxlen=SHOWN_AGAIN)
        while scene is not None and scene.at <= self._clock.position:
            if scene.live:
                # a screen is what all of its output came to
                passed.clear()
                self._show(scene)
            else:
                passed.append(scene)
            scene = next(self._scenes, None)
        if passed or not self._live:
            self._write(("" if self._live else _CLEAR_LINE) + "".join(one.text for one in passed))
            self._live = False
        return scene

    def _status(self) -> None:
        if self._live:
            # its screen has no line to spare; keys work all the same
            return
        sign = "‖" if self._clock.paused else "▶"
        line = (
            f"{sign} {clock(self._clock.position)}  x{self._clock.speed:g}  "
            "space pause  ←→ seek  +- speed  s skip  q quit"
        )
        # a line that wraps can't be cleared: each one would stay and scroll the recording away
        room = max(1, self._width() - 1)
        self._write(_CLEAR_LINE + (line if cell_len(line) <= room else set_cell_size(line, room)))
