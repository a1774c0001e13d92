"""`bodycam export --asciicast`: files as https://docs.asciinema.org/manual/asciicast/v3/ has them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.api.transcripts import shown
from bodycam.cli.main import build, invoke
from bodycam.model.event import Event, Flavor, Kind
from bodycam.protocols.ssh.transcript import TRANSCRIPT
from tests.unit.cli.fake_control import FakeControl, fake_control

GOLDEN = Path(__file__).parents[2] / "golden" / "asciicast_v3"
SESSION, RUN = "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa", "run_aaaaaaaaaaaaaaaa"
ON_TERMINAL = {"ssh.kind": "shell", "ssh.term": "xterm-256color", "ssh.columns": 80, "ssh.rows": 24}


def asked(at: float, exchange: int, verb: str, text: str, facts: dict[str, Any]) -> Event:
    return Event(Kind.REQUEST, int(at * 1e6), exchange, [verb, text, [], facts, "statement", None, 0])


def shows(at: float, data: bytes, exchange: int = 1) -> Event:
    return Event(Kind.TO_CLIENT, int(at * 1e6), exchange, [Flavor.FRAMES, 0, data])


def types(at: float, data: bytes, exchange: int = 1) -> Event:
    return Event(Kind.TO_TARGET, int(at * 1e6), exchange, [Flavor.CHUNK, 0, data])


def ends(at: float, tag: str | None, exchange: int = 1, outcome: str = "ok") -> Event:
    return Event(Kind.FINISH, int(at * 1e6), exchange, [outcome, 0, 10, 5, tag, None])


SHELL = [
    asked(0.5, 1, "shell", "", ON_TERMINAL),
    shows(0.750001, b"\x1b[1m$\x1b[0m "),
    types(1.5, b"l"),
    shows(1.5, b"l"),
    types(1.75, b"s\r"),
    shows(2.0, b"s"),
    shows(2.0, b"\r\n\x1b[34mb\xc3"),
    shows(2.25, b"\xbcro\x1b[0m\xff\r\n"),
    Event(Kind.NOTE, 3_000_000, 1, {"note": "resized", "columns": 100, "rows": 30}),
    shows(3.5, b"Password: "),
    types(4, b"hunter2\r"),
    shows(4.125, b"\r\n\x1b[?1049hvim"),
    types(4.5, b":q\r"),
    shows(4.625, b"\x1b[24;1H:q\r\n"),
    shows(4.75, b"\x1b[?1049l$ "),
    ends(10.000001, "exit 3", outcome="error"),
]
COMMAND = [
    asked(11, 2, "exec", "sudo  top -b\n -n 1", {**ON_TERMINAL, "ssh.kind": "exec", "ssh.term": "vt100"}),
    shows(12, b"top\r\n", 2),
    ends(13, "signal TERM", 2, outcome="error"),
]
PLAIN = [asked(14, 3, "exec", "uptime", {"ssh.kind": "exec"}), ends(15, "exit 0", 3)]


def entries(events: list[Event]) -> list[dict[str, Any]]:
    reader = TRANSCRIPT.reader()
    return [json.loads(json.dumps(shown(entry))) for event in events for entry in reader.feed(event)]


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeControl]:
    about = {"id": SESSION, "run": RUN, "target": "web", "opened": 1_700_000_000.25}
    routes = {
        f"GET /v1/sessions/{SESSION}": {"session": about},
        f"GET /v1/sessions/{SESSION}/transcript": entries([*SHELL, *COMMAND, *PLAIN]),
        f"GET /v1/runs/{RUN}": {"run": {"id": RUN}},
        "GET /v1/sessions": {"sessions": [about, {**about, "id": "ses_sql"}], "next": None},
        "GET /v1/exchanges": lambda query, _: (200, {
            "exchanges": [{"verb": "shell" if query["session"] == SESSION else "query"}], "next": None,
        }),
    }  # fmt: skip
    with fake_control(routes) as made:
        monkeypatch.setenv("BODYCAM_URL", made.url)
        monkeypatch.setenv("BODYCAM_API_KEY", "bck_test")
        yield made


def bodycam(*arguments: str) -> int:
    return invoke(build(only=arguments[0]), list(arguments))


def valid(text: str) -> tuple[dict[str, Any], list[list[Any]]]:
    """Read it as strictly as the format's page says."""
    head, *lines = text.splitlines()
    header = json.loads(head)
    assert header.keys() <= {
        "version",
        "term",
        "timestamp",
        "idle_time_limit",
        "command",
        "title",
        "env",
        "tags",
    }
    assert header["version"] == 3
    term = header["term"]
    assert term.keys() <= {"cols", "rows", "type", "version", "theme"}
    assert all(type(term[name]) is int and term[name] > 0 for name in ("cols", "rows"))
    assert type(header["timestamp"]) is int
    events = [json.loads(line) for line in lines]
    for interval, code, data in events:
        assert type(interval) is float
        assert interval >= 0
        assert code in "oimrx"
        assert isinstance(data, str)
        assert code != "r" or all(one.isdecimal() for one in data.split("x"))
        assert code != "x" or data.isdecimal()
    assert [code for _, code, _ in events].count("x") <= 1
    assert all(code != "x" for _, code, _ in events[:-1])
    return header, events


