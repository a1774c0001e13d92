"""Any sequence of messages: a real server answers the same through the machine, and the record says what ran.

Each case is a random sequence of messages over few names, valid and not, sent once to the server itself and
once through a machine whose target is that server, in random cuts. `BODYCAM_DIFFERENTIAL_CASES` and
`BODYCAM_DIFFERENTIAL_SEED` ask for more cases, and for others.
"""

import os
import random
import re
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import pytest

from bodycam.model.event import Kind
from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.machine import PostgresMachine
from tests import stage
from tests.playbook import wire
from tests.playbook.play import CHALLENGE_CLEARTEXT, DIALLED, GRANT, Play

CASES = int(os.environ.get("BODYCAM_DIFFERENTIAL_CASES", "150"))
SEED = int(os.environ.get("BODYCAM_DIFFERENTIAL_SEED", "1"))

STATEMENTS, PORTALS = ("", "a", "b"), ("", "a", "c")
SETUP = "create temp table t (n int); create temp table u (n int unique deferrable initially deferred)"
FENCE = "rollback; select 'the fence'"

TEXTS = (
    *("select {n}",) * 4,
    *("select $1::int + {n}",) * 3,
    *("select g from generate_series(1, 5) g -- {n}",) * 3,
    "insert into t values ({n})",
    "insert into t values ($1::int) -- {n}",
    "insert into u values (1) -- {n}",
    "selec {n}",
    "select 1/0 -- {n}",
    "select 1; select {n}",
    "begin -- {n}",
    "commit -- {n}",
    "rollback -- {n}",
    "",
    ";",
    *("copy t from stdin -- {n}",) * 2,
    "copy t from stdin; copy t from stdin -- {n}",
    "copy (select {n}) to stdout",
    "deallocate a -- {n}",
    "prepare b as select {n}",
    "declare c cursor for select generate_series(1, 4) -- {n}",
    "do $$ begin raise notice 'said {n}'; end $$",
)
# a backend's own schema, whose number goes to whoever comes first
_OWN_SCHEMA = re.compile(rb"pg_temp_\d+")
# what the server's log has of each thing that it ran
_RAN = re.compile(r"^(?P<pid>\d+) .*LOG:  (?:statement|execute [^:]*): (?P<text>.*)$")


@dataclass
class Case:
    """A sequence of messages, and after which of them the client waits for what comes."""

    number: int
    messages: list[bytes] = field(default_factory=list)
    waits: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        said = [f"{raw!r}{'  (waits)' if at in self.waits else ''}" for at, raw in enumerate(self.messages)]
        return f"case {self.number}:\n  " + "\n  ".join(said)


def case(number: int) -> Case:
    """The messages of the case of that number; the same each time."""
    chance = random.Random(f"{SEED}/{number}")
    made = Case(number)

    def text() -> str:
        return chance.choice(TEXTS).format(n=number * 1000 + len(made.messages))

    def bound(statement: str, portal: str) -> bytes:
        values = [b"7"] if chance.random() < 0.4 else []
        return wire.bind(*values, statement=statement, portal=portal, formats=chance.choice([(), (1,)]))

    calm = chance.random() < 0.3
    for _ in range(chance.randint(3, 25)):
        statement, portal = chance.choice(STATEMENTS), chance.choice(PORTALS)
        match chance.choice("PPPPBBBBEEEEESSSSSSQQQDDCHF" + ("" if calm else "dddccf") + "1222"):
            case "P":
                made.messages.append(wire.parse(text(), statement))
            case "B":
                made.messages.append(bound(statement, portal))
            case "E":
                made.messages.append(wire.execute(portal, chance.choice([0, 0, 2])))
            case "S":
                made.messages.append(wire.SYNC)
            case "Q":
                made.messages.append(wire.query(text()))
            case "D":
                kind = chance.choice("SP")
                made.messages.append(wire.describe(kind, statement if kind == "S" else portal))
            case "C":
                kind = chance.choice("SP")
                made.messages.append(wire.close(kind, statement if kind == "S" else portal))
            case "H":
                made.messages.append(wire.FLUSH)
            case "F":
                # int4pl(2, 40), and a function that there is none of
                oid, values = chance.choice([(177, [b"2", b"40"]), (1, [])])
                made.messages.append(called(oid, values))
            case "d":
                made.messages.append(wire.copy_data(chance.choice([b"1\n", b"2\n", b"no number\n"])))
            case "c":
                made.messages.append(wire.COPY_DONE)
            case "f":
                made.messages.append(wire.message(b"f", b"enough\0"))
            case "1":
                copied = [wire.query(f"copy t from stdin -- {number}"), wire.copy_data(b"1\n")]
                made.messages += [*copied, wire.COPY_DONE]
            case _:
                # as drivers do it
                name = chance.choice(STATEMENTS)
                one = [
                    wire.parse(text(), name),
                    bound(name, ""),
                    wire.describe("P"),
                    wire.execute(),
                    wire.SYNC,
                ]
                made.messages += [part for part in one if part[:1] != b"D" or chance.random() < 0.5]
        if chance.random() < 0.25:
            made.waits.add(len(made.messages) - 1)
    # an end to whatever it left: a copy, what is passed over, a transaction
    made.messages += [wire.message(b"f", b"the end\0"), wire.SYNC, wire.query(FENCE)]
    return made


