"""The stage for HTTP: a proxy's client, a target, and the gateway between them.

Beside law 1 it holds two more: nothing of a session goes out but through its record, and no credential is in
any recorded byte.
"""

import base64
from collections.abc import Mapping
from typing import Any

import cbor2

from bodycam.model.event import Flavor, Kind
from bodycam.model.target import Dial, Reach, Target, TlsMode
from bodycam.protocols.http.machine import HttpMachine
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.grant import Challenge, Grant, Method
from bodycam.session.link import (
    AskChallenge,
    AskDial,
    AskLook,
    AskOpen,
    AskUpgrade,
    DialDone,
    Looked,
    Upgraded,
)
from bodycam.session.session import Session
from tests.playbook.play import RUN, Play

SECRET = "bcr_the-runs-own-secret"
INJECTED = "the-targets-own-key"
PROVED = b"Proxy-Authorization: Basic " + base64.b64encode(f"{RUN.id}:{SECRET}".encode()) + b"\r\n"
BEARER = b"Authorization: Bearer " + SECRET.encode() + b"\r\n"
CHALLENGE = Challenge("login-1", Method.CLEARTEXT)
APPROVED = ApprovalSaid("apr_1", ApprovalState.APPROVED, by=("ada@corp",), reason="go")
DENIED = ApprovalSaid("apr_1", ApprovalState.DENIED, by=("ada@corp",), reason="not on a Friday")
PENDING = ApprovalSaid("apr_1", ApprovalState.PENDING, url="https://gate/approvals/apr_1")

NEVER_RECORDED = (SECRET.encode(), INJECTED.encode(), PROVED[27:-2])


def grant(*, reach: Reach = Reach.ANY, **dial: Any) -> Grant:
    """They may use `api.test`, in the clear."""
    return Grant(
        session="ses_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        run=RUN,
        target=Target("api", "http"),
        database="",
        policy="p1",
        dial=Dial("api.test", 80, "", "", **{"tls": TlsMode.DISABLE, "reach": reach, **dial}),
    )


def request(
    line: str = "GET http://api.test/a", *fields: str, body: bytes = b"", proved: bool = True
) -> bytes:
    """A request of a proxy's client."""
    host = line.partition("://")[2].partition("/")[0] or line.partition(" ")[2]
    head = [f"{line} HTTP/1.1", f"Host: {host}", *fields]
    return "\r\n".join(head).encode("latin-1") + b"\r\n" + (PROVED if proved else b"") + b"\r\n" + body


def response(*fields: str, body: bytes = b"", status: str = "200 OK", minor: int = 1) -> bytes:
    """A response with its length."""
    head = [f"HTTP/1.{minor} {status}", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


OK = response(body=b"ok")


class HttpPlay(Play):
    """One connection to the gateway's HTTP listener."""

    def __init__(self, *, given: Grant | None = None, head_seconds: float = 30.0, **more: Any) -> None:
        self.given = given or grant()
        self.alarms: list[float | None] = []
        self.drops = 0
        super().__init__(lambda link: HttpMachine(link, head_seconds=head_seconds), **more)

    # -- Link ------------------------------------------------------------------------------------

    def send_client(self, data: bytes) -> None:
        assert self.session is None or self.session.closed, "a session's answer that is not on the record"
        super().send_client(data)

    def send_target(self, data: bytes) -> None:
        raise AssertionError("HTTP has no login that a target gets past the record")

    def open(self, grant: Grant, claims: Mapping[str, str]) -> Session:
        self.client_gets()
        return super().open(grant, claims)

    def alarm(self, seconds: float | None) -> None:
        self.alarms.append(seconds)

    def drop_target(self) -> None:
        self.drops += 1
        self.target_box.discard()

    # -- the play --------------------------------------------------------------------------------

    def admit(self) -> "HttpPlay":
        """Answer whatever the machine asks of the gateway, until it asks nothing more that is ordinary."""
        while self.needs:
            match self.needs[-1]:
                case AskChallenge():
                    self.answer(CHALLENGE)
                case AskOpen():
                    self.answer(self.given)
                case AskDial():
                    self.answer(DialDone(secure=False))
                case AskLook():
                    self.answer(Looked(tls=True))
                case AskUpgrade(host=host):
                    self.answer(Upgraded(alpn="http/1.1", server_name=host))
                case _:
                    break
        return self

    def ask(self, need: Any) -> None:
        assert not self.needs, f"two needs at a time: {self.needs} and {need}"
        super().ask(need)

    def sends(self, *messages: bytes) -> "HttpPlay":
        """The client sends, and the gateway lets it in."""
        self.client(*messages)
        return self.admit()

    def exchange(self, asked: bytes = b"", answered: bytes = OK) -> bytes:
        """One request and its response; returns what the client got."""
        self.sends(asked or request())
        assert self.target_sees()
        return self.exchange_rest(answered)

    def exchange_rest(self, answered: bytes) -> bytes:
        """The target answers; returns what the client got."""
        self.target(answered)
        return self.client_gets()

    def story(self) -> list[str]:
        """What has been recorded since the last look, in short lines."""
        return [line for event in self.recorded() if (line := told(*event))]

    def outcomes(self) -> list[str]:
        """How exchanges and the session ended, since the last look."""
        return [line for line in self.story() if line.startswith(("finish", "closed"))]

    def check(self) -> None:
        """The laws, at the end."""
        for kind, _, body in self.journal.entries:
            encoded = cbor2.dumps(body)
            for secret in NEVER_RECORDED:
                assert secret not in encoded, f"a credential is in a recorded {kind.name}"
        sent = self.client_box.size + self.target_box.size
        self.client_gets(), self.target_sees()
        assert sent == 0 or self.client_box.size + self.target_box.size == 0, (
            "it waits for what is not recorded"
        )
        open_session = self.session is not None and not self.session.closed
        numbers = {number for kind, number, _ in self.journal.entries if kind is Kind.REQUEST}
        ends = [number for kind, number, _ in self.journal.entries if kind is Kind.FINISH and number]
        if not open_session:
            assert len(ends) == sum(kind is Kind.REQUEST for kind, _, _ in self.journal.entries)
        assert set(ends) <= numbers


def told(kind: Kind, exchange: int, body: Any) -> str:
    """One event in a line."""
    match kind:
        case Kind.REQUEST:
            verdict = f" {body[5][0]} by {body[5][1]}" if body[5] else ""
            return f"{body[0]} {body[1]}{verdict}"
        case Kind.TO_TARGET | Kind.TO_CLIENT:
            way = ">" if kind is Kind.TO_TARGET else "<"
            text = body[2].decode("latin-1")
            if body[0] == Flavor.HEAD:
                line, _, rest = text.partition("\r\n")
                content = rest.partition("\r\n\r\n")[2] if not rest.startswith("\r\n") else rest[2:]
                return f"{way} {line}" + (f" | {content}" if content else "")
            return f"{way} | {text}" if text else ""
        case Kind.FINISH:
            error = f": {body[5]['message']}" if body[5] else ""
            return f"finish {body[0]} {body[4] or '-'}{error}" if exchange else ""
        case Kind.NOTE:
            return f"note {body['note']}"
        case Kind.CLOSED:
            return f"closed {body['outcome']}" + (f": {body['reason']}" if body["reason"] else "")
        case _:
            return "opened"
