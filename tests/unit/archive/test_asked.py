"""Bodies read by hand say what decoding them says, whatever their form."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.archive.asked import Requests, ending

KEPT = 60

numbers = st.integers(0, 2**32 - 1)
values = st.tuples(numbers, numbers, st.none() | st.binary(max_size=300))
facts = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=2)
verdicts = st.none() | st.tuples(st.sampled_from(["allow", "deny"]), st.text(), st.text(), st.text())
bodies = st.tuples(
    st.text(max_size=30),
    st.text(max_size=300),
    st.lists(values, max_size=30),
    facts,
    st.sampled_from(["statement", "aside"]),
    verdicts,
    st.integers(0, 9),
)


def told(requests: Requests, body: bytes) -> tuple[Any, ...]:
    asking, parameters, rest = requests.read(body)
    return asking.verb, asking.statement.text, asking.aside, list(parameters), rest.error, dict(rest.facts)


def meant(body: tuple[Any, ...]) -> tuple[Any, ...]:
    verb, text, parameters, said, weight, verdict, _ = body
    clean = verb.replace("\0", "\ufffd")[:64], text.replace("\0", "\ufffd")[:KEPT]
    refused = verdict[3] if verdict is not None and verdict[0] != "allow" else ""
    return *clean, weight == "aside", parameters, refused, said


@given(st.lists(bodies, min_size=1, max_size=5))
def test_requests(asked: list[tuple[Any, ...]]) -> None:
    requests = Requests(KEPT)
    for body in (*asked, *asked):  # the second time from what is known
        assert told(requests, cbor2.dumps(body)) == meant(body)


def test_executions_of_a_statement_are_told_to_be_of_one() -> None:
    requests = Requests(KEPT)
    found = {
        requests.read(cbor2.dumps(["execute", "select $1", [[0, 0, b"%d" % n]], {"n": n}, weight, None, 0]))[
            0
        ]
        for n in range(50)
        for weight in ("statement", "aside")
    }
    assert sorted((one.verb, one.statement.text, one.aside) for one in found) == [
        ("execute", "select $1", False),
        ("execute", "select $1", True),
    ]


def test_what_is_known_is_bounded() -> None:
    requests = Requests(KEPT)
    for n in range(3000):
        requests.read(cbor2.dumps(["query", f"select {n}", [], {"n": n}, "statement", None, 0]))
    assert len(requests._texts) < 1100
    assert len(requests._rests) < 1100
    requests.read(cbor2.dumps(["query", "x" * 100_000, [], {}, "statement", None, 0]))
    assert max(map(len, requests._texts)) < 100


@given(st.binary(max_size=60), st.integers(0, 60), st.binary(max_size=3))
def test_a_spoilt_body_is_an_error_or_a_body(noise: bytes, at: int, instead: bytes) -> None:
    whole = cbor2.dumps(["execute", "select $1", [[23, 1, b"abcd"]], {}, "statement", None, 0])
    for body in (noise, whole[:at], whole[:at] + instead + whole[at + len(instead) :]):
        try:
            told(Requests(KEPT), body)
        except (ValueError, TypeError, LookupError, AttributeError, cbor2.CBORDecodeError) as error:
            assert error is not None  # noqa: PT017


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (["ok", 3, 100, 20, "SELECT 3", None], ("ok", 3, 120, None, "")),
        (
            ["error", 0, 90, 0, None, {"code": "42P01", "message": "no table", "hint": "make one"}],
            ("error", 0, 90, "42P01", "no table\nmake one"),
        ),
        (
            ["error", 0, 0, 0, None, {"code": "", "message": "what", "detail": "ever"}],
            ("error", 0, 0, None, "what\never"),
        ),
        (["ok", -4, 2**70, 0, None, None], ("ok", 0, 1 << 48, None, "")),
    ],
)
def test_endings(body: list[Any], says: tuple[Any, ...]) -> None:
    how = ending(cbor2.dumps(body))
    assert (how.status, how.rows, how.bytes, how.code, how.error) == says
