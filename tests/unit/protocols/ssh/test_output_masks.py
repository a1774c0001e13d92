"""A program's output on its two ways: nothing goes on to the client before it is recorded."""

from collections.abc import Callable

import pytest

from bodycam.config.masking import Then
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.masking.terminal import TerminalStream
from bodycam.protocols.ssh.masking import OutputMasks
from bodycam.session.masks import HoldingStream, Sighting
from tests.unit.policy.conftest import cache, matcher, patterns

__all__ = ["cache", "matcher", "patterns"]

AWS = b"AKIAIOSFODNN7ABCDEFG"
MASKED = b"[bodycam:secrets.aws-access-token]"
Make = Callable[[], HoldingStream]


class Streams:
    """Masks for both, or for the record alone."""

    def __init__(self, matcher: Matcher, *, record_only: bool) -> None:
        make: Make = lambda: TerminalStream(matcher, lambda rule: Then.REDACT)  # noqa: E731
        self.both: Make | None = None if record_only else make
        self.record: Make | None = make if record_only else None

    def sightings(self) -> list[Sighting]:
        return []


@pytest.mark.parametrize("record_only", [False, True])
@pytest.mark.parametrize("released", ["", "release_words", "release_held"])
def test_what_goes_on_is_recorded_at_the_latest_with_it(
    matcher: Matcher, record_only: bool, released: str
) -> None:
    text = b"$ echo " + AWS[:7] + b"\x1b[0m" + AWS[7:] + b"\r\nplain \x1b[1mtext\x1b[0m\r\n$ "
    masked = text.replace(AWS[:7] + b"\x1b[0m" + AWS[7:], MASKED + b"\x1b[0m")
    for size in (1, 3, 1000):
        masks = OutputMasks(Streams(matcher, record_only=record_only))
        onward = recorded = b""
        for at in range(0, len(text), size):
            passed = [masks.feed(text[at : at + size])]
            if released:
                passed.append(getattr(masks, released)())
            for more, kept in passed:
                onward, recorded = onward + more, recorded + kept
                # a mask is longer than what it stands for, so by length nothing is ahead of the record
                assert len(onward) <= len(recorded)
        more, kept = masks.flush()
        onward, recorded = onward + more, recorded + kept
        assert masks.held == 0
        assert onward == (text if record_only else masked) or released == "release_held"
        if released != "release_held":
            assert recorded == masked


def test_a_prompt_goes_on_when_time_is_up(matcher: Matcher) -> None:
    for record_only in (False, True):
        masks = OutputMasks(Streams(matcher, record_only=record_only))
        assert masks.feed(b"password: ") == (b"", b"")
        assert masks.held == 10
        assert masks.release_words() == (b"password: ", b"password: ")
        assert masks.held == 0
