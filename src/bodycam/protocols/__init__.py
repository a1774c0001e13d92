"""The contract of a protocol: what one folder here must offer, and one line in `registry.py` plugs in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol as Interface

from bodycam.model.target import Dial, TlsMode
from bodycam.model.transcript import Transcript
from bodycam.net.opening import Look, TargetLook
from bodycam.session.link import Link, Machine


class Opening(Interface):
    """The first bytes of a client, looked at without taking them, so that TLS can still begin after them."""

    def look(self, peeked: bytes) -> Look: ...


class TargetOpening(Interface):
    """The first bytes towards a target, before TLS: what to send, and what the answer means."""

    def first(self) -> bytes | None:
        """What to send at once, then wait for one byte; None when there is nothing to ask."""

    def answered(self, byte: bytes) -> TargetLook: ...

    def refused(self) -> TargetLook:
        """The whole attempt (TLS or login) failed: another way, or the end."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol: its machine and what stands round it.

    `refuse(message, hint)` gives the bytes that tell a client, in its own protocol and before any login, why
    it is turned away. `alpn` are the names by which TLS knows the protocol (RFC 7301): a listener agrees to
    them when a client offers one. `language` is the one that its operations' texts are in, "" for none.
    """

    name: str
    opening: Callable[[bool], Opening]  # whether the listener offers TLS
    target_opening: Callable[[TlsMode], TargetOpening]
    machine: Callable[[Link], Machine]
    transcript: Transcript
    refuse: Callable[[str, str], bytes]
    alpn: tuple[str, ...] = ()
    language: str = ""


__all__ = ["Dial", "Opening", "Protocol", "TargetOpening"]
