"""What the sealed recordings of a stopped gateway hold, read from its files without the gateway."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.keys import load_archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.model import ids
from bodycam.model.event import Kind
from tests import stage
from tests.faults.load import Token

Statement = tuple[str, tuple[str, ...]]
"""A statement's text and its values, as the database's own log has them."""

_MARK = re.compile(r"INSERT INTO marks .* VALUES \((\d+), (\d+), (\d+)\);")


def events(gateway: stage.Gateway) -> dict[str, list[list[Any]]]:
    """Every event of every sealed session; a session that is sealed twice fails."""
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


@dataclass(slots=True)
class Recorded:
    """One session as it was recorded.

    Attributes:
        worker: the incarnation of the worker, and `opening` the session's number there.
        backend: the process at the database, once the login there was over.
        asked: the statements, in order, that were journaled before they went to the database.
        marked: the transactions whose token was asked to be inserted.
        committed: those whose insert and COMMIT are recorded with their answers.
    """

    run: str
    worker: bytes
    opening: int
    outcome: str = ""
    notes: list[str] = field(default_factory=list)
    backend: int | None = None
    asked: list[Statement] = field(default_factory=list)
    marked: set[Token] = field(default_factory=set)
    committed: set[Token] = field(default_factory=set)


def read(told: Iterable[list[Any]]) -> Recorded:
    """Make sense of a session's events."""
    first, *rest = told
    assert first[0] == Kind.OPENED
    assert rest[-1][0] == Kind.CLOSED
    session = Recorded(first[3]["run"], first[3]["worker"], first[3]["opening"])
    inserts: dict[int, Token] = {}
    ends: set[int] = set()
    waiting: Token | None = None
    for kind, _, exchange, body in rest:
        if kind == Kind.REQUEST and body[0] in ("query", "execute"):
            text = body[1]
            values = tuple(value.decode() for _, _, value in body[2])
            session.asked.append((text, values))
            if (token := _token(text, values)) is not None:
                inserts[exchange] = token
                session.marked.add(token)
            elif text == "END;":
                ends.add(exchange)
        elif kind == Kind.FINISH and body[0] == "ok":
            if exchange in inserts:
                waiting = inserts[exchange]
            elif exchange in ends and waiting is not None and body[4] == "COMMIT":
                session.committed.add(waiting)
                waiting = None
        elif kind == Kind.NOTE:
            session.notes.append(body["note"])
            session.backend = body.get("backend_pid", session.backend)
        elif kind == Kind.CLOSED:
            session.outcome = body["outcome"]
    return session


def _token(text: str, values: tuple[str, ...]) -> Token | None:
    if not text.startswith("INSERT INTO marks"):
        return None
    found = _MARK.fullmatch(text)
    return Token(*map(int, found.groups() if found is not None else values))