def called(oid: int, values: list[bytes]) -> bytes:
    arguments = b"".join(struct.pack(">i", len(value)) + value for value in values)
    return wire.message(
        b"F", struct.pack(">I", oid), struct.pack(">hh", 0, len(values)), arguments, struct.pack(">h", 0)
    )


class Peer:
    """A connection to the server itself."""

    def __init__(self, server: stage.Postgres) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError:
            self.ended = True

    def read(self, seconds: float) -> bytes:
        """What is there, after so long a wait at most."""
        if self.ended or not select.select([self.socket], [], [], seconds)[0]:
            return b""
        try:
            data = self.socket.recv(65536)
        except OSError:
            data = b""
        self.ended = not data
        return data


def messages(data: bytes) -> list[bytes]:
    found = []
    while data:
        length = 1 + int.from_bytes(data[1:5], "big")
        found.append(data[:length])
        data = data[length:]
    return found


def said_by(data: bytes) -> list[bytes]:
    """The messages, without what another backend of the same server says otherwise."""
    found = messages(data)
    # a name of other length changes the message's as well
    return [
        raw[:1] + _OWN_SCHEMA.sub(b"pg_temp", raw[5:]) if _OWN_SCHEMA.search(raw) else raw for raw in found
    ]


def fenced(data: bytes) -> bool:
    """Whether the last answer has come."""
    return b"the fence" in data and messages(data)[-1] == wire.ready()


def direct(server: stage.Postgres, one: Case) -> bytes:
    """What the server answers."""
    with Peer(server) as peer:
        peer.send(frontend.startup_message({"user": "app", "database": "postgres"}) + wire.query(SETUP))
        begun = b""
        while begun.count(wire.complete("CREATE TABLE")) < 2 or not begun.endswith(wire.ready()):
            begun += peer.read(10)
        peer.send(b"".join(one.messages))
        said = b""
        while not fenced(said) and not peer.ended:
            came = peer.read(10)
            assert came or peer.ended, f"the server hangs\n{one}"
            said += came
        return said


class Through:
    """The same by way of a machine whose target is the server."""

    def __init__(self, peer: Peer, chance: random.Random) -> None:
        self.peer, self._chance = peer, chance
        self.play = play = Play(PostgresMachine)
        self.said = b""
        play.client(wire.startup(user="token", database="orders"))
        play.answer(CHALLENGE_CLEARTEXT)
        play.client(wire.message(b"p", wire.text("bcr_secret")))
        play.answer(replace(GRANT, dial=replace(GRANT.dial, database="postgres")))  # type: ignore[type-var]
        play.answer(DIALLED)
        while not play.is_ready:
            assert not play.closed, self.said
            self._carry(10)
        self.pid = int.from_bytes(play.machine._login.cancel_key[:4], "big")  # type: ignore[attr-defined]
        play.client(wire.query(SETUP))
        while not (self.said.count(wire.complete("CREATE TABLE")) == 2 and self.said.endswith(wire.ready())):
            self._carry(10)
        self.said = b""
        play.recorded()

    def run(self, one: Case) -> bytes:
        for part, waits in self._reads(one):
            self.play.client(part)
            self._carry(0.01 if waits else 0)
        while not fenced(self.said) and not self.play.closed:
            before = len(self.said)
            self._carry(10)
            assert self.play.closed or len(self.said) > before, f"an answer is missing\n{one}"
        if not self.play.closed:
            self.play.client(wire.TERMINATE)
        assert self.play.closed, f"the session does not end\n{one}"
        return self.said

    def _reads(self, one: Case) -> Iterator[tuple[bytes, bool]]:
        """The messages, as the gateway happens to read them."""
        data, chance = b"", self._chance
        torn = chance.random() < 0.3
        for at, raw in enumerate(one.messages):
            data += raw
            waits = at in one.waits
            if waits or chance.random() < 0.2:
                cut = chance.randrange(len(data)) if torn else 0
                yield data[:cut], False
                yield data[cut:], waits
                data = b""
        yield data, False

    def _carry(self, seconds: float) -> None:
        if out := self.play.target_sees():
            self.peer.send(out)
        while came := self.peer.read(seconds):
            seconds = min(seconds, 0.01)
            while came:
                cut = self._chance.choice([len(came), self._chance.randint(1, len(came))])
                self.play.target(came[:cut])
                came = came[cut:]
            self.said += self.play.client_gets()
            if fenced(self.said):
                break
        if self.peer.ended and not self.play.closed:
            self.play.machine.target_gone()
        self.said += self.play.client_gets()


