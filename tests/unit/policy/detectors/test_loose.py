"""Patterns that find the same wherever it stands."""

import random

import pytest
import re2

from bodycam.policy.detectors.loose import loosened
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from tests.unit.policy.samples import sample


@pytest.mark.parametrize(
    ("pattern", "loose"),
    [
        (rb"\bab\b", rb"(?:)ab(?:)"),
        (rb"^a$|\Ab\z", rb"(?:)a(?:)|(?:)b(?:)"),
        (rb"a\b?b", rb"a(?:)?b"),
        (rb"[\b^$]\$\^", rb"[\b^$]\$\^"),
        (rb"[]\b]x\\b", rb"[]\b]x\\b"),
        (rb"[^]$]$", rb"[^]$](?:)"),
        (rb"[[:^alpha:]$]$", rb"[[:^alpha:]$](?:)"),
        (rb"\Q^\b$\E$", rb"\Q^\b$\E(?:)"),
        (rb"(?#^\b)a", rb"(?#^\b)a"),
        (rb"(?i)a\Bb", rb"(?i)a(?:)b"),
        (rb"(?x) a # ^ [", None),
    ],
)
def test_what_stands_around_is_asked_for_no_more(pattern: bytes, loose: bytes | None) -> None:
    assert loosened(pattern) == loose


def test_whatever_a_rule_finds_in_a_text_is_seen_among_other_things_too(
    patterns: Patterns, placed: Matcher
) -> None:
    chance = random.Random(11)
    found: set[str] = set()
    around = [b"", b"\x00\x01", b"Dn", b"7", b"_", b"\xff", b"\n"]
    for pattern in patterns.chosen(["secrets", "pii", "employee", "pin", "whole"]):
        for _ in range(20):
            text = sample(pattern.rule.pattern, chance)
            if not placed.find(text):
                continue
            found.add(pattern.rule.name)
            for _ in range(4):
                framed = chance.choice(around) + text + chance.choice(around)
                assert not placed.clean_among(framed), (pattern.rule.name, framed)
    assert len(found) > 250


def test_without_such_patterns_nothing_is_ever_said_to_be_clean(matcher: Matcher, placed: Matcher) -> None:
    assert placed.clean_among(b"nothing to be seen here")
    assert not matcher.clean_among(b"nothing to be seen here")


def test_every_pattern_that_is_installed_can_be_loosened(patterns: Patterns) -> None:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    for pattern in patterns.chosen(["secrets", "pii", "pii.national"]):
        loose = loosened(pattern.rule.coarse.pattern)
        assert loose is not None
        assert rb"\b" not in loose.replace(rb"[\b", b""), pattern.rule.name
        re2.compile(loose, options)
