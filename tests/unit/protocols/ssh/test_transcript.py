"""What people read of an SSH session, and what the index has of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from bodycam.archive.index import Indexer
from bodycam.catalog.engine import make_engine, reading
from bodycam.catalog.exchanges import ExchangeFilter, ExchangeRecord, list_exchanges
from bodycam.catalog.schema import migrate
from bodycam.catalog.search import search
from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.transcript import Asked, Body, Done, Frame, Message, Noted, Output, Rows, Skimmer, Terminal
from bodycam.protocols.ssh.transcript import FILE, TRANSCRIPT

STATEMENT, ASIDE = "statement", "aside"
EXEC = {"ssh.kind": "exec", "ssh.account": "deploy"}
ON_TERMINAL = {
    "ssh.kind": "shell",
    "ssh.account": "deploy",
    "ssh.term": "xterm",
    "ssh.columns": 80,
    "ssh.rows": 24,
}
OPENED = {
    "session": "ses_a", "run": "run_a", "agent": "bot", "database": "deploy", "grade": "separated",
    "principal": {"issuer": "api", "subject": "ci", "kind": "service", "groups": []},
    "target": {"name": "web", "protocol": "ssh", "labels": {}}, "labels": {}, "trace": None,
    "address": "127.0.0.1:1", "claims": {}, "worker": b"\xab" * 16, "opening": 1,
    "started": 1_700_000_000_000_000, "policy": "p1", "version": "0",
}  # fmt: skip


def asked(verb: str, text: str, facts: dict[str, Any], *, weight: str = STATEMENT, number: int = 1) -> Event:
    return Event(Kind.REQUEST, number, number, [verb, text, [], facts, weight, None, 0])


def said(data: bytes, flavor: Flavor = Flavor.CHUNK, *, number: int = 1) -> Event:
    return Event(Kind.TO_CLIENT, number, number, [flavor, 0, data])


def typed(data: bytes, *, number: int = 1) -> Event:
    return Event(Kind.TO_TARGET, number, number, [Flavor.CHUNK, 0, data])


def done(outcome: str, tag: str | None, error: dict[str, str] | None = None, *, number: int = 1) -> Event:
    return Event(Kind.FINISH, number, number, [outcome, 0, 10, 5, tag, error])


def note(**body: object) -> Event:
    return Event(Kind.NOTE, 1, 1, body)


def read(*events: Event) -> list[Body]:
    reader = TRANSCRIPT.reader()
    return [entry.body for event in events for entry in reader.feed(event)]


def test_a_command_with_its_output_errors_and_end() -> None:
    assert read(
        asked("exec", "make -j2 2>&1 | tee log", EXEC),
        said(b"\x1b[32mcc\x1b[0m ma"),
        said(b"warning: deprecated\n", Flavor.ERRORS),
        said(b"in.c\nlink"),
        done("error", "exit 2"),
    ) == [
        Asked("exec", "make -j2 2>&1 | tee log", (), aside=False),
        Output("stderr", "warning: deprecated\n"),
        Output("stdout", "cc main.c\n"),
        Output("stdout", "link"),
        Done("error", "exit 2", 0, 15),
    ]


def test_a_question_is_told_before_its_answer() -> None:
    assert read(
        asked("exec", "passwd", EXEC),
        said(b"New password: "),
        typed(b"[redacted]\n"),
        said(b"\n"),
        done("ok", "exit 0"),
    )[1:] == [
        Output("stdout", "New password: ".rstrip()),
        Output("stdin", "[redacted]\n"),
        Output("stdout", "\n"),
        Done("ok", "exit 0", 0, 15),
    ]


def test_a_shell_reads_as_its_screen_did_and_has_its_frames() -> None:
    assert read(
        asked("shell", "", ON_TERMINAL),
        said(b"$ ", Flavor.FRAMES),
        typed(b"l"), said(b"l", Flavor.FRAMES),
        typed(b"q\x7f"), said(b"q\b \b", Flavor.FRAMES),
        typed(b"s\r"), said(b"s\r\n\x1b[34mbin\x1b[0m\r\n$ ", Flavor.FRAMES),
        note(note="resized", columns=100, rows=30),
        note(note="signal", name="INT"),
        note(note="eof", by="client"),
        done("error", "signal HUP"),
    ) == [
        Asked("shell", "", (), aside=False),
        Terminal("xterm", 80, 24),
        Frame("$ "),
        Frame("l", input=True), Frame("l"),
        Frame("q\x7f", input=True), Frame("q\b \b"),
        Frame("s\r", input=True), Output("stdin", "ls\n"),
        Frame("s\r\n\x1b[34mbin\x1b[0m\r\n$ "), Output("terminal", "$ ls\nbin\n"),
        Terminal("", 100, 30),
        Noted("signal", "name=INT"),
        Noted("eof", "by=client"),
        Output("terminal", "$"),
        Done("error", "signal HUP", 0, 15),
    ]  # fmt: skip


def test_frames_do_not_cut_characters() -> None:
    frames = [one for one in read(
        asked("shell", "", ON_TERMINAL), said("ü".encode()[:1], Flavor.FRAMES), said("ü\xff".encode()[1:], Flavor.FRAMES)
    ) if isinstance(one, Frame)]  # fmt: skip
    assert frames == [Frame("üÿ")]


def test_files_that_were_moved() -> None:
    file = {"ssh.kind": "sftp", "file.path": "/srv/a.txt", "file.action": "write"}
    moved = {"note": "file", "path": "/srv/a.txt", "size": 5, "sha256": "2cf2", "direction": "upload"}
    assert read(
        asked("sftp", "", {"ssh.kind": "sftp"}, weight=ASIDE, number=1),
        asked("write", "/srv/a.txt", file),
        typed(b"hello"),
        note(**moved),
        done("ok", ""),
        asked("rename", "/srv/a.txt", {**file, "file.to": "/srv/b.txt"}),
    ) == [
        Asked("sftp", "", (), aside=True),
        Asked("write", "/srv/a.txt", (), aside=False),
        FILE,
        Rows((("/srv/a.txt", "upload", "5", "2cf2"),)),
        Output("uploaded", "hello"),
        Done("ok", "", 0, 15),
        Asked("rename", "/srv/a.txt -> /srv/b.txt", (), aside=False),
    ]


def test_a_forward_that_was_refused_and_one_that_was_not() -> None:
    facts = {"ssh.kind": "forward", "forward.host": "db", "forward.port": 5432}
    denial = {"code": "prohibited", "message": "forwards are not allowed here"}
    assert read(asked("forward", "db:5432", facts), done("denied", None, denial))[1:] == [
        Message("error", "prohibited", "forwards are not allowed here"),
        Done("denied", None, 0, 15),
    ]
    assert read(
        asked("forward", "db:80", facts),
        typed(b"GET /\r\n"),
        said(b"\x16\x03\x01\0\xff" * 9),
        done("ok", None),
    )[1:] == [
        Output("sent", "GET /\n"),
        Output("received", "[45 bytes]"),
        Done("ok", None, 0, 15),
    ]


@pytest.mark.parametrize(("data", "text"), [
    (b"PK\x03\x04\0\0", "[6 bytes]"),
    (bytes(range(128, 256)), "[128 bytes]"),
    ("größe\n".encode(), "größe\n"),
    ("größe, and more".encode("latin-1"), "gr\\xf6\\xdfe, and more"),
])  # fmt: skip
def test_what_is_no_text_is_told_by_its_size(data: bytes, text: str) -> None:
    assert read(asked("exec", "x", EXEC), said(data), done("ok", None))[1] == Output("stdout", text)


def test_events_that_make_no_sense_are_noted() -> None:
    found = read(
        Event(Kind.REQUEST, 1, 1, ["exec"]), Event(Kind.TO_CLIENT, 1, 1, None), said(b"orphan\n", number=9)
    )
    assert [type(one) for one in found] == [Noted, Noted, Output]


@given(st.lists(st.tuples(st.sampled_from(list(Kind)), st.one_of(
    st.tuples(st.integers(0, 7), st.integers(), st.binary(max_size=40)),
    st.tuples(st.text(max_size=8), st.text(max_size=8), st.none(), st.dictionaries(st.sampled_from(list(ON_TERMINAL)), st.one_of(st.text(max_size=4), st.integers())), st.none(), st.none(), st.integers()),
    st.dictionaries(st.sampled_from(["note", "columns", "rows", "path", "size"]), st.one_of(st.just("file"), st.just("resized"), st.integers())),
)), max_size=10))  # fmt: skip
def test_nothing_that_was_recorded_makes_it_fail(events: list[tuple[Kind, Any]]) -> None:
    read(*(Event(kind, 0, 1, body) for kind, body in events))


@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from([b"a\n", b"\n", b"\r\n", b" x", b"\x1b[31m", b"\x1b", b"\b", "ü".encode()])
        ).map(b"".join),
    )
)
def test_what_is_skimmed_is_what_the_entries_say(data: bytes) -> None:
    reader = TRANSCRIPT.reader()
    assert isinstance(reader, Skimmer)
    output = ""
    for body in read(asked("exec", "x", EXEC), said(data), done("ok", None)):
        if isinstance(body, Output) and body.text:
            output = f"{output}\n{body.text}" if output else body.text
    assert reader.skim_output(None, data, 1024) == output[:1024]
    assert reader.skim_values([]) == ""


def test_details_and_traces() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    found = TRANSCRIPT.trace("x", {"ssh.env": ["LANG=C", f"TRACEPARENT={trace}"]})
    assert found is not None
    assert str(trace)[3:35] in str(found)
    assert TRANSCRIPT.trace("x", {}) is None
    facts = {**ON_TERMINAL, "shell.programs": ["sudo", "cat"], "ssh.env": ["A=b"]}
    assert TRANSCRIPT.kept(facts, "exit 3") == {
        "ssh.kind": "shell", "ssh.account": "deploy", "shell.programs": "sudo cat", "ssh.exit": 3,
    }  # fmt: skip
    assert TRANSCRIPT.kept({}, "signal KILL") == {"ssh.signal": "KILL"}
    assert TRANSCRIPT.kept({}, None) == {}


# -- the index -----------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    migrate(made)
    yield made
    made.dispose()


def indexed(engine: Engine, events: Sequence[Event]) -> dict[int, ExchangeRecord]:
    indexer = Indexer(engine, {"ssh": TRANSCRIPT})
    for event in (Event(Kind.OPENED, 0, 0, OPENED), *events, Event(Kind.CLOSED, 9, 0, {"outcome": "ended"})):
        indexer.feed("ses_a", event)
    indexer.flush()
    with reading(engine) as connection:
        return {one.number: one for one in list_exchanges(connection, ExchangeFilter(), limit=50).items}


def keys(text: str, number: int) -> Iterator[Event]:
    for key in text:
        yield typed(b"\r" if key == "\n" else key.encode(), number=number)
        yield said(b"\r\n" if key == "\n" else key.encode(), Flavor.FRAMES, number=number)


def test_search_finds_commands_and_what_they_printed(engine: Engine) -> None:
    events = [
        asked("exec", "kubectl get pods", EXEC, number=1),
        said(b"NAME   \x1b[1mREA\x1b[0mDY\npay-7d4 0/1\n", number=1),
        said(b"Warning: kubeconfig is world-readable\n", Flavor.ERRORS, number=1),
        done("ok", "exit 0", number=1),
        asked("exec", "cat /etc/motd", EXEC, number=2),
        said(b"maintenance at noon\n", number=2),
        done("ok", "exit 0", number=2),
        asked("shell", "", ON_TERMINAL, number=3),
        said(b"$ ", Flavor.FRAMES, number=3),
        *keys("systemctl restart pay && journalctl -u pay --since yesterday\n", number=3),
        said(b"unit restarted in a strange mood\r\n$ ", Flavor.FRAMES, number=3),
        done("ok", "exit 0", number=3),
        asked("read", "/srv/report.csv", {"ssh.kind": "sftp", "file.via": "sftp"}, number=4),
        said(b"amount,curr", number=4),
        said(b"ency\n", number=4),
        done("ok", None, number=4),
    ]
    found = indexed(engine, events)
    assert found[1].details == {"ssh.kind": "exec", "ssh.account": "deploy", "ssh.exit": 0}
    assert found[3].output.startswith("systemctl restart pay && journalctl -u pay --since yesterday")
    with reading(engine) as connection:
        for question, numbers in {
            "kubectl": [1], "ready": [1], "kubeconfig": [1], "motd": [2], "noon": [2], '"pay-7d4 0/1"': [1],
            "journalctl": [3], "strange mood": [3], "report.csv": [4], "currency": [4], "pods ready": [1],
        }.items():  # fmt: skip
            hits = search(connection, question, ExchangeFilter()).items
            assert [hit.exchange.number for hit in hits] == numbers, question
