"""Where sealed containers are kept: whole objects, written once, read by ranges."""

from collections.abc import Iterable, Iterator
from typing import Protocol


class StoreUnavailable(Exception):
    """The store did not do what it was asked; the text says what failed, and it may be tried again."""


class ObjectMissing(StoreUnavailable):
    """There is no object of that name."""


class ObjectExists(StoreUnavailable):
    """There is an object of that name already; objects are never overwritten."""


class Store(Protocol):
    """Objects by name: lower-case letters, digits and `_` in parts joined by `/`, `.` and `-`.

    Calls block and may be made from several threads. Another name raises ValueError; what fails raises
    `StoreUnavailable`, or one of its two kinds. `tests/contract/test_store.py` is the contract.
    """

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a new object made of these parts, whole and durable, or not at all."""

    def get(self, name: str) -> bytes: ...

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the object's end."""

    def size(self, name: str) -> int: ...

    def list(self, prefix: str = "") -> Iterator[str]:
        """All names that begin with `prefix`."""

    def delete(self, name: str) -> None:
        """Remove an object; none is no error."""
