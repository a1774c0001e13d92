"""What every listing takes: a page's size, its cursor, and bounds in time."""

import time
from typing import Annotated

from fastapi import Query

from bodycam.catalog.paging import MAX_LIMIT

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Name = Annotated[str | None, Query(min_length=1, max_length=512)]
Moment = Annotated[
    float | None,
    Query(
        ge=0, le=2**40, allow_inf_nan=False, description="Seconds of the Unix epoch; fractions are welcome."
    ),
]


def micros(seconds: float | None) -> int | None:
    """A moment of the API as the catalog counts: microseconds of the Unix epoch."""
    return None if seconds is None else round(seconds * 1e6)


def seconds(moment: int) -> float:
    """A moment of the catalog as the API gives it: seconds of the Unix epoch."""
    return moment / 1e6


def maybe_seconds(moment: int | None) -> float | None:
    """As `seconds`, for what may not have happened yet."""
    return None if moment is None else moment / 1e6


def now_micros() -> int:
    """Now, as the catalog counts."""
    return time.time_ns() // 1000
