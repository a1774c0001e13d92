"""The links whose clients come through another link, as that one knows them."""

from typing import Protocol, final


class Inner(Protocol):
    """One of them."""

    @property
    def finished(self) -> bool: ...

    def cut(self, reason: str) -> None: ...


@final
class Within:
    """Those that stand; what ends the way to them ends them, and is recorded as why."""

    def __init__(self) -> None:
        self._links: list[Inner] = []

    def add(self, link: Inner) -> None:
        """One more; those that have ended are forgotten."""
        self._links = [*(one for one in self._links if not one.finished), link]

    def cut(self, reason: str) -> None:
        """End them, before the way to them is closed."""
        for one in self._links:
            one.cut(reason)
