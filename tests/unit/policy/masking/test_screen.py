"""What a screen says of batches of cells: every secret found wherever it stands, nothing else touched."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.config.masking import Then
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.columns import CellKind, Column, ColumnMask
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.screen import Screen
from tests.unit.policy.conftest import NAMES

AWS = b"AKIAIOSFODNN7ABCDEFG"
CARD = b"4111111111111111"
MASKED_AWS = b"[bodycam:secrets.aws-access-token]"
MASKED_CARD = b"[bodycam:pii.card]"


@pytest.fixture(scope="module", params=["placed", "grouped"])
def matcher(request: pytest.FixtureRequest, placed: Matcher, patterns: Patterns) -> Matcher:
    """Cells are found by where the scan says, and where it can't say, by scans of fewer and fewer of them."""
    return placed if request.param == "placed" else patterns.matcher(NAMES)


def redact(rule: Rule) -> Then:
    return Then.REDACT


def text(name: str = "note", **more: object) -> Column:
    return Column(name, CellKind.TEXT, **more)  # type: ignore[arg-type]


def screen(matcher: Matcher | None, *columns: Column, then: Then = Then.REDACT) -> Screen:
    return Screen(columns, matcher, lambda rule: then, Fingerprints(b"k" * 32))


def test_nothing_found_is_none(matcher: Matcher) -> None:
    one = screen(matcher, text(), text())
    assert one.cells([b"a", b"b", None, b"", b"c", None]) is None
    assert one.cells([]) is None
    assert one.hits.take() == []


def test_what_is_found_is_replaced_and_counted_without_its_value(matcher: Matcher) -> None:
    one = screen(matcher, text(), text())
    assert one.cells([b"a", b"key " + AWS + b".", None, CARD]) == {
        1: b"key " + MASKED_AWS + b".",
        3: MASKED_CARD,
    }
    aws, card = sorted(one.hits.take(), key=lambda seen: seen.detector, reverse=True)
    assert (aws.detector, aws.count) == ("secrets.aws-access-token", 1)
    assert [len(fingerprint) for fingerprint in aws.fingerprints] == [32]
    assert (card.detector, card.count, card.fingerprints) == ("pii.card", 1, set())
    assert one.hits.take() == []


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_secret_is_found_at_every_length_of_the_value_and_in_every_column(
    matcher: Matcher, place: int
) -> None:
    one = screen(matcher, text(), text(), text())
    for size in range(1, 301):
        if size < len(AWS):
            value, masked = b"x" * size, None
        else:
            filling = b"." * (size - len(AWS))
            value, masked = filling + AWS, filling + MASKED_AWS
        for beside in (b"x", b"9", b"", None):
            row: list[bytes | None] = [beside, beside, beside]
            row[place] = value
            assert one.cells(row) == ({place: masked} if masked else None), (size, beside)


def test_every_row_of_a_large_batch_is_looked_at(matcher: Matcher) -> None:
    one = screen(matcher, text("id"), text())
    for row in range(0, 700, 7):
        cells: list[bytes | None] = [b"plain"] * 1400
        cells[2 * row + 1] = CARD
        assert one.cells(cells) == {2 * row + 1: MASKED_CARD}