def ran(server: stage.Postgres, pid: int, start: int) -> list[str]:
    """What the server's log says from there on that it ran for that process."""
    with server.log.open() as log:
        log.seek(start)
        found = [match for line in log if (match := _RAN.match(line))]
    return [match["text"] for match in found if int(match["pid"]) == pid][1:]


Recorded = list[tuple[Kind, int, Any]]


def check_record(recorded: Recorded, one: Case, log: list[str]) -> None:
    """Every message and no other is in the record, all ended, and what the server ran is what it says."""
    asked = [(number, body) for kind, number, body in recorded if kind is Kind.REQUEST]
    tags = {"query": "Q", "function": "F"}
    seen = "".join(body[3].get("messages") or tags[body[0]] for _, body in asked)
    sent = "".join(chr(raw[0]) for raw in one.messages if raw[:1] not in b"dcf")
    assert sent == seen, f"{sent}\n{seen}\n{one}"
    ends = {number: body for kind, number, body in recorded if kind is Kind.FINISH and number}
    assert sorted(ends) == [number for number, _ in asked], one
    for number, body in asked:
        outcome, text = ends[number][0], body[1]
        # what a CopyFail ends has the code of a cancel
        assert outcome in ("ok", "error", "skipped", "cancelled"), f"{number} {body} {ends[number]}\n{one}"
        if body[0] not in ("query", "execute") or outcome == "skipped":
            continue
        hidden = outcome == "ok" and (text.startswith("-- ") or "doubt" in body[3])
        fits = bool(log) and (log[0] == text or (hidden and log[0].startswith(("prepare ", "declare "))))
        # an empty statement is executed without a word in the log
        assert fits or outcome == "error" or text in ("", ";"), (
            f"{number} {body} {ends[number]}, but it ran {log[:3]}\n{one}"
        )
        if fits:
            log.pop(0)
    assert not log, f"nothing is recorded of {log}\n{one}"


@pytest.mark.parametrize("batch", range(-(-CASES // 25)))
def test_any_sequence_of_messages_is_answered_as_the_server_answers_it(
    server: stage.Postgres, batch: int
) -> None:
    for number in range(batch * 25, min(CASES, batch * 25 + 25)):
        compare(server, case(number))


def given_up(said: bytes) -> bool:
    """Whether the gateway itself has ended the session."""
    return b"C08P01\0Mthe target broke the protocol" in messages(said)[-1]


def copied_in_by_execute(one: Case, said: bytes) -> bool:
    """Whether the server has asked for copy data, maybe of an Execute."""
    return wire.copy_in() in messages(said) and any(
        raw[:1] == b"P" and b"copy t from stdin" in raw for raw in one.messages
    )


def compare(server: stage.Postgres, one: Case) -> None:
    """One case, both ways."""
    expected = direct(server, one)
    start = server.log.stat().st_size
    with Peer(server) as peer:
        through = Through(peer, random.Random(f"{SEED}/{one.number}/cuts"))
        said = through.run(one)
    if fenced(expected) and not (given_up(said) and copied_in_by_execute(one, said)):
        assert said_by(said) == said_by(expected), f"{messages(said)}\n{messages(expected)}\n{one}"
        check_record(through.play.recorded()[:-1], one, ran(server, through.pid, start))
    else:
        # who gave up was the server, and a reset may have swallowed the last of what it said; or the gateway:
        # where more is pipelined behind a copy that fails, the Sync that ends it can't be told from another
        assert not fenced(said), one
        last = messages(said)[-1]
        assert backend.error_map(last)["severity"] == "FATAL", one
        before, answers = said_by(said)[:-1], said_by(expected)
        shared = min(len(before), len(answers))
        assert before[:shared] == answers[:shared], one
