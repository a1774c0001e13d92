"""Masks in JSON: it stays JSON, and what is not masked keeps its bytes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.config.masking import Then
from bodycam.config.matching import path_steps
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.json_text import BrokenJson, Found, PathMask, rewritten, scannable

AWS = "AKIAIOSFODNN7ABCDEFG"
MASK = "[bodycam:json]"


def redact(rule: Rule) -> Then:
    return Then.REDACT


def by_path(text: str, *paths: str, then: Then = Then.REDACT) -> str:
    found: Found = []
    masks = [PathMask(tuple(path_steps(path)), then) for path in paths]
    return rewritten(text.encode(), masks, None, redact, found).decode()


def by_detector(matcher: Matcher, text: str, then: Then = Then.REDACT) -> str:
    return rewritten(text.encode(), (), matcher, lambda rule: then, []).decode()


@pytest.mark.parametrize(
    ("path", "text", "after"),
    [
        ("$.a", '{"a": 1, "b": 1.50e3}', '{"a": "M", "b": 1.50e3}'),
        ("$.a", '{ "b":{"a":1} ,"a" : [1, {"a": 2}] }', '{ "b":{"a":1} ,"a" : "M" }'),
        ("$.a", '{"a": 1, "a": 2}', '{"a": "M", "a": "M"}'),
        ("$.a", '["a", {"a": 1}]', '["a", {"a": 1}]'),
        ("$..a", '{"b": [{"a": 1}, {"c": {"a": {"a": 2}}}]}', '{"b": [{"a": "M"}, {"c": {"a": "M"}}]}'),
        ("$.a[*].c", '{"a": [{"c": 1}, {"d": 2}, {"c": [3]}]}', '{"a": [{"c": "M"}, {"d": 2}, {"c": "M"}]}'),
        ("$[1]", "[1, 2, 3]", '[1, "M", 3]'),
        ("$[0][1]", "[[1, 2], [3, 4]]", '[[1, "M"], [3, 4]]'),
        ("$[*]", "[]", "[]"),
        ("$.*", '{"a": null, "b": true}', '{"a": "M", "b": "M"}'),
        ("$['a b']", '{"a b": "x", "ab": "y"}', '{"a b": "M", "ab": "y"}'),
        ("$.ä", '{"\\u00e4": 1, "a": 2}', '{"\\u00e4": "M", "a": 2}'),
        ("$.a", '{"a\\"": 1, "a": "x\\"y"}', '{"a\\"": 1, "a": "M"}'),
        ("$.0", '{"a": 1}', '{"a": 1}'),
        ("$['0']", '[1]', '[1]'),
        ("$.a..b", '{"b": 1, "a": [[{"b": 2}]]}', '{"b": 1, "a": [[{"b": "M"}]]}'),
    ],
)  # fmt: skip
def test_a_path_leads_to_its_values(path: str, text: str, after: str) -> None:
    if path == "$.0":
        with pytest.raises(ValueError, match="expected a path"):
            path_steps(path)
        return
    assert by_path(text, path) == after.replace('"M"', f'"{MASK}"')


def test_null_and_a_part() -> None:
    assert by_path('{"a": "123456789"}', "$.a", then=Then.NULL) == '{"a": null}'
    assert by_path('{"a": "123456789"}', "$.a", then=Then.PARTIAL) == '{"a": "[bodycam:json:6789]"}'


def test_detectors_look_into_strings_numbers_and_keys(matcher: Matcher) -> None:
    assert by_detector(matcher, f'{{"k": "a {AWS} b"}}') == (
        '{"k": "a [bodycam:secrets.aws-access-token] b"}'
    )
    assert by_detector(matcher, '{"ann@example.com": [4111111111111111, 7.0]}') == (
        '{"[bodycam:pii.email]": ["[bodycam:pii.card]", 7.0]}'
    )
    assert by_detector(matcher, '{"k": "x", "n": 4111111111111111}', Then.NULL) == '{"k": "x", "n": null}'


def test_the_key_before_a_value_counts(matcher: Matcher) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz0123AB"
    after = by_detector(matcher, f'{{"aws_secret_access_key": "{secret}", "b": "c"}}')
    assert after == '{"aws_secret_access_key": "[bodycam:secrets.aws-secret-access-key]", "b": "c"}'


@pytest.mark.parametrize(
    "written",
    [
        r'{"s": "\n' + AWS + r'\n"}',
        '{"s": "' + "".join(f"\\u{ord(sign):04x}" for sign in AWS) + '"}',
        r'{"s": "\"' + AWS + r'\" é"}',
        r'{"s": "\ud800 ' + AWS + '"}',
        json.dumps({"inner": json.dumps({"key": AWS})}),
    ],
)
def test_what_escapes_hide_is_found(matcher: Matcher, written: str) -> None:
    assert matcher.suspicious(scannable(written.encode()))
    after = by_detector(matcher, written)
    plain = json.dumps(json.loads(after))
    assert AWS not in plain
    assert "[bodycam:secrets.aws-access-token]" in plain


@pytest.mark.parametrize("text", ["{", '{"a": 1', "[1, 2", "}", '{"a": 1]', ","])
def test_what_is_no_json_is_told(text: str) -> None:
    with pytest.raises(BrokenJson):
        by_path(text, "$.a")


def test_a_deep_text_ends() -> None:
    with pytest.raises(BrokenJson):
        by_path("[" * 50_000, "$..a")
    deep = "[" * 5000 + "1" + "]" * 5000
    assert by_path(deep, "$..a") == deep


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.sampled_from([AWS, "4111111111111111", 4111111111111111, "ann@example.com", 'x"\\\n' + AWS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(values, st.booleans())
def test_it_stays_json_with_the_rest_as_it_was(matcher: Matcher, value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    after = rewritten(text.encode("utf-8", "surrogatepass"), (), matcher, redact, [])
    kept = json.loads(after.decode("utf-8", "surrogatepass"))

    def compare(before: object, now: object) -> None:
        if isinstance(before, dict) and isinstance(now, dict):
            if before.keys() == now.keys():
                for key in before:
                    compare(before[key], now[key])
        elif isinstance(before, list) and isinstance(now, list):
            for one, other in zip(before, now, strict=True):
                compare(one, other)
        elif before != now:
            assert "[bodycam:" in str(now), (before, now)

    compare(value, kept)
    assert AWS not in json.dumps(kept)
    # the one scan over everything never misses what the close look finds
    if after != text.encode("utf-8", "surrogatepass"):
        assert matcher.suspicious(scannable(text.encode("utf-8", "surrogatepass")))
