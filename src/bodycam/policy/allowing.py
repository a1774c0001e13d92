"""What may be asked of a target at all, by method and path: what its allow list doesn't name is denied."""

from collections.abc import Mapping, Sequence
from typing import final

from bodycam.config.settings import Settings
from bodycam.model.operation import Operation, RequestFacts
from bodycam.model.paths import PathPattern, is_normal
from bodycam.model.target import TargetWants


@final
class AllowList:
    """The entries of one target: methods and path patterns, each None for all."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Sequence[tuple[frozenset[str] | None, list[PathPattern] | None]]) -> None:
        self._entries = list(entries)

    def allows(self, method: str, path: str) -> bool:
        """Whether an entry names a request; none names a path that isn't in normal form."""
        if not is_normal(path):
            return False
        for methods, paths in self._entries:
            if methods is not None and method not in methods:
                continue
            if paths is None:
                return True
            for pattern in paths:
                if pattern.matches(path):
                    return True
        return False

    def against(self, operation: Operation, requests: RequestFacts | None) -> str:
        """What of an operation is not allowed, for people; "" if nothing is.

        An operation that doesn't say what it asks for isn't allowed, unless it only opens the way for others.
        """
        if requests is None:
            return operation.verb
        method, path = operation.facts.get(requests.method), operation.facts.get(requests.path)
        if path is None and operation.verb in requests.opening:
            return ""
        if not isinstance(method, str) or not isinstance(path, str):
            return operation.verb
        if self.allows(method, path):
            return ""
        if not is_normal(path):
            return "a path that servers may read in different ways"
        known = any(methods is None or method in methods for methods, _ in self._entries)
        return f"{method:.32} with this path" if known else f"{method:.32}"


def allow_lists(settings: Settings, wants: Mapping[str, TargetWants] | None = None) -> dict[str, AllowList]:
    """The allow lists of the targets that have one, by their names; `wants` has what protocols imply."""
    implied = {
        name: AllowList([(wanted.allows, None)])
        for name, target in settings.targets.items()
        if (wanted := (wants or {}).get(target.protocol)) is not None and wanted.allows is not None
    }
    return implied | {
        name: AllowList(
            [
                (
                    None if one.methods is None else frozenset(one.methods),
                    None if one.paths is None else [PathPattern(path) for path in one.paths],
                )
                for one in target.allow
            ]
        )
        for name, target in settings.targets.items()
        if target.allow is not None
    }
