"""Where a view's columns come from: query trees as a server keeps them, cut to what is read of them."""

import pytest

from bodycam.protocols.postgres.view_tree import sources

ENTRY = (
    "{{TARGETENTRY :expr {expr} :resno {resno} :resname {name} :ressortgroupref 0 :resorigtbl {table} "
    ":resorigcol {column} :resjunk {junk}}}"
)
VAR = "{VAR :varno 1 :varattno 2 :vartype 25 :location -1}"


def entry(
    resno: int, table: int, column: int, *, name: str = "x", junk: str = "false", expr: str = VAR
) -> str:
    return ENTRY.format(expr=expr, resno=resno, name=name, table=table, column=column, junk=junk)


def tree(*entries: str, rtable: str = "<>", behind: str = "") -> str:
    return (
        f"({{QUERY :commandType 1 :querySource 0 :rtable {rtable} :jointree {{FROMEXPR :fromlist <> "
        f":quals <>}} :targetList ({' '.join(entries)}) :override 0{behind} :stmt_len 0}})"
    )


def test_each_column_has_its_one_source_and_what_is_computed_has_none() -> None:
    assert sources(tree(entry(1, 16384, 3), entry(2, 0, 0), entry(3, 16390, 1))) == {
        1: (16384, 3),
        3: (16390, 1),
    }


def test_columns_that_only_sort_are_none_of_the_views() -> None:
    assert sources(tree(entry(1, 16384, 1), entry(2, 16384, 2, junk="true"))) == {1: (16384, 1)}


def test_the_target_lists_of_queries_inside_are_not_the_views() -> None:
    inside = "{QUERY :targetList (" + entry(1, 999, 9) + ")}"
    rtable = "({RTE :rtekind 1 :subquery " + inside + "})"
    sublink = "{SUBLINK :subselect {QUERY :targetList (" + entry(2, 998, 8) + ") :override 0}}"
    behind = " :cteList ({CTE :ctequery {QUERY :targetList (" + entry(1, 997, 7) + ")}})"
    assert sources(tree(entry(1, 16384, 3), entry(2, 0, 0, expr=sublink), rtable=rtable, behind=behind)) == {
        1: (16384, 3)
    }


@pytest.mark.parametrize("name", [r"a\{b", r"\}", r"\:resorigtbl\ 7", r"q\ \:targetList\ \(", r"\\"])
def test_names_with_signs_of_the_format_say_nothing(name: str) -> None:
    assert sources(tree(entry(1, 16384, 3, name=name), entry(2, 16384, 4))) == {
        1: (16384, 3),
        2: (16384, 4),
    }


@pytest.mark.parametrize(
    "text", ["", "<>", "({QUERY", "({QUERY :targetList ({TARGETENTRY :resno 1", "}}}{{{"]
)
def test_what_makes_no_sense_has_no_sources(text: str) -> None:
    assert sources(text) == {}
