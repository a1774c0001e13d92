"""Recorded terminals on the viewer's own: as they were, and harmless."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.cli.frames import CLEAR, RESET, TAKEN_BACK, SafeFrames
from bodycam.cli.keyboard import Key
from bodycam.cli.live import live_scenes
from bodycam.cli.player import Pace, Player
from bodycam.cli.scenes import Scene, scenes
from bodycam.model.escape_sequences import SEQUENCE

SECOND = 1_000_000


@pytest.mark.parametrize(
    "shown",
    [
        "plain, grüße 東京\r\n\tx\b",
        "\x1b[1;38;5;208;48:2::1:2:3mcolour\x1b[0m\x1b[m",
        "\x1b[2J\x1b[H\x1b[10;20Hx\x1b[K\x1b[3P\x1b[2;5r\x1b[A",
        "\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l\x1b[?7l\x1b[4h",
        "\x1b7\x1b8\x1bD\x1bM\x1b(0lqk\x1b(B\x0e\x0f",
    ],
)
def test_what_only_changes_how_it_looks_stays(shown: str) -> None:
    assert SafeFrames().feed(shown) == shown


@pytest.mark.parametrize(
    "attack",
    [
        "\x1b]52;c;cm0gLXJmIC8=\x07",
        "\x1b]0;title\x07",
        "\x1b]2;title\x1b\\",
        "\x1b]8;;file:///etc/passwd\x1b\\",
        "\x1b]1337;File=name=x:AAAA\x07",
        "\x1b]50;#3\x07",
        "\x1b]4;1;?\x07",
        "\x1b[21t",
        "\x1b[8;1;1t",
        "\x1b[c",
        "\x1b[>c",
        "\x1b[=c",
        "\x1b[5n",
        "\x1b[6n",
        "\x1b[?6n",
        "\x1b[>q",
        "\x1b[0x",
        "\x1b[?1$p",
        "\x1b[4i",
        "\x1b[5i",
        '\x1bP$q"p\x1b\\',
        "\x1bP+q544e\x1b\\",
        "\x1bP1000p%begin\x1b\\",
        "\x1b_Gf=100;AAAA\x1b\\",
        "\x1b^private\x1b\\",
        "\x1bXstart\x1b\\",
        "\x1b[?1000h",
        "\x1b[?1003h\x1b[?1006h",
        "\x1b[?2004h",
        "\x1b[?1004h",
        "\x1b[?1h",
        "\x1b=",
        "\x1b[?3h",
        "\x1b[2l",
        "\x1b[20h",
        "\x1b[12h",
        "\x1b[>4;2m",
        "\x1b[99999999b",
        "\x1b[5 q",
        "\x1b[!p",
        "\x1bZ",
        "\x1b#8",
        "\x05",
        "\x07",
        "\x9b6n",
        "\x90+q\x9c",
        "\u202e",
        "\x1b%@",
    ],
)
def test_what_could_do_more_is_left_out(attack: str) -> None:
    for size in (1, 2, 1000):
        text = f"a{attack}b"
        safe = SafeFrames()
        out = "".join(safe.feed(text[at : at + size]) for at in range(0, len(text), size))
        # what stands between C1 controls is text to a terminal that knows none
        assert out.replace("6n", "").replace("+q", "") == "ab"


def test_a_full_reset_is_a_cleared_screen() -> None:
    assert SafeFrames().feed("a\x1bcb") == f"a{CLEAR}b"


def test_at_the_end_all_is_taken_back() -> None:
    safe = SafeFrames()
    safe.feed("\x1b[?1049h\x1b[31mvim")
    assert safe.end() == TAKEN_BACK == "\x1b[?1049l" + RESET
    assert safe.end() == RESET


@given(st.lists(st.one_of(st.text(max_size=10), st.sampled_from(["\x1b", "\x1b]", "\x1b[", "\x1bP", "\x1b\\", "\x07", "52;c;", "6n", "?1000h"])), max_size=12))  # fmt: skip
def test_whatever_comes_only_safe_sequences_are_left(pieces: list[str]) -> None:
    safe = SafeFrames()
    out = "".join(map(safe.feed, pieces)).encode()
    for sequence in SEQUENCE.findall(out):
        assert SafeFrames().feed(sequence.decode()) == sequence.decode()
    left = SEQUENCE.sub(b"", out).decode()
    assert not set(left) & {*map(chr, range(7)), "\x07", "\x1b", "\x7f", *map(chr, range(0x80, 0xA0))}


def entry(type_: str, at: float, exchange: int = 1, **fields: Any) -> dict[str, Any]:
    return {"at": int(at * SECOND), "exchange": exchange, "type": type_, **fields}


def frame(at: float, data: str, *, exchange: int = 1, typed: bool = False) -> dict[str, Any]:
    return entry("frame", at, exchange, data=data, input=typed)


SHELL = [
    entry("asked", 0, verb="shell", text="", parameters=[], aside=False),
    entry("terminal", 0, kind="xterm", columns=80, rows=24),
    frame(1, "$ \x1b]52;c;AAAA\x07"),
    frame(2, "l", typed=True),
    frame(2, "l"),
    entry("asked", 3, 2, verb="exec", text="uptime", parameters=[], aside=False),
    frame(4, "s\r\n"),
    entry("output", 4, stream="terminal", text="$ ls\n"),
    entry("terminal", 5, kind="", columns=100, rows=30),
    entry("done", 6, outcome="ok", tag="exit 0", rows=0, bytes=9),
    entry("noted", 7, 0, what="closed", detail="ended"),
]


def test_a_terminal_has_the_screen_and_all_else_waits() -> None:
    assert [(one.at // SECOND, one.text, one.live) for one in live_scenes(SHELL)] == [
        (0, "00:00.000  #1  shell\n", False),
        (0, "00:00.000  -- terminal: 80x24 xterm\n", False),
        (1, CLEAR, True),
        (1, "$ ", True),
        (2, "l", True),
        (4, "s\r\n", True),
        (6, RESET, True),
        (6, "00:03.000  #2  $ uptime\n", False),
        (6, "00:05.000  -- terminal: 100x30\n", False),
        (6, "  → exit 0\n", False),
        (7, "00:07.000  -- closed: ended\n", False),
    ]


def test_without_a_terminal_its_text_is_shown() -> None:
    text = "".join(one.text for one in scenes(SHELL))
    assert "  terminal| $ ls\n" in text
    assert "\x1b" not in text


def test_a_recording_that_breaks_off_gives_the_screen_back() -> None:
    assert [one.text for one in live_scenes(SHELL[:5]) if one.live][-1] == RESET


class Screen:
    """A viewer's terminal, with a clock that only waiting moves."""

    def __init__(self, keys: dict[float, Key]) -> None:
        self.now, self.keys, self.written = 0.0, sorted(keys.items()), ""
        self.player = Player(self.source, Pace(), self.write, self.key, now=lambda: self.now)

    def source(self) -> Iterator[Scene]:
        return live_scenes(SHELL)

    def write(self, text: str) -> None:
        self.written += text

    def key(self, seconds: float | None) -> Key | None:
        if self.keys and (seconds is None or self.keys[0][0] <= self.now + seconds):
            at, key = self.keys.pop(0)
            self.now = max(self.now, at)
            return key
        assert seconds is not None
        self.now += max(seconds, 0.001)
        return None


def test_no_status_stands_in_a_recorded_screen() -> None:
    screen = Screen({})
    screen.player.play()
    assert f"{CLEAR}$ ls\r\n{RESET}00:03.000  #2  $ uptime\n" in screen.written


def test_who_quits_has_their_terminal_back() -> None:
    screen = Screen({2.5: Key.QUIT})
    screen.player.play()
    assert screen.written.endswith(f"{CLEAR}$ l{TAKEN_BACK}\r\x1b[K")


def test_going_back_and_on_shows_the_screen_as_it_came_to_be() -> None:
    screen = Screen({4.5: Key.BACK, 4.6: Key.FORWARD, 4.7: Key.QUIT})
    screen.player.play()
    _, _, after = screen.written.rpartition("\x1b[H\x1b[2J")
    assert f"{CLEAR}$ ls\r\n" in after
