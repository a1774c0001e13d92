import pytest

from bodycam.cli.visible import lines_of, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcödé 漢字", "plain text, ünïcödé 漢字"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\x7f", "\\x7f"),
    ],
)
def test_what_could_drive_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_every_character_comes_out_printable() -> None:
    assert visible("".join(map(chr, range(0x3000)))).isprintable()


def test_lines() -> None:
    assert lines_of("a\r\nb\tc\x1b[2J") == ["a", "b    c\\x1b[2J"]
