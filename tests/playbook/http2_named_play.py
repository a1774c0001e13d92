"""A client that asks the gateway itself over HTTP/2 for targets by their names."""

from dataclasses import replace
from functools import partial
from typing import Any

from bodycam.model.target import Dial, Target, TlsMode
from bodycam.protocols.http.h2.machine import Http2Machine
from bodycam.session.link import AskChallenge, AskDial, AskOpen, DialDone
from tests.playbook.http2_play import OVER_H2, ByPath, Peer, Tunnel
from tests.playbook.http_play import PROOF
from tests.playbook.play import CHALLENGE_CLEARTEXT, GRANT, Play

GATE = "gateway.example"
DIAL = Dial("api.example", 443, "", "", tls=TlsMode.VERIFY_FULL)
OVER_H1 = DialDone(secure=True, alpn="http/1.1")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Named(Tunnel):
    """A client of named targets, past its TLS handshake."""

    def __init__(self, clock: Clock | None = None, **more: Any) -> None:
        self.rings: float | None = None
        self.dropped = 0
        more.setdefault("policy", ByPath())
        Play.__init__(self, partial(Http2Machine, clock=clock or Clock()), **more)
        self.near, self.far = Peer(client=True), Peer(client=False)
        self.near.connection.initiate_connection()
        self.targets: list[str] = []
        self.plain = False

    def admits(self, *, dial: Dial = DIAL, plain: bool = False) -> "Named":
        """Answer what the machine asks, until it asks nothing more."""
        while self.needs:
            match self.needs[0]:
                case AskChallenge():
                    self.answer(CHALLENGE_CLEARTEXT)
                case AskOpen(wanted=wanted):
                    self.targets.append(wanted.target)
                    self.answer(replace(GRANT, target=Target(wanted.target, "http"), database="", dial=dial))
                case AskDial():
                    self.plain = plain
                    self.far = Peer(client=False)
                    if not plain:
                        self.far.connection.initiate_connection()
                    self.answer(OVER_H1 if plain else OVER_H2)
                case _:
                    break
            self.go()
        return self

    def go(self) -> None:
        if not self.plain:
            super().go()
            return
        while (said := self.near.connection.data_to_send()) or (got := self.client_gets()):
            if said:
                self.client(said)
            else:
                self.near.hears(got)

    def asks(self, path: str = "/t/web/", method: str = "GET", *fields: tuple[str, str], body: bytes | None = None,
             ends: bool = True, proof: str = PROOF, scheme: str = "https") -> int:  # fmt: skip
        stream = self.near.connection.get_next_available_stream_id()
        head = [(":method", method), (":scheme", scheme), (":authority", GATE), (":path", path), *fields]
        if proof:
            head.append(("authorization", f"Basic {proof}"))
        self.near.connection.send_headers(stream, head, end_stream=body is None and ends)
        if body is not None:
            self.near.connection.send_data(stream, body, end_stream=ends)
        self.go()
        return stream

    def tells(self, data: bytes) -> None:
        """A target of HTTP/1.1 says."""
        self.target(data)
        self.go()

    def status(self, stream: int) -> str:
        return self.near.head(stream)[":status"]
