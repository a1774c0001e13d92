"""A channel of SFTP between a client and a target that are played, and one story of all that happens, in its order."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.target import Target
from bodycam.model.verdict import Decision, Terms, Verdict
from bodycam.protocols.ssh.files import messages
from bodycam.protocols.ssh.files.approver import Then
from bodycam.protocols.ssh.files.codec import Packets, framed
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.files.messages import Code, Hello, Reply, Request, Type
from bodycam.protocols.ssh.files.relay import SftpRelay
from bodycam.session.session import Exchange
from tests.playbook.play import GRANT, Judging, MemoryJournal, Play

ANNOUNCED = ((b"posix-rename@openssh.com", b"1"), (b"limits@openssh.com", b"1"))


def judging(**by_verb: str) -> Judging:
    """A policy by verbs: `remove="deny"`, `write="pending"`; all others are allowed."""

    def said(operation: Operation) -> Verdict:
        decision = Decision(by_verb.get(operation.verb, "allow"))
        if decision is Decision.ALLOW:
            return Verdict(decision, "access", GRANT.policy)
        terms = Terms(wait=30) if decision is Decision.PENDING else None
        return Verdict(decision, "no-" + operation.verb, GRANT.policy, "not here", "Ask first.", terms=terms)

    return Judging(said)


class Desk:
    """Where approvals are asked for; `answers` holds what is not decided, by the number of the exchange."""

    def __init__(self) -> None:
        self.answers: dict[int, Then] = {}
        self.operations: list[Operation] = []
        self.given_up: list[int] = []

    def ask(self, exchange: Exchange, operation: Operation, then: Then) -> Callable[[], None]:
        self.answers[exchange.number] = then
        self.operations.append(operation)
        return lambda: self.given_up.append(exchange.number)


class _Told(MemoryJournal):
    """Adds what is recorded to a story."""

    def __init__(self, story: list[str]) -> None:
        super().__init__()
        self._story = story

    def append(self, session: int, exchange: int, kind: int, body: bytes) -> int:
        position = super().append(session, exchange, kind, body)
        line = told(*self.entries[-1])
        if line:
            self._story.append(line)
        return position


class Channel:
    """A channel whose exchange, the first, is open; `story` is what happened since it was last taken."""

    def __init__(self, **more: Any) -> None:
        self._story: list[str] = []
        play = Play(lambda play: _Nothing(), **more)  # type: ignore[arg-type, return-value]
        play.journal = _Told(self._story)
        self.journal = play.journal
        self.session = play.open(replace(GRANT, target=Target("build", "ssh"), database="", dial=None), {})
        self.exchange = self.session.request(Operation("sftp", ""))
        self.desk = Desk()
        self.to_client: list[bytes] = []
        self.to_target: list[bytes] = []
        self.begin()
        self.take()

    def begin(self) -> None:
        self.relay = SftpRelay(self.session, self.exchange, self._client, self._target, self.desk)

    def greet(self, home: bytes = b"/srv/app") -> "Channel":
        """The versions are agreed on; what led there is taken."""
        self.client(Hello(Type.INIT, 3))
        self.target(Hello(Type.VERSION, 3, ANNOUNCED))
        self.target(Reply(Type.NAME, 0, names=((home, home, messages.Attributes()),)))
        self.take()
        return self

    def client(self, *sent: Request | Hello | bytes) -> None:
        """The client sends."""
        self.relay.from_client(wire(*sent))

    def target(self, *sent: Reply | Hello | bytes) -> None:
        """The target sends."""
        self.relay.from_target(wire(*sent))

    def take(self) -> list[str]:
        """What happened since this was last asked."""
        story = self._story[:]
        self._story.clear()
        return story

    def opened(self, path: bytes, flags: int, handle: bytes = b"h0", number: int = 100) -> None:
        """A file is open; what led there is taken."""
        self.client(Request(Type.OPEN, number, path=path, flags=flags))
        self.target(Reply(Type.HANDLE, number, handle=handle))
        self.take()

    def _client(self, data: bytes) -> None:
        self.to_client.append(data)
        self._story += [f"client gets {said(packet)}" for packet in Packets("gateway").feed(data)]

    def _target(self, data: bytes) -> None:
        self.to_target.append(data)
        self._story += [f"target sees {said(packet)}" for packet in Packets("gateway").feed(data)]


class _Nothing:
    """The machine of a play that needs none."""


def wire(*sent: Request | Reply | Hello | bytes) -> bytes:
    """Packets behind their lengths; bytes are taken as they are."""
    return b"".join([one if isinstance(one, bytes) else framed(one.pack()) for one in sent])


def ok(number: int) -> Reply:
    return Reply(Type.STATUS, number, code=Code.OK, message=b"Success")


def eof(number: int) -> Reply:
    return Reply(Type.STATUS, number, code=Code.EOF, message=b"End of file")


def said(packet: bytes) -> str:
    """A packet in a few words."""
    if packet[0] in (Type.INIT, Type.VERSION):
        hello = messages.hello(packet, Type(packet[0]))
        names = [name.decode() for name, _ in hello.extensions]
        return " ".join([hello.kind.name, str(hello.version), *names])
    if packet[0] <= Type.SYMLINK or packet[0] == Type.EXTENDED:
        asked = messages.request(packet)
        words = [
            messages.named(asked.kind),
            str(asked.id),
            asked.extension,
            asked.path,
            asked.to,
            asked.handle,
        ]
        if asked.kind in (Type.READ, Type.WRITE):
            words.append(str(asked.offset))
        words.append(str(asked.length) if asked.length else asked.data)
    else:
        answer = messages.reply(packet)
        words = [messages.named(answer.kind), str(answer.id), answer.handle, answer.data]
        words += [name for name, _, _ in answer.names]
        if answer.kind is Type.STATUS:
            words += [str(answer.code), answer.message]
    texts = [one.decode("latin-1") if isinstance(one, bytes) else one for one in words]
    return " ".join([text for text in texts if text])


def told(kind: Kind, exchange: int, body: Any) -> str:
    """One event in a line, with the number of its exchange."""
    match kind:
        case Kind.REQUEST:
            verdict = f" {body[5][0]} by {body[5][1]}" if body[5] else ""
            return f"{exchange}: {body[0]} {body[1]}{verdict}"
        case Kind.TO_TARGET | Kind.TO_CLIENT:
            way = ">" if kind is Kind.TO_TARGET else "<"
            return f"{exchange}: {way} {body[2].decode('latin-1')}"
        case Kind.FINISH:
            error = f" {body[5]['code']}: {body[5]['message']}" if body[5] else ""
            return f"{exchange}: {body[0]}{error}"
        case Kind.NOTE:
            said = " ".join(
                f"{name}={value}" for name, value in body.items() if name not in ("note", "sha256")
            )
            return f"{exchange}: [{body['note']}] {said}"
        case _:
            return ""


def fault(act: Callable[[], None]) -> str:
    """What the fault says that this ends in."""
    try:
        act()
    except FilesFault as error:
        return str(error)
    raise AssertionError("it was taken")
