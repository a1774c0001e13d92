"""The contract of a protocol: what one folder here must offer, and one line in `registry.py` plugs in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol as Interface

from bodycam.model.operation import RequestFacts
from bodycam.model.target import Dial, TargetWants, TlsMode
from bodycam.model.telemetry import Wording
from bodycam.model.transcript import Transcript
from bodycam.net.opening import Look, TargetLook, Tls
from bodycam.session.link import Link, Machine


class Opening(Interface):
    """The first bytes of a client, looked at without taking them, so that TLS can still begin after them."""

    def look(self, peeked: bytes) -> Look: ...


class TargetOpening(Interface):
    """The first bytes towards a target, before TLS: what to send, and what the answer means."""

    def first(self) -> bytes | Tls | None:
        """What to send at once, then wait for one byte; Tls: begin at once; None: no TLS, nothing to ask."""

    def answered(self, byte: bytes) -> TargetLook: ...

    def refused(self) -> TargetLook:
        """The whole attempt (TLS or login) failed: another way, or the end."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol: its machine and what stands round it.

    `refuse(message, hint)` gives the bytes that tell a client, in its own protocol and before any login, why
    it is turned away. `alpn` are the names by which TLS knows the protocol (RFC 7301): a listener agrees to
    them when a client offers one. `language` is the one that its operations' texts are in, "" for none.
    `intercepts` says that its machine asks for TLS in a host's name (`AskUpgrade`), for which the gateway
    needs the interception CA.
    `host_key` says that its machine asks for the gateway's host key (`AskHostKey`), and its clients may show
    certificates of the runs' SSH CA.
    `settings` is what it makes of its targets' settings. `requests` says which facts of an operation are
    those that a target's `allow` is asked about; None where such a list means nothing.
    `greets` says that its server speaks first, so that nothing of the client is waited for.
    `machines` are those of clients that agree on one of the `alpn` names for which there is another.
    `load` imports what only a process with links needs, before there is one.
    `wording` says how its exchanges are told to those who trace; without it by verb and status alone.
    """

    name: str
    opening: Callable[[bool], Opening]  # whether the listener offers TLS
    target_opening: Callable[[TlsMode], TargetOpening]
    machine: Callable[[Link], Machine]
    transcript: Transcript
    refuse: Callable[[str, str], bytes]
    settings: TargetWants
    alpn: tuple[str, ...] = ()
    machines: Mapping[str, Callable[[Link], Machine]] = field(default_factory=dict)
    language: str = ""
    intercepts: bool = False
    host_key: bool = False
    requests: RequestFacts | None = None
    wording: Wording | None = None
    greets: bool = False
    load: Callable[[], None] = lambda: None


__all__ = ["Dial", "Opening", "Protocol", "TargetOpening", "TargetWants"]
