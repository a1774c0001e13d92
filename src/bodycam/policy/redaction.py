"""Redacts what the record must not hold. The target gets the real text; the record gets this one."""

from collections.abc import Sequence
from typing import Final, Protocol

from bodycam.model.media import Media
from bodycam.policy.detectors import passwords, queries
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.passwords import Found
from bodycam.policy.detectors.values import REDACTED
from bodycam.policy.masking.bodies import MOST_HELD
from bodycam.policy.masking.body_kinds import SniffedBody, sent_body
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.json_text import PathMask
from bodycam.policy.masking.named import NamedSecrets, named_secrets
from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.sighting import Sighting, sightings

# stands for the rest of a text that holds more places than are looked at
REST_REDACTED = b"[redacted from here on]"
# nothing shorter holds a name, a sign and a value
_SHORTEST: Final = 5
# a longer one is searched by the detectors themselves at once, which then costs less than the question
_SHORT: Final = 512
_REMEMBERED: Final = 4096


class Detector(Protocol):
    """Finds one kind of sensitive data. `suspicious` is a cheap question about a text in lower case."""

    def suspicious(self, folded: str) -> bool: ...

    def find(self, text: bytes) -> Found: ...


DETECTORS: tuple[Detector, ...] = (passwords, queries)


class Redactor:
    """Replaces what its detectors find by `[redacted]`, inside its quotes, so that the text still reads.

    `matcher` finds what is known by its form and not by a name before it, such as keys and tokens;
    `fingerprints` makes those of what it finds.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] = DETECTORS,
        matcher: Matcher | None = None,
        fingerprints: Fingerprints | None = None,
    ) -> None:
        self._detectors = tuple(detectors)
        self._matcher, self._fingerprints = matcher, fingerprints
        # statements come again and again; those in which nothing was found are known by themselves
        self._clean: set[str] = set()

    def redact(self, text: str) -> tuple[str, int]:
        """The text for the record, and how many places were redacted; the same object when none was."""
        clean, short = self._clean, len(text) <= _SHORT
        if short and text in clean:
            return text, 0
        # surrogates stand for bytes of which nobody knows the encoding
        encoded = text.encode("utf-8", "surrogatepass")
        if not short or self._suspicious(text.lower()) or self._matches(encoded):
            redacted, count = self._redacted(encoded)
            if count:
                return redacted.decode("utf-8", "surrogatepass"), count
        if short:
            if len(clean) >= _REMEMBERED:
                clean.clear()
            clean.add(text)
        return text, 0

    def clean(self, text: str) -> bool:
        """Whether nothing in a text, or in a part of it, would be redacted; False tells nothing."""
        if len(text) > _SHORT:
            return False
        clean = self._clean
        if text in clean:
            return True
        if self._suspicious(text.lower()) or self._matches(text.encode("utf-8", "surrogatepass")):
            return False
        if len(clean) >= _REMEMBERED:
            clean.clear()
        clean.add(text)
        return True

    def redact_bytes(self, value: bytes) -> tuple[bytes, int]:
        """`redact` for bytes of unknown encoding in which ASCII is ASCII; other bytes stay as they are."""
        size = len(value)
        if self._matches(value):
            return self._redacted(value)
        if size < _SHORTEST or value.isalnum():
            return value, 0
        if size <= _SHORT and not self._suspicious(value.decode("latin-1").lower()):
            return value, 0
        return self._redacted(value)

    def redact_values(self, values: Sequence[bytes | None]) -> tuple[Sequence[bytes | None], int]:
        """`redact_bytes` for all values of one message: one look at them together is enough for most.

        The same object when nothing was redacted.
        """
        joined = b"\n".join([value for value in values if value])
        if not joined:
            return values, 0
        if not self._matches(joined) and (
            joined.isalnum()
            or (len(joined) <= _SHORT and not self._suspicious(joined.decode("latin-1").lower()))
        ):
            return values, 0
        redacted: list[bytes | None] = []
        places = 0
        for one in values:
            kept = one
            if one is not None:
                kept, count = self.redact_bytes(one)
                places += count
            redacted.append(kept)
        return (redacted, places) if places else (values, 0)

    def sightings(self, texts: Sequence[str | bytes]) -> list[Sighting]:
        """What is in texts of which something was redacted, by detector: a second look, as rare as they are.

        What is known by its name alone, such as a password, is no sighting: it has no fingerprint.
        """
        if self._matcher is None:
            return []
        hits = Hits(self._fingerprints)
        for text in texts:
            data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            for hit in self._matcher.find(data):
                hits.add(hit.rule, data[hit.start : hit.end])
        return sightings((hits,))

    def body(self, media: Media, paths: Sequence[PathMask] = (), most: int = MOST_HELD) -> SniffedBody | None:
        """What the record of a body from the client goes through; None for what is no text.

        JSON is masked at `paths`; `most` bytes of one unit are looked into.
        """
        return sent_body(self, media, paths, most, Hits(self._fingerprints), self._matcher)

    def answered(self, media: Media) -> NamedSecrets | None:
        """What the record of a body from the target goes through; None for what is no text."""
        return named_secrets(media)

    def count(self, text: bytes, hits: Hits) -> None:
        """Add to `hits` what is in a text of which something was redacted, and is known by its form."""
        if self._matcher is not None:
            for hit in self._matcher.find(text):
                hits.add(hit.rule, text[hit.start : hit.end])

    def _suspicious(self, folded: str) -> bool:
        for detector in self._detectors:  # noqa: SIM110 - a generator costs as much as the question
            if detector.suspicious(folded):
                return True
        return False

    def _matches(self, text: bytes) -> bool:
        return self._matcher is not None and self._matcher.suspicious(text)

    def _redacted(self, text: bytes) -> tuple[bytes, int]:
        spans: list[tuple[int, int]] = []
        rest = len(text)
        for detector in self._detectors:
            found = detector.find(text)
            spans += found.spans
            rest = rest if found.rest is None else min(rest, found.rest)
        if self._matcher is not None:
            spans += [(hit.start, hit.end) for hit in self._matcher.find(text)]
        if not spans and rest == len(text):
            return text, 0
        return _replaced(text, sorted(spans), rest)


def _replaced(text: bytes, spans: Sequence[tuple[int, int]], rest: int) -> tuple[bytes, int]:
    pieces: list[bytes] = []
    position = count = 0
    for start, end in spans:
        if start >= rest:
            break
        if start < position:
            # two detectors found pieces that overlap: what is left of the second goes with the first
            position = max(position, end)
            continue
        pieces += (text[position:start], REDACTED)
        position = end
        count += 1
    pieces.append(text[position:rest])
    if rest < len(text):
        pieces.append(REST_REDACTED)
        count += 1
    return b"".join(pieces), count
