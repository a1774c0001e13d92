"""What the control API asks of the archivist, and how it hears that the archivist is away."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class ArchivistAway(Exception):
    """The archivist does not answer, or not in time."""


class ArchivistRefused(Exception):
    """The archivist answered with an error; `code` is its own word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Settled:
    """Which sessions are sealed, which are not yet, and a signed head over the sealed ones."""

    sealed: tuple[str, ...]
    missing: tuple[str, ...]
    head: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entered:
    """An administrative act's place in the ledger, and the salt under which its details were hashed."""

    index: int
    salt: bytes


class Archivist(Protocol):
    """The archivist's verbs. Each raises ArchivistAway and ArchivistRefused."""

    @property
    def connected(self) -> bool:
        """Whether the line is up."""
        ...

    def transcript(self, session: str) -> AsyncIterator[Sequence[Any]]:
        """The decrypted events `[kind, at, exchange, body]` of a session, sealed or not, up to now."""
        ...

    async def head(self) -> dict[str, Any]:
        """The latest signed head of the ledger."""
        ...

    async def settle(self, sessions: Sequence[str], timeout: float) -> Settled:
        """Wait up to `timeout` seconds until these sessions are sealed."""
        ...

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof (RFC 9162, section 2.1.4) that the ledger of size `second` extends that of `first`."""
        ...

    async def enter(self, action: str, actor: str, object: str, detail: dict[str, Any]) -> Entered:  # noqa: A002
        """Put an act, as a salted hash, into the ledger."""
        ...

    async def retention_plan(self, within: float, limit: int) -> dict[str, Any]:
        """What retention would delete now and within so many seconds, `limit` recordings named at most."""
        ...

    async def retention_apply(self, actor: str, *, trust_clock: bool) -> dict[str, Any]:
        """Delete what is due, now, in somebody's name."""
        ...

    async def redaction_fingerprint(self, value: bytes) -> str:
        """The keyed fingerprint of a value; empty for what could be guessed."""

    async def redact(
        self,
        value: bytes,
        *,
        actor: str,
        reason: str,
        run: str | None,
        plan: bool,
        held: bool,
        wait: float,
    ) -> dict[str, Any]:
        """Take a value out of recordings, index and the catalog's own records; `plan` only says where it is.

        What is not sealed is waited for up to `wait` seconds.
        """

    async def settle_holds(self) -> None:
        """Return once nothing is deleted any more that legal holds of the catalog keep by now."""
        ...

    def evidence(self, run: str, kept: Sequence[int]) -> AsyncIterator[Any]:
        """How many sessions the run has, then its bundle of evidence, piece by piece.

        `kept` are the sizes of heads from which the bundle is to prove that the ledger only grew.
        """
        ...

    async def verify(self) -> dict[str, Any]:
        """Check recordings and ledger against each other."""
        ...

    async def status(self) -> dict[str, Any]:
        """The archivist's gauges and counters."""
        ...
