"""A small file that says how far something has got, and is never half written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class KeptFile(Generic[T]):
    """One value as JSON: `write` makes that of it, `read` reads it, and `what` it says is for people."""

    def __init__(self, file: Path, read: Callable[[Any], T], write: Callable[[T], Any], what: str) -> None:
        self._file, self._read, self._write, self._what = file, read, write, what

    def load(self) -> T | None:
        """The value; None where there never was any.

        Raises:
            OSError: it can't be read, or holds something else.
        """
        try:
            return self._read(json.loads(self._file.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(f"{self._file} does not say {self._what}; remove it to begin anew") from error

    def save(self, value: T) -> None:
        """Remember a value, durably."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._file.with_suffix(".part")
        with partial.open("w", encoding="ascii") as file:
            json.dump(self._write(value), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._file)
