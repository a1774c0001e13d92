"""Redacts what the record must not hold. The target gets the real text; the record gets this one."""

from collections.abc import Sequence
from typing import Protocol

from bodycam.policy.detectors import passwords
from bodycam.policy.detectors.values import REDACTED


class Detector(Protocol):
    """Finds one kind of sensitive data. `suspicious` is the cheap question that comes first."""

    def suspicious(self, text: str) -> bool: ...

    def suspicious_bytes(self, value: bytes) -> bool: ...

    def spans(self, text: str) -> list[tuple[int, int]]: ...


DETECTORS: tuple[Detector, ...] = (passwords,)


class Redactor:
    """Replaces what its detectors find by `[redacted]`, inside its quotes, so that the text still reads."""

    def __init__(self, detectors: Sequence[Detector] = DETECTORS) -> None:
        self._detectors = tuple(detectors)

    def redact(self, text: str) -> tuple[str, int]:
        """The text for the record, and how many places were redacted; the same object when none was."""
        found: list[tuple[int, int]] = []
        for detector in self._detectors:
            if detector.suspicious(text):
                found += detector.spans(text)
        if not found:
            return text, 0
        return _replaced(text, found)

    def redact_bytes(self, value: bytes) -> tuple[bytes, int]:
        """`redact` for bytes of unknown encoding in which ASCII is ASCII; other bytes stay as they are."""
        found: list[tuple[int, int]] = []
        text = ""
        for detector in self._detectors:
            if detector.suspicious_bytes(value):
                # one character a byte, so that places in the text are places in the bytes
                text = text or value.decode("latin-1")
                found += detector.spans(text)
        if not found:
            return value, 0
        redacted, count = _replaced(text, found)
        return redacted.encode("latin-1"), count

    def redact_values(self, values: Sequence[bytes | None]) -> tuple[Sequence[bytes | None], int]:
        """`redact_bytes` for all values of one message; the same object when nothing was redacted."""
        redacted: list[bytes | None] = []
        places = 0
        for value in values:
            kept, count = (value, 0) if value is None else self.redact_bytes(value)
            redacted.append(kept)
            places += count
        return (redacted, places) if places else (values, 0)


def _replaced(text: str, found: list[tuple[int, int]]) -> tuple[str, int]:
    pieces: list[str] = []
    position = count = 0
    for start, end in sorted(found):
        if start < position:
            # two detectors found pieces that overlap: what is left of the second goes with the first
            position = max(position, end)
            continue
        pieces += (text[position:start], REDACTED)
        position = end
        count += 1
    pieces.append(text[position:])
    return "".join(pieces), count