def test_a_shell_with_what_was_typed(control: FakeControl, tmp_path: Path) -> None:
    file = tmp_path / "shell.cast"
    assert bodycam("export", SESSION, "--asciicast", str(file), "--exchange", "1", "--with-input") == 0
    assert file.read_text() == (GOLDEN / "shell.cast").read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    header, events = valid(file.read_text())
    assert header["timestamp"] == 1_700_000_000
    assert sum(interval for interval, _, _ in events) == pytest.approx(9.500001)
    # what is exported is asked for as that, so that grants and the trail know
    [call] = control.made("GET", f"/v1/sessions/{SESSION}/transcript")
    assert call.query == {"purpose": "export"}
    assert list(tmp_path.iterdir()) == [file]


def test_what_was_typed_is_left_out_and_no_marker_has_what_the_screen_had_not(
    control: FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodycam("export", SESSION, "--asciicast", "-", "--exchange", "1") == 0
    out = capsys.readouterr().out
    _, events = valid(out)
    assert "hunter2" not in out
    assert [data for _, code, data in events if code == "m"] == ["$ ls", "Password:"]
    assert [data for _, code, data in events if code == "r"] == ["100x30"]
    assert "".join(data for _, code, data in events if code == "o").startswith(
        "\x1b[1m$\x1b[0m ls\r\n\x1b[34mbüro"
    )


def test_several_terminals_go_into_a_folder_or_one_is_chosen(
    control: FakeControl, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodycam("export", SESSION, "--asciicast", str(tmp_path / "one.cast")) == 2
    said = capsys.readouterr().err
    assert f"{SESSION} has 2 terminals: {SESSION} #1, {SESSION} #2" in said.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []
    folder = tmp_path / "casts"
    assert bodycam("export", RUN, "--asciicast", f"{folder}/") == 0
    assert sorted(one.name for one in folder.iterdir()) == [f"{SESSION}-1.cast", f"{SESSION}-2.cast"]
    assert (folder / f"{SESSION}-2.cast").read_text() == (GOLDEN / "command.cast").read_text()
    valid((folder / f"{SESSION}-2.cast").read_text())
    assert control.made("GET", "/v1/sessions/ses_sql/transcript") == []
    assert bodycam("export", SESSION, "--asciicast", str(folder)) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ([SESSION, "--asciicast", "x", "--exchange", "3"], 1, "no such terminal was recorded"),
        (["--asciicast", "x"], 2, "an asciicast is of one session or run"),
        ([RUN, "--asciicast", "x", "--exchange", "1"], 2, "--exchange is of a session"),
    ],
)
def test_what_can_not_be_written_is_said(
    control: FakeControl, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    line: list[str], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert bodycam("export", *line) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_masked_view_gives_no_terminal(
    control: FakeControl, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    route = f"GET /v1/sessions/{SESSION}/transcript"
    masked = {"at": 0, "exchange": 0, "type": "noted", "what": "masked", "detail": "by a grant"}
    control.routes[route] = [masked, *(one for one in control.routes[route] if one["type"] != "frame")]
    assert bodycam("export", SESSION, "--asciicast", str(tmp_path / "x"), "--exchange", "1") == 1
    assert "is masked" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
