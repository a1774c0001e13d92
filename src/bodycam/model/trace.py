"""W3C Trace Context: a `traceparent`, by which whoever asks says of which trace it is. Always a claim."""

import re
from dataclasses import dataclass
from typing import Final

TRACE_PARENT: Final = "traceparent"
"""The fact of an operation that says its `traceparent`, as `str(TraceParent)`."""

TRACE_ID: Final = r"^[0-9a-f]{32}$"
"""The form of a trace's id."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]{0,400})?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A trace and the span in it that is the parent, as hexadecimal digits in lower case."""

    trace: str
    span: str
    flags: int = 0

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{self.flags:02x}"


def trace_parent(text: str) -> TraceParent | None:
    """What a `traceparent` says; None for what its standard has receivers ignore.

    A later version is read as far as version 00 goes (https://www.w3.org/TR/trace-context/, section 3.2.2
    and "versioning of traceparent").
    """
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    version, trace, span, flags, more = form.groups()
    if version == "ff" or (version == "00" and more is not None) or trace == _NO_TRACE or span == _NO_SPAN:
        return None
    # of a later version only the one flag that all have is known
    return TraceParent(trace, span, int(flags, 16) & (0xFF if version == "00" else 0x01))
