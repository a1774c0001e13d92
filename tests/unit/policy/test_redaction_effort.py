"""What a text may cost: the loop of a worker waits for it, whatever a client wrote."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bodycam.policy.detectors import effort
from bodycam.policy.redaction import REST_REDACTED, Redactor

REDACTOR = Redactor()
R, REST = "[redacted]", REST_REDACTED.decode()


@pytest.fixture
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "MAX_PLACES", 3)


@pytest.fixture
def short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "MAX_LOOKED_INTO", 40)


@pytest.mark.usefixtures("few_places")
def test_from_the_place_on_that_is_one_too_many_all_is_taken_out() -> None:
    text = "SELECT 'a', pwd='S3cr3t', pwd='S3cr3t', pwd='S3cr3t', 'b', pwd='S3cr3t', 'S3cr3t'"
    redacted, count = REDACTOR.redact(text)
    assert redacted == f"SELECT 'a', pwd='{R}', pwd='{R}', pwd='{R}', 'b', {REST}"
    assert count == 4


@pytest.mark.usefixtures("few_places")
def test_a_place_within_a_constant_that_is_one_too_many_takes_the_constant_along() -> None:
    text = "SELECT 1, 'pwd=S3cr3t', 'pwd=''S3cr3t'' pwd=S3cr3t', 2"
    redacted, count = REDACTOR.redact(text)
    assert redacted == f"SELECT 1, 'pwd={R}', {REST}"
    assert count == 2
    assert REDACTOR.redact_bytes(text.encode() + b"\xff")[0] == redacted.encode()


@pytest.mark.usefixtures("few_places")
def test_a_stray_quote_before_the_end_of_the_look_shields_nothing() -> None:
    text = "it's pwd 'S3cr3t' x pwd 'S3cr3t' y pwd 'S3cr3t' z pwd 'S3cr3t' z pwd 'S3cr3t"
    assert "S3cr3t" not in REDACTOR.redact(text)[0]


@pytest.mark.usefixtures("few_places")
def test_what_holds_no_place_is_no_effort() -> None:
    text = "SELECT password, 'a', \"b\", $a$c$a$ /* d */ -- pwd\n" * 20 + "password = 'S3cr3t'"
    assert REDACTOR.redact(text) == (text.replace("S3cr3t", R), 1)


@pytest.mark.usefixtures("short_look")
def test_a_constant_too_long_to_look_into_is_taken_out_and_hides_nothing_behind_it() -> None:
    long = "password = ''S3cr3t'' " + "S3cr3t " * 9
    text = f"SELECT '{long}', 'pwd=S3cr3t'; DROP TABLE t; SELECT 'x', '{long}password=' || 'S3cr3t', 'y'"
    redacted, count = REDACTOR.redact(text)
    assert redacted == f"SELECT '{R}', 'pwd={R}'; DROP TABLE t; SELECT 'x', '{R}' || '{R}', 'y'"
    assert count == 4


@pytest.mark.usefixtures("short_look")
def test_a_long_constant_without_a_name_stays() -> None:
    text = f"SELECT '{'password x ' * 9}', 'x', password = 'S3cr3t', '{'y' * 90}'"
    assert REDACTOR.redact(text) == (text.replace("S3cr3t", R), 1)


def calls(work: Callable[[], object]) -> int:
    """How many functions of Python's own were called: what work costs, whatever the machine does besides."""
    seen = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal seen
        seen += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen


HOSTILE = [
    *(
        "'",
        "''",
        '"',
        "$$",
        "$a",
        "--",
        "--\n",
        "/*",
        "*/",
        "/* */",
        "/*/**/*/",
        "E'\\",
        "://",
        "://a:b",
        ":// @",
    ),
    *(
        "a://b:c@",
        "pwd",
        "pwd=",
        "pwd='",
        "pwd'a'",
        "'pwd",
        "'pwd',",
        "'pwd'||",
        "PASSWORD 'a'\n",
        "-- pwd=\n",
    ),
    *(
        "identified by ",
        "x=a pwd=b ",
        "\\'pwd ",
        '"pwd" ',
        "?pwd=a",
        "''\n",
        "p\\wd=",
        "secret: ",
        "`",
        " $1",
    ),
]
BEFORE = ["", "password = ", "select '", "E'\"", "$a$$b$$c$$d$", "/*/*/*/*/*/*", '-- /* -- "', "a=b pwd='x' "]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_text_costs_no_more_steps_than_a_bound(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "MAX_PLACES", 64)
    for before in BEFORE:
        text = before + "pwd='x' " + piece * ((1 << 17) // len(piece))
        assert calls(lambda text=text: REDACTOR.redact(text)) < 100_000, before  # type: ignore[misc]


def test_a_list_of_tagged_constants_is_passed_over_in_a_few_steps() -> None:
    text = "password = " + "$a$$a$ $b$x$b$," * 10_000 + "'S3cr3t'"
    assert calls(lambda: REDACTOR.redact(text)) < 1000


@pytest.mark.parametrize("between", [0, 1, 4000, 4090, 4094, 4095])
def test_a_password_in_a_url_is_found_up_to_its_longest(between: int) -> None:
    for far in ("", "http://" + "x" * 9000):
        secret = "S3cr3t" + "x" * (between - 8 if between > 8 else 0)
        text = f"SELECT 1, '{far}://u:{secret}@h'"
        assert "S3cr3t" not in REDACTOR.redact(text)[0]


def test_a_quoting_function_without_arguments_leads_nowhere() -> None:
    # looking for its bracket from the text's beginning would go on forever
    text = "'x' 'password', quote_nullable"
    assert REDACTOR.redact(text) == (text, 0)
    assert REDACTOR.redact("SELECT 'pwd=' || quote_nullable /* x */ ('S3cr3t')")[0] == (
        f"SELECT 'pwd=' || quote_nullable /* x */ ('{R}')"
    )


def test_the_page_on_security_says_how_much_is_looked_at() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    for said in (f"{effort.MAX_PLACES} places", f"{effort.MAX_LOOKED_INTO >> 10} KiB", f"`{REST}`"):
        assert said in page
