"""One column of a result, as far as those who look into its values have to know it."""

from collections.abc import Callable
from enum import StrEnum
from typing import final


class Holds(StrEnum):
    """What a column's values can hold."""

    NOTHING = "nothing"  # no text of any kind fits into the type
    TEXT = "text"  # the value is text, and a mask's token is a valid value
    JSON = "json"  # the value is JSON
    HEX = "hex"  # bytes, written as \\x and hexadecimal digits
    OTHER = "other"  # text can be in it, but a token would be no valid value


@final
class Column:
    """`origin` names the table and attribute that the values come from, (0, 0) where that is lost.

    `decode` gives a value as text, where it is in another form.
    """

    __slots__ = ("decode", "holds", "name", "origin")

    def __init__(
        self,
        name: str,
        holds: Holds,
        decode: Callable[[bytes], bytes] | None = None,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        self.name, self.holds, self.decode, self.origin = name, holds, decode, origin
