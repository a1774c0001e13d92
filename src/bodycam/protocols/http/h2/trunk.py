"""What the streams of one link have in common, as each of them sees it."""

from typing import TYPE_CHECKING, Protocol

from bodycam.protocols.http.h2.end import End
from bodycam.protocols.http.h2.endpoint import Endpoint
from bodycam.protocols.http.injected import Injected
from bodycam.session.link import Link
from bodycam.session.session import Session

if TYPE_CHECKING:
    from bodycam.protocols.http.h2.stream import Stream


class Trunk(Protocol):
    """What all streams of one link share."""

    @property
    def link(self) -> Link: ...

    @property
    def session(self) -> Session: ...

    @property
    def client(self) -> Endpoint: ...

    @property
    def target(self) -> End: ...

    @property
    def injected(self) -> Injected | None:
        """The credentials that the gateway adds to requests."""

    def enter(self, stream: "Stream") -> None:
        """Let it have a stream at the target, at once or once there is room (`Stream.send`)."""

    def entered(self, stream: "Stream") -> None:
        """It has one."""

    def over(self, stream: "Stream", *, well: bool) -> None:
        """It is done with; `well` says that both ways came to their end."""
