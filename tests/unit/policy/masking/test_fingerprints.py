"""Fingerprints are for secrets that can't be guessed, under a key."""

import pytest

from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.fingerprints import Fingerprints

SECRET, PERSONAL = Rule("secrets.x", b"", secret=True), Rule("pii.card", b"")
VALUE = b"wJalrXUtnFEMI/K7MDENG"


def test_the_same_secret_under_the_same_key_is_known_again() -> None:
    one, other = Fingerprints(b"a" * 32), Fingerprints(b"b" * 32)
    assert one.of(SECRET, VALUE) == Fingerprints(b"a" * 32).of(SECRET, VALUE)
    assert len(one.of(SECRET, VALUE)) == 32
    assert one.of(SECRET, VALUE) != other.of(SECRET, VALUE)
    assert one.of(SECRET, VALUE) != one.of(SECRET, VALUE + b"1")


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (PERSONAL, VALUE),
        (SECRET, b"short"),
        (SECRET, b"a" * 64),
        (SECRET, b"abababababababababab"),
        (SECRET, b""),
    ],
)
def test_what_could_be_guessed_has_none(rule: Rule, value: bytes) -> None:
    assert Fingerprints(b"a" * 32).of(rule, value) == ""


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Fingerprints(b"short")
