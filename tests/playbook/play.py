"""A stage for one machine: what the client sends, what the target sees, what is recorded, in that order.

The journal here checks law 1 as it goes: whatever reaches a peer after the login was recorded before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2

from bodycam.model.event import Kind
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.model.operation import Operation
from bodycam.model.target import Dial, Target
from bodycam.model.verdict import Decision, Verdict
from bodycam.net.outbox import Outbox
from bodycam.session.grant import Challenge, Grant, Method
from bodycam.session.link import Answer, DialDone, Machine, Need
from bodycam.session.session import Session

RUN = Run(
    id="run_aaaaaaaaaaaaaaaa",
    principal=Principal("bodycam", "ci", PrincipalKind.SERVICE, frozenset({"dev"})),
    agent="billing-bot",
    expires=2e9,
)
GRANT = Grant(
    session="ses_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    run=RUN,
    target=Target("orders", "postgres"),
    database="orders",
    policy="p1",
    dial=Dial("127.0.0.1", 5432, "app", "orders", "hunter2"),
    proof=b"",
)


@dataclass
class MemoryJournal:
    """Keeps entries as tuples (kind, exchange, decoded body)."""

    entries: list[tuple[Kind, int, Any]] = field(default_factory=list)

    @property
    def pending(self) -> int:
        return len(self.entries)

    def append(self, session: int, exchange: int, kind: int, body: bytes) -> int:
        self.entries.append((Kind(kind), exchange, cbor2.loads(body)))
        return len(self.entries)


class NoRedaction:
    """Records everything as it is."""

    def redact(self, text: str) -> tuple[str, int]:
        return text, 0

    def redact_bytes(self, value: bytes) -> tuple[bytes, int]:
        return value, 0

    def clean(self, text: str) -> bool:
        return not self.redact(text)[1]

    def redact_values(self, values: Sequence[bytes | None]) -> tuple[Sequence[bytes | None], int]:
        return values, 0

    def body(self, media: Any, paths: Sequence[Any] = (), most: int = 0) -> None:
        return None

    def answered(self, media: Any) -> None:
        return None

    def sightings(self, texts: Sequence[str | bytes]) -> Sequence[Any]:
        return ()


class Judging:
    """A policy of one session, made of one function; and what it was told."""

    def __init__(self, said: Callable[[Operation], Verdict]) -> None:
        self._said = said
        self.version = ""
        self.rows = 0
        self.closed = False

    def open(self, grant: Grant) -> "Judging":
        self.version = grant.policy
        return self

    def decide(self, operation: Operation) -> Verdict:
        return self._said(operation)

    def moved(self, rows: int) -> None:
        self.rows += rows

    def binding(self, operation: Operation) -> bytes:
        return operation.text.encode()

    def effects(self, operation: Operation) -> None:
        return None

    def close(self) -> None:
        self.closed = True


class Allow(Judging):
    """Allows everything."""

    def __init__(self) -> None:
        super().__init__(lambda operation: Verdict(Decision.ALLOW, "access", GRANT.policy))


class Play:
    """The link of one machine, with lists for what leaves it."""

    def __init__(
        self,
        machine: Callable[["Play"], Machine],
        *,
        policy: Any = None,
        redaction: Any = None,
        masking: Any = None,
        message_limit: int = 1 << 20,
    ) -> None:
        self.secure, self.address, self.message_limit = True, "127.0.0.1:50000", message_limit
        self.message_seconds = 60.0
        self.journal = MemoryJournal()
        self.client_box, self.target_box = Outbox(), Outbox()
        self.policy, self.redaction = policy or Allow(), redaction or NoRedaction()
        self.masking = masking
        self.needs: list[Need] = []
        self.knocks: list[tuple[Dial, bytes]] = []
        self.keys: list[bytes] = []
        self.session: Session | None = None
        self.closed = self.is_ready = self.held = self.target_held = False
        self.strangers = self.dropped = 0
        self.alarms: list[float | None] = []
        self._seen = 0
        self.machine = machine(self)

    # -- Link ------------------------------------------------------------------------------------

    def send_client(self, data: bytes) -> None:
        self.client_box.append(data, 0)

    def send_target(self, data: bytes) -> None:
        self.target_box.append(data, 0)

    def ask(self, need: Need) -> None:
        self.needs.append(need)

    def open(self, grant: Grant, claims: Mapping[str, str]) -> Session:
        self.session = Session.opened(
            grant,
            journal=self.journal,
            opening=1,
            incarnation=b"\x01" * 16,
            address=self.address,
            claims=claims,
            version="test",
            policy=self.policy,
            redaction=self.redaction,
            masking=self.masking,
            client=self.client_box,
            target=self.target_box,
            unsent=lambda: (0, 0),
            on_close=lambda session: None,
        )
        return self.session

    def stranger(self) -> None:
        self.strangers += 1

    def ready(self) -> None:
        self.is_ready = True

    def register_cancel(self, key: bytes) -> None:
        self.keys.append(key)

    def knock(self, dial: Dial, data: bytes) -> None:
        self.knocks.append((dial, data))

    def hold_client(self, hold: bool) -> None:
        self.held = hold

    def hold_target(self, hold: bool) -> None:
        self.target_held = hold

    def alarm(self, seconds: float | None) -> None:
        self.alarms.append(seconds)

    def drop_target(self) -> None:
        self.dropped += 1

    def close(self) -> None:
        self.closed = True

    # -- the play --------------------------------------------------------------------------------

    def client(self, *messages: bytes) -> None:
        """The client sends."""
        self.machine.from_client(b"".join(messages))

    def target(self, *messages: bytes) -> None:
        """The target sends."""
        self.machine.from_target(b"".join(messages))

    def answer(self, answer: Answer) -> None:
        """The gateway answers the machine's last need."""
        self.needs.pop()
        self.machine.answer(answer)

    def client_gets(self) -> bytes:
        """All that has left for the client since the last look."""
        return b"".join(self.client_box.release(len(self.journal.entries)))

    def target_sees(self) -> bytes:
        """All that has left for the target since the last look."""
        return b"".join(self.target_box.release(len(self.journal.entries)))

    def recorded(self) -> list[tuple[Kind, int, Any]]:
        """The events recorded since the last look."""
        new = self.journal.entries[self._seen :]
        self._seen = len(self.journal.entries)
        return new


CHALLENGE_CLEARTEXT = Challenge("login-1", Method.CLEARTEXT)
CHALLENGE_SCRAM = Challenge("login-1", Method.SCRAM_SHA_256)
DIALLED = DialDone(secure=False)
