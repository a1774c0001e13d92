"""Bundles: what goes in comes out, whatever it is; what does not belong together stays apart."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.catalog.bundles import MOST, MOST_TEXT, SPAN, Bundle, Columns, Item, numbers, owned, unpack
from bodycam.catalog.statement import statement_of

NOON = 1_700_000_000_000_000
STATEMENT = statement_of("SELECT 1", 100)

texts = st.text(max_size=40).map(lambda text: text.replace("\0", ""))
items = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(NOON, NOON + 2**33),
    st.integers(0, 2**62),
    st.integers(0, 2**48),
    st.integers(0, 2**20),
    texts,
    texts,
    texts,
    st.just(""),
)


def bundle(*given: Item) -> Bundle:
    return Bundle(STATEMENT, "query", False, "ok", None, items=list(given))


def item(number: int, started: int = NOON, text: str = "") -> Item:
    return (number, started, 5, 1, 10, text, "", "", "")


def unpacked(columns: Columns) -> Columns:
    return unpack(columns.pack(), min(columns.numbers), min(columns.starts))


@given(st.lists(items, min_size=1, max_size=MOST))
def test_what_is_packed_is_unpacked(given: list[Item]) -> None:
    columns = bundle(*given).columns()
    assert unpacked(columns) == columns
    assert unpacked(columns).texts() == columns.texts()
    assert numbers(columns.pack(), min(columns.numbers)) == columns.numbers


@given(st.lists(items, min_size=1, max_size=MOST), texts.filter(bool))
def test_each_may_have_a_text_of_its_own(given: list[Item], text: str) -> None:
    columns = bundle(*((*one[:8], f"{text}{at}") for at, one in enumerate(given))).columns()
    assert unpacked(columns) == columns
    assert owned(columns.pack())
    assert len(columns.own) == len(given)
    assert columns.texts()[: len(given)] == columns.own
    assert numbers(columns.pack(), min(columns.numbers)) == columns.numbers


def test_many_alike_take_few_bytes() -> None:
    columns = bundle(
        *(item(n, NOON + n * 1600, str(n * 7919 % 500_000)) for n in range(1, MOST + 1))
    ).columns()
    assert len(columns.pack()) < 12 * MOST


def test_what_no_database_holds_is_replaced_once_and_for_all() -> None:
    columns = bundle(item(1, text="a\0b"), item(2, text="c\ud800d"), item(3, text="plain")).columns()
    assert columns.values == ["a\ufffdb", "c?d", "plain"]
    assert unpacked(columns) == columns


def test_a_bundle_is_full_by_count_text_and_time() -> None:
    full = bundle(*(item(n) for n in range(MOST)))
    assert not full.add(item(MOST), 0)
    wordy = bundle()
    assert wordy.add(item(1, text="x" * MOST_TEXT), MOST_TEXT)
    assert not wordy.add(item(2), 0)
    for apart, fits in ((SPAN - SPAN // 4, True), (SPAN, False), (-SPAN // 4, True), (-SPAN // 2, False)):
        one = bundle(item(1))
        assert one.add(item(2, NOON + apart), 0) is fits
        starts = one.columns().starts
        assert max(starts) - min(starts) <= SPAN


def test_what_is_there_already_is_left_out() -> None:
    left = bundle(item(1), item(2), item(3)).without({1, 3, 9})
    assert [number for number, *_ in left.items] == [2]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\0",
        b"\1no frame",
        b"\2" + cbor2.dumps([1, 2, 3]),
        b"\5" + cbor2.dumps([1, 2, 3]),
        b"\0" + b"\1\0" + b"BBBBB" + bytes(12),  # a column is missing
        b"\3" + b"\1\0" + b"BBBBB" + bytes(12),
        bundle(item(1, text="a"), item(2)).columns().pack()[:-2] + b"\xff\xff",  # texts that are no text
    ],
)
def test_nothing_else_is_taken_for_a_bundle(packed: bytes) -> None:
    with pytest.raises(ValueError, match="a bundle"):
        unpack(packed, 1, NOON)
