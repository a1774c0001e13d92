"""How COPY writes its rows, told by its statement: certain, or not at all."""

import pytest

from bodycam.policy.masking.copied import CopyFormat
from bodycam.policy.masking.copy_format import copy_format
from bodycam.policy.sql.analysis import analyse


def signs(form: CopyFormat | None) -> tuple[bool, bool, bytes, bytes, bytes, bytes] | None:
    if form is None:
        return None
    return form.csv, form.header, form.delimiter, form.null, form.quote, form.escape


TEXT = (False, False, b"\t", b"\\N", b'"', b'"')
CSV = (True, False, b",", b"", b'"', b'"')


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("", TEXT),
        ("csv", CSV),
        ("with (format 'csv')", CSV),
        ("with (format text, freeze false)", TEXT),
        ("csv header", (True, True, *CSV[2:])),
        ("with (format csv, header)", (True, True, *CSV[2:])),
        ("with (format csv, header on)", (True, True, *CSV[2:])),
        ("with (format csv, header false)", CSV),
        ("with (format csv, header 0)", CSV),
        ("with (header true)", (False, True, *TEXT[2:])),
        (
            "csv delimiter ';' quote '''' escape '\\' null 'x' force quote *",
            (True, False, b";", b"x", b"'", b"\\"),
        ),
        ("with (delimiter '|', null '')", (False, False, b"|", b"", b'"', b'"')),
        ("using delimiters '|'", (False, False, b"|", b"\\N", b'"', b'"')),
        ("with (encoding 'latin1')", None),
        ("with (something_new 1)", None),
        ("with (format binary)", None),
        ("csv delimiter ';;'", None),
        ("; copy t to stdout csv", None),
    ],
)
def test_the_form_is_what_the_options_say(options: str, wanted: object) -> None:
    assert signs(copy_format(analyse(f"copy t to stdout {options}"))) == wanted


@pytest.mark.parametrize(
    "text", ["select 'copy t to stdout csv header'", "not sql", "execute s", "explain copy t to stdout"]
)
def test_of_anything_else_it_is_not_told(text: str) -> None:
    assert copy_format(analyse(text)) is None
    assert copy_format(None) is None


def test_words_of_options_in_a_query_are_no_options() -> None:
    form = copy_format(analyse("copy (select 'csv header delimiter', null, \"quote\" from t) to stdout"))
    assert signs(form) == TEXT
