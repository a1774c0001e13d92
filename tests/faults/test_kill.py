"""kill -9 of every process under load: what a client saw committed, and what a table holds, is recorded.

BODYCAM_FAULT_ROUNDS sets how often the worker and the archivist are killed before the supervisor is.
"""

import contextlib
import os
import random
import re
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg

from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.keys import load_archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.model import ids
from bodycam.model.event import Kind
from tests import stage

ROUNDS = int(os.environ.get("BODYCAM_FAULT_ROUNDS", "1"))
THREADS = 4
PACE = 1.2
TOKEN = re.compile(rb"mark-\d+-\d+-[0-9a-f]{16}")


@dataclass
class Load:
    """Threads that insert unique tokens, one transaction each, and come back whenever they are thrown out."""

    dsn: str
    committed: list[str] = field(default_factory=list)
    tried: int = 0
    thrown_out: int = 0
    unexpected: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(20)
        assert not self.unexpected, self.unexpected

    def _work(self, number: int) -> None:
        count = 0
        try:
            while not self._stop.is_set():
                try:
                    with contextlib.closing(psycopg.connect(self.dsn, connect_timeout=5)) as connection:
                        while not self._stop.is_set():
                            count += 1
                            self._transaction(connection, f"mark-{number}-{count}-{os.urandom(8).hex()}")
                except psycopg.OperationalError:
                    self.thrown_out += 1
                    time.sleep(0.05)
        except BaseException as error:
            self.unexpected.append(error)

    def _transaction(self, connection: psycopg.Connection[Any], token: str) -> None:
        self.tried += 1
        connection.execute("insert into marks (token) values (%s)", (token,))
        connection.commit()
        self.committed.append(token)


def recordings(gateway: stage.Gateway) -> dict[str, list[list[Any]]]:
    """Every event of every sealed session, read without the gateway; a session sealed twice fails."""
    keys = load_archivist(gateway.folder / "keys")
    store = LocalStore(gateway.data / "recordings")
    keystore = KeyStore(gateway.data / "keystore" / "keys.db", keys.wrapping)
    found: dict[str, list[list[Any]]] = {}
    for name in store.list():

        def read(at: int, size: int, name: str = name) -> bytes:
            return store.get_range(name, at, size)

        for place in read_footer(read, store.size(name))[0]:
            session = ids.session_id(place.session)
            assert session not in found, f"{session} is sealed twice"
            key = keystore.get(place.session)
            found[session] = list(SessionReader(read, place.offset, place.length).events(key))
    keystore.close()
    return found


def asked(sessions: dict[str, list[list[Any]]]) -> set[str]:
    """The tokens of every insert that was journaled before it went to the target."""
    return {
        token.decode()
        for events in sessions.values()
        for kind, _, _, body in events
        if kind == Kind.REQUEST
        for token in TOKEN.findall(repr(body[1:3]).encode())
    }


def answered(sessions: dict[str, list[list[Any]]]) -> set[str]:
    """The tokens whose insert, and the commit after it, are recorded with the answer that the client got."""
    found: set[str] = set()
    for events in sessions.values():
        tokens: dict[int, str] = {}
        waiting: str | None = None
        commits: set[int] = set()
        for kind, _, exchange, body in events:
            if kind == Kind.REQUEST:
                for token in TOKEN.findall(repr(body[1:3]).encode()):
                    tokens[exchange] = token.decode()
                if body[1].lower() == "commit":
                    commits.add(exchange)
            elif kind == Kind.FINISH and body[0] == "ok":
                if exchange in tokens:
                    waiting = tokens[exchange]
                elif exchange in commits and waiting is not None and body[4] == "COMMIT":
                    found.add(waiting)
                    waiting = None
    return found


def kill(gateway: stage.Gateway, role: str) -> None:
    """kill -9 of one child of that role, and wait until another stands in for it."""
    pids = gateway.children()[role]
    os.kill(random.choice(pids), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now = gateway.children()[role]
        if len(now) == len(pids) and now != pids:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {role} stands in for the one that was killed")


def killed_supervisor(gateway: stage.Gateway) -> None:
    """kill -9 of the supervisor; start the gateway again once its children have ended."""
    gateway.signal(signal.SIGKILL)
    gateway.stop()
    deadline = time.monotonic() + 30
    while True:
        try:
            gateway.start()
            return
        except RuntimeError:
            assert time.monotonic() < deadline, "the children of the killed supervisor do not end"
            gateway.stop()
            time.sleep(0.2)


def metrics(gateway: stage.Gateway) -> dict[str, float]:
    """Every metric of the gateway without labels."""
    text = gateway.api("GET", "/metrics").text
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_what_was_committed_is_recorded(gateway: stage.Gateway, server: stage.Postgres) -> None:
    server.sql("create table marks (token text primary key)")
    run = gateway.run()
    load = Load(run.dsn())
    with load.running():
        for _ in range(ROUNDS):
            time.sleep(PACE * random.uniform(0.5, 1.5))
            kill(gateway, "worker")
            time.sleep(PACE * random.uniform(0.5, 1.5))
            kill(gateway, "archivist")
            time.sleep(PACE * random.uniform(0.1, 1.0))
            kill(gateway, "worker")
        before = len(load.committed)
        killed_supervisor(gateway)
        time.sleep(PACE)
    assert len(load.committed) > before > 100
    assert load.thrown_out

    for _ in range(3):
        with contextlib.suppress(httpx.HTTPError):
            gateway.end(run, wait=30)
            break
    measured = metrics(gateway)
    listed: list[dict[str, Any]] = gateway.api("GET", f"/v1/sessions?run={run.run}&limit=1000").json()[
        "sessions"
    ]
    assert gateway.stop() == 0
    code, report = gateway.verify()
    assert (code, report["findings"], report["open"]) == (0, [], [])

    sessions = recordings(gateway)
    assert {one["id"] for one in listed} == set(sessions)
    in_table = set(server.sql("select token from marks").split())
    assert set(load.committed) <= in_table
    assert in_table <= asked(sessions)
    assert set(load.committed) <= answered(sessions)

    outcomes = defaultdict(list)
    for session, events in sessions.items():
        assert events[0][0] == Kind.OPENED
        assert events[-1][0] == Kind.CLOSED
        notes = [body["note"] for kind, _, _, body in events if kind == Kind.NOTE]
        outcomes[events[-1][3]["outcome"]].append(session)
        assert ("interrupted" in notes) is (events[-1][3]["outcome"] == "interrupted"), session
    assert len(outcomes["interrupted"]) >= ROUNDS
    assert measured["bodycam_journal_gaps_total"] == 0
