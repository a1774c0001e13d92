"""Sessions that have ended and wait for a container, in order of their ends.

One whose data key can't be wrapped just now, because its key-encryption key is away, waits for that; the
others don't wait for it.
"""

from collections.abc import Callable

from bodycam.archive.builder import SessionBuilder
from bodycam.archive.keyring import Keyring
from bodycam.archive.settings import ArchiveSettings


class Ended:
    """The queue before the sealer."""

    def __init__(self, keyring: Keyring, settings: ArchiveSettings, clock: Callable[[], float]) -> None:
        self._keyring, self._settings, self._clock = keyring, settings, clock
        self._waiting: list[SessionBuilder] = []
        self._since = 0.0
        self.failure: str | None = None
        """Why some can't have their keys wrapped."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, builder: SessionBuilder) -> None:
        """A session's last event is in."""
        builder.cut_block()
        builder.ended = self._clock()
        if not self._waiting:
            self._since = builder.ended
        self._waiting.append(builder)

    def hurry(self) -> None:
        """Wait for no more company."""
        self._since = self._clock() - self._settings.seal_interval

    def take(self, now: float) -> tuple[SessionBuilder, ...]:
        """Those that become the next container; none while it is not time."""
        if not self._waiting:
            self.failure = None
            return ()
        full = sum(builder.writer.size for builder in self._waiting) >= self._settings.container
        if not full and now - self._since < self._settings.seal_interval:
            return ()
        away = self._keyring.without({builder.kek for builder in self._waiting})
        self.failure = next(iter(away.values()), None)
        taken, left, size = list[SessionBuilder](), list[SessionBuilder](), 0
        for builder in self._waiting:
            if builder.kek in away or size >= self._settings.container:
                left.append(builder)
            else:
                taken.append(builder)
                size += builder.writer.size
        self._waiting = left
        return tuple(taken)
