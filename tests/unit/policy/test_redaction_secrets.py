"""The redactor with a matcher: keys and tokens go by their form, wherever they stand, and passwords as before."""

import random

import pytest

from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.redaction import Redactor

AWS = "AKIAIOSFODNN7ABCDEFG"


@pytest.fixture(scope="module")
def redactor(patterns: Patterns) -> Redactor:
    return Redactor(matcher=patterns.matcher(["secrets"]))


@pytest.mark.parametrize(
    ("text", "after", "places"),
    [
        ("select 1", "select 1", 0),
        (f"insert into t values ('{AWS}')", "insert into t values ('[redacted]')", 1),
        (f"insert into t values ('{AWS}', '{AWS}')", "insert into t values ('[redacted]', '[redacted]')", 2),
        (f"alter role a password 'x' -- {AWS}", "alter role a password '[redacted]' -- [redacted]", 2),
        (f"select '{AWS}\ud800'", "select '[redacted]\ud800'", 1),
        (f"alter role a password '{AWS}'", "alter role a password '[redacted]'", 1),
    ],
)
def test_a_statement(redactor: Redactor, text: str, after: str, places: int) -> None:
    for _ in range(2):
        assert redactor.redact(text) == (after, places)


def test_what_was_clean_is_the_same_object(redactor: Redactor) -> None:
    text = "select " + "x" * 600
    assert redactor.redact(text)[0] is text
    values = [b"1", None, b"two words"]
    assert redactor.redact_values(values) == (values, 0)
    assert redactor.redact_values(values)[0] is values


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("size", [20, 21, 40, 300, 600, 5000])
def test_a_value_among_others(redactor: Redactor, place: int, size: int) -> None:
    values: list[bytes | None] = [b"12", None, b"x"]
    filling = b"." * (size - len(AWS))
    values[place] = filling + AWS.encode()
    expected = list(values)
    expected[place] = filling + b"[redacted]"
    assert redactor.redact_values(values) == (expected, 1)


def test_values_are_not_read_as_one(redactor: Redactor) -> None:
    half = len(AWS) // 2
    values = [AWS[:half].encode(), AWS[half:].encode()]
    assert redactor.redact_values(values) == (values, 0)
    # a key alone is letters and digits, as most values are
    assert redactor.redact_bytes(AWS.encode()) == (b"[redacted]", 1)


def test_any_bytes_end(redactor: Redactor, matcher: Matcher) -> None:
    noise = random.Random(6).randbytes(1 << 20)
    assert redactor.redact_bytes(noise)[0].startswith(noise[:100])
