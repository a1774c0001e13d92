"""What a session asks of policy: verdicts on its operations, and redaction of what is recorded of them."""

from collections.abc import Sequence
from typing import Any, Protocol

from bodycam.model.media import Media
from bodycam.model.operation import Operation
from bodycam.model.verdict import Verdict
from bodycam.session.grant import Grant
from bodycam.session.masks import BodyMasks, Recording, Sighting


class Judge(Protocol):
    """Judges the operations of one session, in their order; `version` is of the policy that it goes by."""

    @property
    def version(self) -> str: ...

    def decide(self, operation: Operation) -> Verdict: ...

    def moved(self, rows: int) -> None:
        """Rows went to or came from the target."""

    def binding(self, operation: Operation) -> bytes:
        """A hash of all that an approval of this operation is bound to."""

    def effects(self, operation: Operation) -> Any:
        """What it takes an operation to do, in terms that masks understand."""

    def close(self) -> None: ...


class Policy(Protocol):
    """The decision point, as a session asks it."""

    def open(self, grant: Grant) -> Judge: ...


class Redaction(Protocol):
    """Takes secrets out of what is recorded of a request; the target gets the real thing."""

    def redact(self, text: str) -> tuple[str, int]: ...

    def clean(self, text: str) -> bool:
        """Whether nothing in a text, or in a part of it, would be redacted; False tells nothing."""

    def redact_bytes(self, value: bytes) -> tuple[bytes, int]: ...

    def redact_values(self, values: Sequence[bytes | None]) -> tuple[Sequence[bytes | None], int]:
        """`redact_bytes` for all values of one message; the same object when nothing was redacted."""

    def body(self, media: Media, paths: Sequence[Any] = (), most: int = ...) -> BodyMasks | None:
        """What the record of a body from the client goes through; None for what is no text.

        JSON is masked at `paths`, those of the session's masks; `most` bytes of one unit are looked into.
        """

    def answered(self, media: Media) -> Recording | None:
        """What the record of an answer goes through besides its masks; None for what is no text."""

    def sightings(self, texts: Sequence[str | bytes]) -> Sequence[Sighting]:
        """What is in texts of which something was redacted: kinds of secrets that are known by their form."""
