"""Who in this worker waits for which approval, and is woken when somebody has decided.

Waking says nothing about the decision: whoever is woken asks the control process, which alone knows.
"""

from collections.abc import Callable


class Decisions:
    """Callbacks by approval; called with an approval's id it wakes those that wait for it, once each."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def __call__(self, approval: str) -> None:
        for wake in self._waiting.pop(approval, ()):
            wake()

    def await_decision(self, approval: str, wake: Callable[[], None]) -> None:
        """Call `wake` when that approval is decided; `forget` it when nobody waits any more."""
        self._waiting.setdefault(approval, []).append(wake)

    def forget(self, approval: str, wake: Callable[[], None]) -> None:
        """`wake` waits no longer; nothing happens if it was woken already."""
        waiting = self._waiting.get(approval, [])
        if wake in waiting:
            waiting.remove(wake)
        if not waiting:
            self._waiting.pop(approval, None)

    def missed(self) -> None:
        """The line to the control process was down for a while: everybody asks again."""
        waiting, self._waiting = self._waiting, {}
        for of_one in waiting.values():
            for wake in of_one:
                wake()
