from typing import Any

from bodycam.cli.scenes import ROWS_AT_ONCE, clock, scenes


def entry(type_: str, at: int = 0, exchange: int = 1, **fields: Any) -> dict[str, Any]:
    return {"at": at, "exchange": exchange, "type": type_, **fields}


def asked(text: str, at: int = 0, exchange: int = 1, **more: Any) -> dict[str, Any]:
    return entry(
        "asked", at, exchange, text=text, **({"verb": "query", "parameters": [], "aside": False} | more)
    )


def done(at: int = 0, exchange: int = 1, **more: Any) -> dict[str, Any]:
    return entry("done", at, exchange, **({"outcome": "ok", "tag": None, "rows": 0, "bytes": 0} | more))


def test_a_statement_and_its_table() -> None:
    entries = [
        asked("select id, name\nfrom t where id > $1", 1_500_000, parameters=[{"type": "int4", "text": "1"}]),
        entry(
            "columns", 1_501_000, columns=[{"name": "id", "type": "int4"}, {"name": "name", "type": "text"}]
        ),
        entry("rows", 1_502_000, rows=[["2", "Grace"], ["3", None]]),
        done(1_503_000, tag="SELECT 2", rows=2),
    ]
    assert "".join(one.text for one in scenes(entries)) == (
        "00:01.500  #1  select id, name\n"
        "    from t where id > $1\n"
        "  $1 = 1  (int4)\n"
        "  id │ name\n"
        "  ───┼──────\n"
        "  2  │ Grace\n"
        "  3  │ NULL\n"
        "  → SELECT 2\n"
    )


def test_results_that_overlap_are_kept_apart() -> None:
    entries = [
        entry("columns", exchange=1, columns=[{"name": "a", "type": ""}]),
        entry("columns", exchange=2, columns=[{"name": "b", "type": ""}]),
        entry("rows", exchange=2, rows=[["2"]]),
        entry("rows", exchange=1, rows=[["1"]]),
        done(exchange=2, tag="SELECT 1"),
        done(exchange=1, tag="SELECT 1"),
    ]
    assert [one.text for one in scenes(entries)] == [
        "  b\n  ─\n  2\n  → SELECT 1\n",
        "  a\n  ─\n  1\n  → SELECT 1\n",
    ]


def test_a_large_result_comes_in_portions() -> None:
    entries = [
        entry("columns", columns=[{"name": "n", "type": "int4"}]),
        *(entry("rows", rows=[[str(number)]]) for number in range(ROWS_AT_ONCE * 2 + 1)),
        done(tag="SELECT 401", rows=401),
    ]
    shown = [one.text for one in scenes(entries)]
    assert len(shown) == 3
    assert "".join(shown).count("  n\n") == 1


def test_an_empty_result_still_shows_its_columns() -> None:
    entries = [entry("columns", columns=[{"name": "id", "type": ""}]), done(tag="SELECT 0")]
    assert [one.text for one in scenes(entries)] == ["  id\n  ──\n  → SELECT 0\n"]


def test_housekeeping_is_left_out_and_errors_are_not() -> None:
    entries = [
        asked("", aside=True),
        done(),
        asked("select", exchange=2),
        entry(
            "message", exchange=2, level="error", code="42601", text="syntax error", detail="", hint="think"
        ),
        done(exchange=2, outcome="error"),
    ]
    assert "".join(one.text for one in scenes(entries)) == (
        "00:00.000  #2  select\n  error 42601: syntax error\n  hint: think\n  → error  0 rows\n"
    )


def test_recorded_control_characters_never_reach_the_screen() -> None:
    evil = "\x1b[2J\x9b\u202e"
    entries = [
        asked(evil, parameters=[{"type": evil, "text": evil}], verdict=evil),
        entry("columns", columns=[{"name": evil, "type": evil}]),
        entry("rows", rows=[[evil]]),
        entry("output", stream=evil, text=evil),
        entry("message", level=evil, code=evil, text=evil, detail=evil, hint=evil),
        entry("noted", what=evil, detail=evil),
        entry(evil),
        done(outcome=evil, tag=evil),
    ]
    text = "".join(one.text for one in scenes(entries, wide=True))
    assert text.replace("\n", "").isprintable()


def test_long_cells_are_cut_unless_wide() -> None:
    entries = [entry("rows", rows=[["x" * 500]]), done(tag="SELECT 1")]
    assert "…" in next(scenes(entries)).text
    assert "x" * 500 in next(scenes(entries, wide=True)).text


def test_a_transcript_that_breaks_off_shows_what_came() -> None:
    assert [one.text for one in scenes([entry("rows", rows=[["1"]])])] == ["  1\n"]


def test_the_clock() -> None:
    assert clock(61_002_000) == "01:01.002"
    assert clock(3_600_000_000) == "1:00:00.000"


def test_of_a_connections_own_doings_only_what_went_wrong_is_shown() -> None:
    tunnel = {"verb": "connect", "aside": True}
    entries = [
        asked("there:443", **tunnel),
        entry("output", stream="response head", text="HTTP/1.1 200"),
        done(tag="200"),
        asked("elsewhere:443", exchange=2, **tunnel),
        entry("output", exchange=2, stream="response head", text="HTTP/1.1 403"),
        entry("message", exchange=2, level="error", code="403", text="no", detail="", hint=""),
        done(exchange=2, tag="403", outcome="denied"),
    ]
    assert "".join(one.text for one in scenes(entries)) == (
        "00:00.000  #2  elsewhere:443\n  error 403: no\n  → 403  denied\n"
    )


def test_a_clients_own_verb_stands_before_what_it_asked_for() -> None:
    [scene] = scenes([asked("https://there/a", verb="DELETE")])
    assert scene.text == "00:00.000  #1  DELETE https://there/a\n"
