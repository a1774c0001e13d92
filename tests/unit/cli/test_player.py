from collections.abc import Iterator

from bodycam.cli.clockwork import Clockwork
from bodycam.cli.keyboard import Key
from bodycam.cli.player import Pace, Player, play_plain
from bodycam.cli.scenes import Scene

SECOND = 1_000_000
SCENES = [Scene(number * SECOND, 1, f"scene {number}\n") for number in (0, 1, 2, 60)]


class Viewer:
    """A viewer with a clock that only waiting moves, and keys that are pressed at given seconds."""

    def __init__(self, pace: Pace, keys: dict[float, Key] | None = None) -> None:
        self.now, self.keys, self.opened = 0.0, sorted((keys or {}).items()), 0
        self.written: list[tuple[float, str]] = []
        self.player = Player(self.source, pace, self.write, self.key, now=lambda: self.now)

    def source(self) -> Iterator[Scene]:
        self.opened += 1
        return iter(SCENES)

    def write(self, text: str) -> None:
        self.written.append((round(self.now, 2), text))

    def key(self, seconds: float | None) -> Key | None:
        if self.keys and (seconds is None or self.keys[0][0] <= self.now + seconds):
            at, key = self.keys.pop(0)
            self.now = max(self.now, at)
            return key
        assert seconds is not None, "paused for ever"
        self.now += max(seconds, 0.001)
        return None

    def shown(self) -> list[tuple[float, str]]:
        return [(at, text.split("\x1b[K")[-1].strip()) for at, text in self.written if "scene" in text]


def test_scenes_come_in_their_time() -> None:
    viewer = Viewer(Pace())
    viewer.player.play()
    assert [text for _, text in viewer.shown()] == ["scene 0", "scene 1", "scene 2", "scene 60"]
    assert [round(at) for at, _ in viewer.shown()] == [0, 1, 2, 60]


def test_speed_and_skipped_idle_time() -> None:
    viewer = Viewer(Pace(speed=2.0, skip_idle=True))
    viewer.player.play()
    assert [round(at, 1) for at, _ in viewer.shown()] == [0.0, 0.5, 1.0, 1.5]


def test_pause_and_go_on() -> None:
    viewer = Viewer(Pace(), {0.5: Key.PAUSE, 10.5: Key.PAUSE, 13.0: Key.QUIT})
    viewer.player.play()
    assert [round(at) for at, _ in viewer.shown()] == [0, 11, 12]


def test_skip_goes_to_what_comes_next() -> None:
    viewer = Viewer(Pace(), {2.5: Key.SKIP})
    viewer.player.play()
    assert viewer.shown()[-1] == (2.5, "scene 60")


def test_seeking_forward_shows_what_was_passed() -> None:
    viewer = Viewer(Pace(), {0.5: Key.FORWARD, 1.0: Key.QUIT})
    viewer.player.play()
    assert "scene 1\nscene 2" in "".join(text for _, text in viewer.written)


def test_seeking_back_reads_the_recording_anew() -> None:
    viewer = Viewer(Pace(), {2.5: Key.BACK, 4.0: Key.QUIT})
    viewer.player.play()
    assert viewer.opened == 2
    assert "\x1b[H\x1b[2J" in "".join(text for _, text in viewer.written)
    assert [text for _, text in viewer.shown()] == [
        "scene 0",
        "scene 1",
        "scene 2",
        "scene 0",
        "scene 1",
    ]


def test_a_pipe_gets_the_same_pauses() -> None:
    slept: list[float] = []
    play_plain(lambda: iter(SCENES), Pace(speed=2, skip_idle=True), lambda _: None, sleep=slept.append)
    assert slept == [0, 0.5, 0.5, 0.5]
    slept.clear()
    play_plain(lambda: iter(SCENES), Pace(wait=False), lambda _: None, sleep=slept.append)
    assert slept == []


def test_the_clockwork_keeps_its_place_when_the_speed_changes() -> None:
    now = [0.0]
    clockwork = Clockwork(lambda: now[0])
    now[0] = 1.0
    clockwork.faster()
    now[0] = 2.0
    assert clockwork.position == 3 * SECOND
    assert clockwork.until(5 * SECOND) == 1.0
    clockwork.toggle()
    now[0] = 9.0
    assert clockwork.position == 3 * SECOND
    assert clockwork.until(5 * SECOND) is None
    clockwork.slower()
    clockwork.seek(-1)
    assert clockwork.position == 0


def test_the_status_stays_on_one_line_of_a_narrow_window() -> None:
    viewer = Viewer(Pace(), {1.5: Key.QUIT})
    viewer.player = Player(
        viewer.source, Pace(), viewer.write, viewer.key, now=lambda: viewer.now, width=lambda: 30
    )
    viewer.player.play()
    lines = [text.removeprefix("\r\x1b[K") for _, text in viewer.written if "▶" in text]
    assert lines
    assert {len(one) for one in lines} == {29}
