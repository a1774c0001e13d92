"""Settings of what may be asked of a target at all, by method and path."""

import re
from typing import Any

from pydantic import Field, field_validator

from bodycam.config.section import Section
from bodycam.config.types import Text
from bodycam.model.paths import PathPattern

MOST_ENTRIES = 200
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)


def some(value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """A list that is absent or has something in it: an empty one could be meant for nothing or for all.

    Pydantic's own least length also complains of a list in which something else is wrong.

    Raises:
        ValueError: it is empty.
    """
    if value is not None and not value:
        raise ValueError("expected at least 1 in the list")
    return value


class Allowed(Section):
    """Requests that are allowed: those with one of the methods and one of the paths."""

    methods: tuple[Text, ...] | None = Field(
        default=None, max_length=32, description="The methods, in capitals; absent: all."
    )
    paths: tuple[Text, ...] | None = Field(
        default=None,
        max_length=MOST_ENTRIES,
        description="The paths, without a query: `*` is a segment or a part of one, `/**` at the end all "
        "below; absent: all.",
    )

    @field_validator("methods")
    @classmethod
    def _methods(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not all(_METHOD.fullmatch(method) for method in value):
            raise ValueError("expected methods in capitals, such as GET")
        return some(value)

    @field_validator("paths")
    @classmethod
    def _paths(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for path in value or ():
            PathPattern(path)
        return some(value)
