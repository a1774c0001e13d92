import pytest

from bodycam.cli.asked import asked
from bodycam.cli.exchanges import outcome
from bodycam.cli.printing import print_table


@pytest.mark.parametrize(
    ("verb", "text", "shown"),
    [
        ("GET", "https://there/a", "GET https://there/a"),
        ("query", "select 1", "select 1"),
        ("sync", "", "sync"),
        ("GET", "", "GET"),
        (None, None, ""),
    ],
)
def test_a_verb_is_shown_where_it_is_the_clients_own_word(verb: object, text: object, shown: str) -> None:
    assert asked(verb, text) == shown


@pytest.mark.parametrize(
    ("rows", "size", "shown"),
    [
        (3, 900, "ok 3 rows"),
        (0, 900, "ok 900 B"),
        (0, 2048, "ok 2.0 KiB"),
        (0, 3 << 20, "ok 3.0 MiB"),
        (0, 0, "ok 0 rows"),
        (None, None, "ok"),
    ],
)
def test_bytes_are_counted_where_there_are_no_rows(rows: object, size: object, shown: str) -> None:
    assert outcome({"status": "ok", "rows": rows, "bytes": size}) == shown


def test_a_sparse_column_is_left_out_where_it_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["name", "database"]
    print_table(columns, [("a", None), ("b", "")], empty="", sparse=("database",))
    assert capsys.readouterr().out.split() == ["name", "a", "b"]
    print_table(columns, [("a", None), ("b", "shop")], empty="", sparse=("database",))
    assert capsys.readouterr().out.split() == ["name", "database", "a", "b", "shop"]
