"""A tunnel that HTTP/2 goes through: a client and a target in memory, and the machine between them."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, ResponseReceived, StreamReset, TrailersReceived
from h2.settings import SettingCodes

from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.target import Dial, Target, TlsMode
from bodycam.model.verdict import Decision, Terms, Verdict
from bodycam.protocols.http.machine import HttpMachine
from bodycam.session.link import AskDial, AskLook, AskUpgrade, DialDone, Looked, Upgraded
from tests.playbook.http_play import PROOF
from tests.playbook.play import CHALLENGE_CLEARTEXT, GRANT, Judging, Play

HOST = "api.example"
DIAL = Dial(HOST, 443, "", "", tls=TlsMode.VERIFY_FULL)
CONNECT = (
    f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\nProxy-Authorization: Basic {PROOF}\r\n\r\n".encode()
)
OVER_H2 = DialDone(secure=True, alpn="h2")
Fields = Iterable[tuple[str, str]]
OneEvent = TypeVar("OneEvent", bound=Event)


class ByPath(Judging):
    """Denies what is below /denied, has a person asked for what is below /asked, and allows the rest."""

    def __init__(self) -> None:
        super().__init__(self._said)
        self.facts: list[Any] = []

    def _said(self, operation: Operation) -> Verdict:
        self.facts.append(operation.facts)
        if "/denied" in operation.text:
            return Verdict(Decision.DENY, "no-secrets", "p1", "not this", "Ask for another.")
        if "/asked" in operation.text:
            return Verdict(Decision.PENDING, "ask", "p1", "a person decides", "Wait.", terms=Terms())
        return Verdict(Decision.ALLOW, "access", "p1")


class Peer:
    """A client or a target, and what it was told, by streams."""

    def __init__(self, *, client: bool) -> None:
        self.connection = H2Connection(
            H2Configuration(client_side=client, header_encoding="utf-8", validate_outbound_headers=False,
                            normalize_outbound_headers=False)
        )  # fmt: skip
        self.events: list[Event] = []
        self.left: tuple[int, int] | None = None
        self.hungry = True

    def hears(self, data: bytes) -> None:
        """Take bytes; a GOAWAY is kept apart, since the library goes no further behind one."""
        while data:
            size = 9 + int.from_bytes(data[:3], "big")
            frame, data = data[:size], data[size:]
            if frame[3] == 7:
                self.left = (int.from_bytes(frame[9:13], "big"), int.from_bytes(frame[13:17], "big"))
                continue
            for event in self.connection.receive_data(frame):
                self.events.append(event)
                if isinstance(event, DataReceived) and self.hungry and event.flow_controlled_length:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def of(self, kind: type[OneEvent], stream: int) -> list[OneEvent]:
        return [
            one for one in self.events if isinstance(one, kind) and getattr(one, "stream_id", 0) == stream
        ]

    def content(self, stream: int) -> bytes:
        return b"".join(one.data or b"" for one in self.of(DataReceived, stream))

    def head(self, stream: int) -> dict[str, str]:
        kind: type[Event] = ResponseReceived if self.connection.config.client_side else RequestReceived
        (found,) = self.of(kind, stream)
        return dict(found.headers)  # type: ignore[attr-defined]

    def trailers(self, stream: int) -> dict[str, str]:
        (found,) = self.of(TrailersReceived, stream)
        return dict(found.headers or [])  # type: ignore[arg-type]

    def reset(self, stream: int) -> int | None:
        found = self.of(StreamReset, stream)
        return int(found[0].error_code) if found else None


class Tunnel(Play):
    """A play behind its door: both sides have agreed on HTTP/2."""

    def __init__(self, **more: Any) -> None:
        self.rings: float | None = None
        self.dropped = 0
        more.setdefault("policy", ByPath())
        super().__init__(HttpMachine, **more)
        self.near, self.far = Peer(client=True), Peer(client=False)

    def alarm(self, seconds: float | None) -> None:
        self.rings = seconds

    def drop_target(self) -> None:
        self.dropped += 1
        self.target_box.discard()

    def established(self, dial: Dial = DIAL, first: bytes = b"") -> "Tunnel":
        """Up to the client's first byte of TLS."""
        self.client(CONNECT)
        self.answer(CHALLENGE_CLEARTEXT)
        self.answer(replace(GRANT, target=Target("web", "http"), database="", dial=dial))
        assert b"200" in self.client_gets()
        assert self.needs == [AskLook()]
        self.answer(Looked(tls=True, first=first))
        if not first:
            (asked,) = self.needs
            assert isinstance(asked, AskDial)
            assert asked.dial.alpn == ("h2", "http/1.1")
        return self

    def agreed(self, dial: Dial = DIAL, settings: dict[SettingCodes, int] | None = None) -> "Tunnel":
        """Both sides stand."""
        self.established(dial).answer(OVER_H2)
        assert self.needs == [AskUpgrade(HOST, ("h2", "http/1.1"))]
        self.answer(Upgraded("h2"))
        for peer in (self.near, self.far):
            peer.connection.initiate_connection()
        if settings:
            self.far.connection.update_settings(settings)  # type: ignore[arg-type]
        self.go()
        self.recorded()
        return self

    def go(self) -> None:
        """Let bytes go back and forth until nobody has anything to say."""
        moved = True
        while moved:
            moved = False
            if said := self.near.connection.data_to_send():
                self.client(said)
                moved = True
            if seen := self.target_sees():
                self.far.hears(seen)
                moved = True
            if said := self.far.connection.data_to_send():
                self.target(said)
                moved = True
            if got := self.client_gets():
                self.near.hears(got)
                moved = True

    def asks(self, path: str = "/", method: str = "GET", *fields: tuple[str, str], body: bytes | None = None,
             ends: bool = True) -> int:  # fmt: skip
        """The client asks; returns its stream."""
        stream = self.near.connection.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path), *fields]
        self.near.connection.send_headers(stream, head, end_stream=body is None and ends)
        if body is not None:
            self.near.connection.send_data(stream, body, end_stream=ends)
        self.go()
        return stream

    def answers(self, far: int, body: bytes = b"", *fields: tuple[str, str], status: str = "200",
                trailers: Fields = (), ends: bool = True) -> None:  # fmt: skip
        """The target answers on one of its streams."""
        trailers = list(trailers)
        self.far.connection.send_headers(far, [(":status", status), *fields])
        self.far.connection.send_data(far, body, end_stream=ends and not trailers)
        if trailers:
            self.far.connection.send_headers(far, trailers, end_stream=True)
        self.go()

    def asked(self) -> dict[str, int]:
        """The target's streams by their paths."""
        return {
            dict(one.headers)[":path"]: one.stream_id  # type: ignore[arg-type, index]
            for one in self.far.events
            if isinstance(one, RequestReceived)
        }

    def finished(self) -> list[tuple[int, str, str | None, Any]]:
        """The exchanges that have ended since the last look: number, outcome, status, error."""
        return [
            (number, body[0], body[4], body[5])
            for kind, number, body in self.recorded()
            if kind is Kind.FINISH and number
        ]

    def end(self) -> tuple[str, str]:
        """How the session ended."""
        (body,) = [body for kind, _, body in self.journal.entries if kind is Kind.CLOSED]
        return body["outcome"], body["reason"]


def raw(make: Callable[[H2Connection], None]) -> bytes:
    """What a client of its own would send, without its preface."""
    connection = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False,
                                              normalize_outbound_headers=False))  # fmt: skip
    connection.initiate_connection()
    connection.data_to_send()
    make(connection)
    return connection.data_to_send()
