"""What a terminal's output comes to as lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.model.terminal_text import LINE_MOST, TerminalText, screen_text

CASES = {
    "plain": (b"one\ntwo\r\nthree", ["one", "two", "three"]),
    "colours": (b"\x1b[01;34mbin\x1b[0m  \x1b[32mrun.sh\x1b[0m\r\n", ["bin  run.sh"]),
    "a title": (b"\x1b]0;host: ~\x07$ ls\r\n", ["$ ls"]),
    "a corrected command": (b"$ sl\b \b\b \bls\r\nfile\r\n", ["$ ls", "file"]),
    "inserted in the middle": (b"$ cat b\b\x1b[1@a\b\r\n", ["$ cat ab"]),
    "a progress bar": (b"10%\r 50%\r100% done\r\n", ["100% done"]),
    "a line that gets shorter": (b"waiting for it\rready\x1b[K\r\n", ["ready"]),
    "erased up to the cursor": (b"secret\x1b[1K!\r\n", ["      !"]),
    "a cursor that steps": (b"a\x1b[3Cb\x1b[5Gc\n", ["a   c"]),
    "bold as printers make it": (b"N\bNA\bAM\bME\bE\n", ["NAME"]),
    "a screen of fields": (b"\x1b[2J\x1b[1;1Hname\x1b[1;20Hsize\x1b[2;1Hfile", ["name", "                   size", "file"]),
    "characters": ("grüße 東京\n".encode(), ["grüße 東京"]),
    "no characters": (b"\xff\xfeab\n", ["\\xff\\xfeab"]),
    "half a character at the end": ("grü".encode()[:-1], ["gr\\xc3"]),
    "half a sequence at the end": (b"done\x1b[3", ["done[3"]),
    "nothing to read": (b"\x1b[?25l\x1b[0m\a", []),
    "tabs": (b"a\tb\n", ["a\tb"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_lines(name: str) -> None:
    data, lines = CASES[name]
    for size in (1, 2, 5, len(data)):
        text = TerminalText()
        found = [line for at in range(0, len(data), size) for line in text.feed(data[at : at + size])]
        assert [*found, *text.end()] == lines, size


def test_the_line_that_has_not_ended_can_be_read() -> None:
    text = TerminalText()
    assert text.feed(b"$ ls") == []
    assert text.line == "$ ls"
    assert text.feed(b" -l\r\n") == ["$ ls -l"]
    assert text.line == ""


@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([b"\x1b[99999999C", b"\x1b[5;9999H", b"x" * 5000])),
        max_size=8,
    )
)
def test_any_bytes_give_lines_in_bounds(pieces: list[bytes]) -> None:
    text = TerminalText()
    lines = [line for piece in pieces for line in text.feed(piece)] + text.end()
    assert all(
        len(line) <= 2 * LINE_MOST + 10_000 and "\x1b" not in line and "\n" not in line for line in lines
    )
    assert isinstance(screen_text(b"".join(pieces)), str)