def test_neighbouring_cells_are_never_one_value(matcher: Matcher) -> None:
    one = screen(matcher, text(), text())
    assert one.cells([b"4111111111", b"111111"]) is None
    assert one.cells([b"aws_secret_access_key = ", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz0123AB"]) is None


def test_a_type_that_holds_no_mask_gets_null(matcher: Matcher) -> None:
    one = screen(matcher, Column("n", CellKind.TEXT, holds_text=False), text())
    assert one.cells([CARD, CARD, b"4111", b"x"]) == {0: None, 1: MASKED_CARD}


def test_a_column_that_can_hold_nothing_is_not_looked_into(matcher: Matcher) -> None:
    one = screen(matcher, Column("t", CellKind.CANNOT_HOLD), text())
    assert one.cells([CARD, b"x"]) is None
    assert not one.only_scans
    assert screen(matcher, Column("t", CellKind.CANNOT_HOLD)).idle


def test_null_and_partial(matcher: Matcher) -> None:
    assert screen(matcher, text(), then=Then.NULL).cells([b"see " + CARD]) == {0: None}
    partial = screen(matcher, text(), then=Then.PARTIAL)
    assert partial.cells([CARD]) == {0: b"[bodycam:pii.card:1111]"}
    assert partial.cells([b"to ann@example.com"]) == {0: b"to [bodycam:pii.email:@example.com]"}
    assert partial.cells([AWS]) == {0: MASKED_AWS}


def test_hexadecimal_bytes_are_looked_into(matcher: Matcher) -> None:
    one = screen(matcher, Column("data", CellKind.HEX))
    changed = one.cells([b"\\x" + (b"\0\1" + AWS + b"\xff").hex().encode(), b"\\x00ff", b"\\xzz", None])
    assert changed == {0: b"\\x" + (b"\0\1" + MASKED_AWS + b"\xff").hex().encode()}


def test_a_column_by_name_is_masked_whole(matcher: Matcher) -> None:
    columns = [
        text("a", rule=ColumnMask(Then.REDACT)),
        text("b", rule=ColumnMask(Then.PARTIAL)),
        text("c", rule=ColumnMask(Then.NULL)),
        Column("d", CellKind.CANNOT_HOLD, holds_text=False, rule=ColumnMask(Then.REDACT)),
        Column("e", CellKind.JSON, rule=ColumnMask(Then.REDACT)),
        Column("f", CellKind.HEX, rule=ColumnMask(Then.REDACT)),
        text("g"),
    ]
    one = screen(None, *columns)
    changed = one.cells([b"x", b"123456789", b"y", b"17", b"{}", b"\\x00", b"left"])
    assert changed == {
        0: b"[bodycam:column]",
        1: b"[bodycam:column:6789]",
        2: None,
        3: None,
        4: b'"[bodycam:column]"',
        5: b"\\x" + b"[bodycam:column]".hex().encode(),
    }
    assert one.cells([None] * 7) is None
    assert [(seen.detector, seen.count) for seen in one.hits.take()] == [("column", 6)]


def test_a_part_of_a_short_value_would_be_all_of_it() -> None:
    one = screen(None, text("a", rule=ColumnMask(Then.PARTIAL)))
    assert one.cells([b"1234567"]) == {0: b"[bodycam:column]"}


def test_the_columns_name_counts_as_the_word_before_a_number(matcher: Matcher) -> None:
    one = screen(matcher, text("customer_bsn"), text("note"))
    assert one.cells([b"111222333", b"111222333", b"111222334", b"x"]) == {0: b"[bodycam:pii.nl-bsn]"}


def test_an_exempt_detector_leaves_a_column_alone(matcher: Matcher) -> None:
    one = screen(matcher, text(exempt=frozenset({"pii.card"})), text())
    assert one.cells([CARD, CARD]) == {1: MASKED_CARD}
    assert one.cells([CARD + b" " + AWS, b""]) == {0: CARD + b" " + MASKED_AWS}


def test_secrets_in_json_keep_it_json(matcher: Matcher) -> None:
    one = screen(matcher, Column("doc", CellKind.JSON), text())
    cells = [b'{"n": 4111111111111111, "s": "x\\n%b"}' % AWS, b"x"]
    assert one.cells(cells) == {0: b'{"n": "[bodycam:pii.card]", "s": "x\\n%b"}' % MASKED_AWS}


def test_a_cell_of_a_megabyte(matcher: Matcher) -> None:
    one = screen(matcher, text())
    filling = b"lorem ipsum " * 90_000
    assert one.cells([filling + CARD]) == {0: filling + MASKED_CARD}
    # of a million random bytes a few may look like an address; it ends, and the rest stays
    noise = random.Random(1).randbytes(1 << 20)
    changed = one.cells([noise])
    assert changed is None or len(changed[0] or b"") > len(noise) - 100


@pytest.mark.parametrize("width", [1, 3])
def test_a_hit_is_found_in_any_cell_of_a_tall_batch_whatever_stands_beside_it(
    matcher: Matcher, width: int
) -> None:
    one = screen(matcher, *[text(f"c{place}") for place in range(width)])
    for number, beside in enumerate((b"4", b"A", b"_", b"\n", b"", None, b"\x00", b"\xff", b" ", CARD[:-1])):
        for row in (0, 1, 31, 32, 39):
            for place in range(width):
                cells: list[bytes | None] = [beside] * (40 * width)
                at = row * width + place
                cells[at] = CARD if number % 2 else AWS
                assert one.cells(cells) == {at: MASKED_CARD if number % 2 else MASKED_AWS}, (beside, at)


def test_a_detector_of_whole_values_finds_each_of_a_batch(matcher: Matcher) -> None:
    one = screen(matcher, text(), text())
    mask = b"[bodycam:whole]"
    assert one.cells([b"W-1234"]) == {0: mask}
    assert one.cells([b"W-1234", b"x", b"x W-1234", b"W-5678"]) == {0: mask, 3: mask}
    assert one.cells([b"x", b"W-1234"] * 40) == dict.fromkeys(range(1, 80, 2), mask)


def test_more_hits_than_a_scan_tells_of(matcher: Matcher) -> None:
    one = screen(matcher, text(), text())
    cells: list[bytes | None] = [b"E123456 " * 3, b"plain", None, b"pin=1234"] * 1500
    changed = one.cells(cells)
    assert changed is not None
    assert len(changed) == 3000
    assert changed[5999] == b"pin=[bodycam:pin]"
    assert [(seen.detector, seen.count) for seen in one.hits.take()] == [("employee", 4500), ("pin", 1500)]


def test_what_is_no_json_is_left_where_only_its_neighbour_holds_something(matcher: Matcher) -> None:
    one = screen(matcher, Column("a", CellKind.JSON))
    assert one.cells([b'"bsn:', b"111222333}", b"{}", b'{"n": "pin=1234"}'] * 20) == dict.fromkeys(
        range(3, 80, 4), b'{"n": "pin=[bodycam:pin]"}'
    )


def test_a_copy_of_the_batch_can_be_asked_about_instead(matcher: Matcher) -> None:
    one = screen(matcher, text(), text())
    assert one.only_scans
    assert one.clean(b"a\nb\nc")
    assert not one.clean(b"a\n" + AWS + b"\nc")


cells = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.sampled_from([AWS, CARD, b"ann@example.com", b"\xff\xfe\xfd", b"[bodycam:pii.card]", b'{"a": "b"}']),
    st.builds(lambda a, b: a + CARD + b, st.binary(max_size=5), st.binary(max_size=5)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(cells, max_size=24))
def test_only_what_is_reported_changes_and_nothing_is_left(
    matcher: Matcher, values: list[bytes | None]
) -> None:
    del values[len(values) // 3 * 3 :]
    one = screen(matcher, text(), text(), text())
    changed = one.cells(values) or {}
    assert bool(changed) == bool(one.hits.take())
    for at, value in enumerate(values):
        found = matcher.find(value) if value is not None else []
        assert (at in changed) == bool(found)
    after = [changed.get(at, value) for at, value in enumerate(values)]
    assert one.cells(after) is None


COLUMNS = (
    [text("a"), text("b"), text("c")],
    [text("a"), Column("doc", CellKind.JSON), Column("data", CellKind.HEX)],
    [text("customer_bsn"), Column("t", CellKind.CANNOT_HOLD), Column("n", CellKind.TEXT, holds_text=False)],
)
edges = st.sampled_from([AWS, CARD, b"E123456", b"pin=1234", b"W-1234", b"111222333", b"192.0.2.44"])
odd = st.one_of(
    cells,
    edges,
    st.builds(lambda a, one, b: a + one + b, st.binary(max_size=3), edges, st.binary(max_size=3)),
    st.builds(lambda one: b"\\x" + one.hex().encode(), edges),
    st.builds(lambda one: b'{"a": "%b"}' % one, edges),
    st.sampled_from([b"pin=", b"1234", b"41111111", b"11111111", b"{", b"\n", b"bsn: "]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(odd, max_size=30), st.sampled_from(COLUMNS), st.sampled_from([1, 12]))
def test_both_ways_say_the_same_of_any_batch(
    placed: Matcher,
    patterns: Patterns,
    values: list[bytes | None],
    columns: list[Column],
    times: int,
) -> None:
    del values[len(values) // 3 * 3 :]
    values *= times
    seen = []
    for one in (screen(placed, *columns), screen(patterns.matcher(NAMES), *columns)):
        changed = one.cells(values)
        seen.append(
            (changed, {(seen.detector, seen.count, *sorted(seen.fingerprints)) for seen in one.hits.take()})
        )
    assert seen[0] == seen[1]


@settings(max_examples=300, deadline=None)
@given(st.lists(odd, max_size=30), st.sampled_from((*COLUMNS[1:], [text("a"), text("b"), text("c")])))
def test_what_is_clean_as_it_stands_is_clean_when_it_is_taken_apart(
    placed: Matcher, values: list[bytes | None], columns: list[Column]
) -> None:
    del values[len(values) // 3 * 3 :]
    framed = b"".join(b"D\0n7" + value for value in values if value is not None)
    one = screen(placed, *columns)
    if one.clean_among(framed):
        assert one.cells(values) is None


def test_what_is_read_before_it_is_looked_into_says_nothing_as_it_stands(placed: Matcher) -> None:
    for column in (
        Column("a", CellKind.HEX),
        Column("a", CellKind.JSON),
        text("customer_bsn"),
    ):
        assert not screen(placed, text("b"), column).clean_among(b"nothing")
    assert screen(placed, text("b"), Column("n", CellKind.CANNOT_HOLD)).clean_among(b"nothing")


def test_where_it_is_in_vain_too_often_nothing_is_looked_for_as_it_stands(placed: Matcher) -> None:
    one = screen(placed, text())
    for _ in range(3):
        assert not one.clean_among(CARD)
        assert one.clean_among(b"nothing")
    for _ in range(5):
        assert not one.clean_among(CARD)
    assert not one.clean_among(b"nothing")
