"""What takes the place of a value, and the masks that are left in text."""

from collections.abc import Callable, Sequence

from bodycam.config.masking import Then
from bodycam.policy.detectors.marks import mark, mask_token_in
from bodycam.policy.detectors.matcher import Hit
from bodycam.policy.detectors.national import last_four
from bodycam.policy.detectors.rule import Rule

__all__ = ["COLUMN", "JSON", "Choose", "instead", "mark", "mask_token_in", "masked", "shown"]

Choose = Callable[[Rule], Then]
"""What becomes of what a rule found."""

# of a value in a masked column: four characters of eight or more
_LEAST_FOR_PART = 8


def _part(found: bytes) -> bytes:
    return last_four(found) if len(found) >= _LEAST_FOR_PART else b""


# masks by column and by JSON path name no detector
COLUMN = Rule("column", b"", keep=_part)
JSON = Rule("json", b"", keep=_part)


def instead(then: Then, rule: Rule, value: bytes) -> bytes | None:
    """What stands for a value; None for no value."""
    if then is Then.NULL:
        return None
    return mark(rule.name, rule.keep(value) if then is Then.PARTIAL else b"")


def shown(then: Then) -> Then:
    """What becomes of a value where there is no null, as in a stream or a message."""
    return Then.REDACT if then is Then.NULL else then


def masked(text: bytes, hits: Sequence[Hit], then: Choose) -> bytes | None:
    """A text with masks for `hits`, which are in order; None when one of them takes all of it."""
    pieces: list[bytes] = []
    position = 0
    for hit in hits:
        put = instead(then(hit.rule), hit.rule, text[hit.start : hit.end])
        if put is None:
            return None
        pieces += (text[position : hit.start], put)
        position = hit.end
    pieces.append(text[position:])
    return b"".join(pieces)
