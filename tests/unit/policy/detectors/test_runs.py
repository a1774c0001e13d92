"""Long runs of digits in texts."""

import random
import re

import pytest

from bodycam.policy.detectors.runs import has_run, may_have_run


@pytest.mark.parametrize("length", [1, 2, 5, 13])
def test_what_the_walk_says_is_what_a_pattern_finds(length: int) -> None:
    chance = random.Random(length)
    pattern = re.compile(rb"[0-9]{%d}" % length)
    for round_ in range(3_000):
        text = bytes(
            chance.choice(b"0123456789" * (1 + round_ % 5) + b"a /:\n\xff") for _ in range(round_ % 60)
        )
        found = pattern.search(text) is not None
        assert has_run(text, length) == found, text
        assert may_have_run(text, length) or not found


@pytest.mark.parametrize("before", range(30))
def test_a_run_is_found_wherever_it_stands_and_one_digit_less_is_none(before: int) -> None:
    for behind in range(30):
        for filling in (b"x", b"1x", b"123456789012x"):
            text = (filling * 30)[-before:] if before else b""
            assert has_run(text + b"2" * 13 + b"x" * behind, 13)
            assert not has_run(text + b"2" * 12 + b"x" * behind, 13), text
