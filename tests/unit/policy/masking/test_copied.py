"""COPY's rows through a screen: masks never break a line or a field, whatever the pieces."""

import csv
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.config.masking import Then
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.masking.columns import CellKind, Column, ColumnMask
from bodycam.policy.masking.copied import CopyFormat, CopyStream
from bodycam.policy.masking.screen import Screen

AWS = b"AKIAIOSFODNN7ABCDEFG"
MASKED = b"[bodycam:secrets.aws-access-token]"
TEXT, CSV = CopyFormat(), CopyFormat(csv=True)


def copying(matcher: Matcher | None, form: CopyFormat, *columns: Column, **more: int) -> CopyStream:
    columns = columns or (Column("a", CellKind.TEXT), Column("b", CellKind.TEXT))
    return CopyStream(Screen(columns, matcher, lambda rule: Then.REDACT), len(columns), form, **more)


def run(one: CopyStream, pieces: list[bytes]) -> bytes:
    return b"".join([one.feed(piece) for piece in pieces]) + one.flush()


CASES = [
    (TEXT, b"1\tplain\n2\t\\N\n", b"1\tplain\n2\t\\N\n"),
    (TEXT, b"1\t" + AWS + b"\n2\tx\n", b"1\t" + MASKED + b"\n2\tx\n"),
    (TEXT, AWS + b"\t\\N\n", MASKED + b"\t\\N\n"),
    (TEXT, b"1\ta\\n" + AWS + b"\\tb\n", b"1\ta\\n" + MASKED + b"\\tb\n"),
    (TEXT, b"1\t\\101KIAIOSFODNN7ABCDEFG\n", b"1\t" + MASKED + b"\n"),
    (TEXT, b"1\t\\\\" + AWS + b"\n", b"1\t\\\\" + MASKED + b"\n"),
    (TEXT, b"1\tx\r\n", b"1\tx\r\n"),
    (TEXT, b"1\t" + AWS + b"\n\\.\n", b"1\t" + MASKED + b"\n\\.\n"),
    (TEXT, b"1\t" + AWS, b"1\t" + MASKED),
    (CSV, b"1," + AWS + b"\n2,\n", b"1," + MASKED + b"\n2,\n"),
    (CSV, b'1,"' + AWS + b'"\n', b"1," + MASKED + b"\n"),
    (CSV, b'1,"say ""' + AWS + b'"""\n2,"x, y"\n', b'1,"say ""' + MASKED + b'"""\n2,"x, y"\n'),
    (CSV, b'1,"two\nlines ' + AWS + b'\n"\r\n2,z\r\n', b'1,"two\nlines ' + MASKED + b'\n"\r\n2,z\r\n'),
    (CSV, b'"",""\n', b'"",""\n'),
    (CopyFormat(csv=True, delimiter=b";", quote=b"'", escape=b"\\"),
     b"1;'it\\'s " + AWS + b"'\n", b"1;'it\\'s " + MASKED + b"'\n"),
    (CopyFormat(delimiter=b"|", null=b"NULL"), b"NULL|" + AWS + b"\n", b"NULL|" + MASKED + b"\n"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "text", "after"), CASES, ids=[repr(one[1])[:40] for one in CASES])
def test_at_every_split_point(matcher: Matcher, form: CopyFormat, text: bytes, after: bytes) -> None:
    for at in range(len(text) + 1):
        assert run(copying(matcher, form), [text[:at], text[at:]]) == after, at
    assert run(copying(matcher, form), [text[at : at + 1] for at in range(len(text))]) == after


def test_columns_by_name_and_nulls(matcher: Matcher) -> None:
    columns = [
        Column("id", CellKind.CANNOT_HOLD, holds_text=False),
        Column("ssn", CellKind.TEXT, rule=ColumnMask(Then.NULL)),
        Column("name", CellKind.TEXT, rule=ColumnMask(Then.REDACT)),
    ]
    assert run(copying(None, TEXT, *columns), [b"1\tx\ty\n2\t\\N\t\\N\n"]) == (
        b"1\t\\N\t[bodycam:column]\n2\t\\N\t\\N\n"
    )
    assert run(copying(None, CSV, *columns), [b'1,"x","y"\n']) == b"1,,[bodycam:column]\n"


def test_a_header_keeps_the_names_of_masked_columns() -> None:
    columns = [Column("ssn", CellKind.TEXT, rule=ColumnMask(Then.REDACT)), Column("b", CellKind.TEXT)]
    form = CopyFormat(csv=True, header=True)
    text = b'ssn,"b\nc"\n1,2\n3,4\n'
    for at in range(len(text)):
        assert run(copying(None, form, *columns), [text[:at], text[at:]]) == (
            b'ssn,"b\nc"\n[bodycam:column],2\n[bodycam:column],4\n'
        )


def test_a_line_of_another_shape_is_not_let_through(matcher: Matcher) -> None:
    columns = [Column("a", CellKind.TEXT, rule=ColumnMask(Then.REDACT)), Column("b", CellKind.TEXT)]
    assert (
        run(copying(None, TEXT, *columns), [b"a\tb\tc\n\nx\n"]) == b"[bodycam:unread]\n\n[bodycam:unread]\n"
    )
    assert run(copying(None, CSV, *columns), [b'a,"b\n']) == b'[bodycam:column],"b\n'


def test_a_record_that_is_too_long_becomes_one_line(matcher: Matcher) -> None:
    row = b'1,"' + b"x\n" * 1000 + AWS + b'"\n'
    for piece in (10, 700, 10_000):
        one = copying(matcher, CSV, most_held=500)
        text = b"0,y\n" + row + b"2,z\n"
        after = run(one, [text[start : start + piece] for start in range(0, len(text), piece)])
        if piece == 10_000:
            assert after == b"0,y\n" + row.replace(AWS, MASKED) + b"2,z\n"
        else:
            assert after == b"0,y\n[bodycam:unread]\n2,z\n"


cell = st.one_of(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8), st.just(AWS.decode())
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(cell, cell), min_size=1, max_size=6), st.integers(1, 50))
def test_csv_stays_csv(matcher: Matcher, rows: list[tuple[str, str]], size: int) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    text = written.getvalue().encode()
    after = run(copying(matcher, CSV), [text[at : at + size] for at in range(0, len(text), size)])
    read = list(csv.reader(io.StringIO(after.decode(), newline=""), strict=True))
    assert read == [[one.replace(AWS.decode(), MASKED.decode()) for one in row] for row in rows]
    if AWS not in text:
        assert after == text


def test_any_bytes_keep_their_lines_in_text(matcher: Matcher) -> None:
    chance = random.Random(4)
    for _ in range(200):
        text = bytes(chance.choice(b'ab\t\n\\N.,"\r\xff') for _ in range(60))
        after = run(copying(matcher, TEXT), [text])
        assert after.count(b"\n") == text.count(b"\n")
        for before, now in zip(text.split(b"\n"), after.split(b"\n"), strict=True):
            assert now in (before, b"[bodycam:unread]")
