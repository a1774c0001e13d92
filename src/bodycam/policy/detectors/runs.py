"""Long runs of digits, which most texts have none of: what is one of them need then not be looked for."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # a whole number of the machine's where this is compiled
    from mypy_extensions import i64

COMPILED: Final = not __file__.endswith(".py")

_ZERO: Final = 0x30
_NINE: Final = 0x39


def may_have_run(text: bytes, length: int) -> bool:
    """Whether a text may have `length` digits in a row: False is certain.

    An automaton reads every byte and takes 0.5 ns for each. Looking at every `length`th one takes half of
    that, but only compiled; else nothing is looked at, and the answer is that there may be one.
    """
    return not COMPILED or has_run(text, length)


def has_run(text: bytes, length: int) -> bool:
    """Whether a text has `length` digits in a row, found by jumping from one possible end to the next."""
    size: i64 = len(text)
    step: i64 = length
    # no run that reaches `at` begins before `since`, and none that ends before `at` is long enough
    since: i64 = 0
    at: i64 = step - 1
    while at < size:
        if not _ZERO <= text[at] <= _NINE:
            since = at + 1
            at += step
            continue
        begin: i64 = at
        while begin > since and _ZERO <= text[begin - 1] <= _NINE:
            begin -= 1
        until: i64 = begin + step - 1
        while at < until and at + 1 < size and _ZERO <= text[at + 1] <= _NINE:
            at += 1
        if at == until:
            return True
        since = at + 1
        at += step
    return False
