"""Logins at a real server by every password method, and its answers as a recording shows them."""

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.target import Dial
from bodycam.model.transcript import Body, Column, Columns, Message, Output, Rows
from bodycam.protocols.postgres import frontend
from bodycam.protocols.postgres.codec import Framer
from bodycam.protocols.postgres.target_failure import TargetLoginFailed
from bodycam.protocols.postgres.target_login import TargetLogin
from bodycam.protocols.postgres.transcript import TRANSCRIPT
from tests.playbook import wire

METHODS = {
    "scram-sha-256": "scram-sha-256",
    "md5": "md5",
    "password": "scram-sha-256",
    "trust": "scram-sha-256",
}


@pytest.fixture(scope="module")
def roles(server: str) -> Iterator[str]:
    """A role for each method, named by_METHOD, with the password hunter2."""
    with psycopg.connect(server, autocommit=True) as connection:
        row = connection.execute("show hba_file").fetchone()
        assert row is not None
        file = Path(row[0])
        before, lines = file.read_text(), ""
        for method, kept_as in METHODS.items():
            connection.execute(f"set password_encryption = '{kept_as}'")
            connection.execute(f"create role \"by_{method}\" login password 'hunter2'")
            lines += f'local all "by_{method}" {method}\n'
        file.write_text(lines + before)
        connection.execute("select pg_reload_conf()")
        yield server
        file.write_text(before)
        connection.execute("select pg_reload_conf()")


class Client:
    """A blocking client on the server's Unix socket."""

    def __init__(self, server: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(f"{conninfo_to_dict(server)['host']}/.s.PGSQL.5432")
        self._framer = Framer(limit=1 << 20, streamed=frozenset())

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def messages(self) -> Iterator[bytes]:
        while data := self._socket.recv(65_536):
            buffer, frames = self._framer.feed(data)
            for _, start, end, _ in frames:
                yield buffer[start:end]

    def log_in(self, user: str, password: str | None = "hunter2") -> TargetLogin:
        dial = Dial("", 5432, user, "postgres", password)
        login = TargetLogin(dial, {"application_name": "bodycam", "TimeZone": "UTC"})
        self.send(login.start())
        for raw in self.messages():
            if (reply := login.receive(raw)) is not None:
                self.send(reply)
            if login.ready:
                break
        return login

    def answer(self) -> bytes:
        """All up to the next ReadyForQuery."""
        found = b""
        for raw in self.messages():
            found += raw
            if raw[:1] == b"Z":
                break
        return found


@pytest.mark.parametrize("method", list(METHODS))
def test_every_password_method(roles: str, method: str) -> None:
    with Client(roles) as client:
        login = client.log_in(f"by_{method}")

        assert login.ready
        assert login.backend_pid
        assert any(b"server_version\0" in raw for raw in login.status_messages)
        client.send(wire.query("select current_user"))
        assert f"by_{method}".encode() in client.answer()


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_a_wrong_password(roles: str, method: str) -> None:
    with Client(roles) as client, pytest.raises(TargetLoginFailed) as failed:
        client.log_in(f"by_{method}", "wrong")

    assert failed.value.sqlstate == "28P01"


def test_what_a_server_answers_is_what_a_person_reads(roles: str) -> None:
    with Client(roles) as client:
        client.log_in("by_trust")
        client.send(
            wire.query(
                "select 1 as one, null as nothing, 'ä' as text; select 1 where false;"
                " copy (values (1, 'a'), (2, null)) to stdout;"
                " do $$ begin raise notice 'careful' using hint = 'look'; end $$; select 1/0"
            )
        )
        said = read(client.answer())

    assert said == [
        Columns((Column("one", "int4"), Column("nothing", "text"), Column("text", "text"))),
        Rows((("1", None, "ä"),)),
        Columns((Column("?column?", "int4"),)),
        Output("copy out", "1\ta\n2\t\\N\n"),
        Message("notice", "00000", "careful", "", "look"),
        Message("error", "22012", "division by zero"),
    ]


def test_binary_results_in_a_session_with_another_encoding(roles: str) -> None:
    with Client(roles) as client:
        client.log_in("by_trust")
        client.send(wire.query("set client_encoding to 'LATIN1'"))
        said = read(client.answer())
        client.send(
            wire.parse("select $1::int, 'gr\xfc\xdf'::text, '2024-01-01'::timestamptz".encode("latin-1").decode(
                "utf-8", "surrogateescape"), types=(23,))
            + wire.bind(b"7", formats=(1,)) + wire.describe("P") + wire.execute() + wire.SYNC
        )  # fmt: skip
        reader_input = client.answer()

    assert said == []
    assert read(wire.status("client_encoding", "LATIN1") + reader_input)[1] == Rows(
        (("7", "grüß", "2024-01-01 00:00:00+00"),)
    )


def test_a_cancel_request_with_the_targets_key_stops_a_statement(roles: str) -> None:
    with Client(roles) as client, Client(roles) as other:
        login = client.log_in("by_trust")
        assert login.cancel_key is not None
        client.send(wire.query("do $$ begin raise notice 'begun'; perform pg_sleep(30); end $$"))
        assert next(client.messages())[:1] == b"N"  # a cancel that comes before the statement stops nothing
        other.send(frontend.cancel_request(login.cancel_key))
        said = read(client.answer())

    assert said[-1] == Message("error", "57014", "canceling statement due to user request")


def read(data: bytes) -> list[Body]:
    reader = TRANSCRIPT.reader()
    return [entry.body for entry in reader.feed(Event(Kind.TO_CLIENT, 0, 1, [Flavor.CHUNK, 0, data]))]
