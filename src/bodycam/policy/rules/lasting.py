"""One path that conditions may read, and for how long what stands there stays the same."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Lasting(IntEnum):
    """For how long a fact stays what it is; a verdict is remembered no longer than what it was made of."""

    SESSION = 1  # who, which target: fixed when the session opens
    STATEMENT = 2  # a function of the operation's verb and text
    OPERATION = 3  # parameters, counts, the time: asked anew each time


@dataclass(frozen=True, slots=True)
class Known:
    """A path that conditions may read.

    `sample` is a value of its type, for the trial that every condition has to stand at load; `open` says that
    any name may follow (labels).
    """

    path: str
    lasting: Lasting
    sample: Any
    meaning: str
    open: bool = False
