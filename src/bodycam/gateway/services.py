"""What a link needs of its worker."""

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from bodycam.journal.pressure import Pressure
from bodycam.model.target import Dial
from bodycam.session.grant import Grant
from bodycam.session.link import Answer, Link, Machine, Need
from bodycam.session.nesting import Carrier, Inner
from bodycam.session.session import Session

if TYPE_CHECKING:
    from bodycam.gateway.link import ProxyLink


class Journal(Protocol):
    """The part of the journal's writer that a link needs."""

    @property
    def released(self) -> int: ...

    @property
    def pending(self) -> int: ...

    @property
    def pressure(self) -> Pressure: ...

    def commit(self) -> None: ...


class Services(Protocol):
    """What a worker does for its links."""

    @property
    def journal(self) -> Journal: ...

    async def fulfil(self, link: "ProxyLink", need: Need) -> Answer:
        """Answer a need; raises nothing: what fails is a Refusal or DialFailed."""

    def open(self, link: "ProxyLink", grant: Grant, claims: Mapping[str, str]) -> Session: ...

    def stranger(self, link: "ProxyLink") -> None: ...

    def read(self, link: "ProxyLink") -> None:
        """It has taken what was read; `settle`, or `release` after a commit, comes soon, or at once."""

    def moved(self, link: "ProxyLink") -> None:
        """It has something else to commit or to release; the same comes soon, and never within this call."""

    def nest(
        self, link: "ProxyLink", machine: Callable[[Link], Machine] | str, carrier: Carrier
    ) -> Inner | None: ...

    def link_ready(self, link: "ProxyLink") -> None: ...

    def link_closed(self, link: "ProxyLink") -> None: ...

    def register_cancel(self, link: "ProxyLink", key: bytes) -> None: ...

    def knock(self, link: "ProxyLink", dial: Dial, data: bytes) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
