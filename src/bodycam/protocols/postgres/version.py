"""Which version of the protocol is spoken with a client, and what that changes.

Version 3.2 (PostgreSQL 18) has cancel keys with secrets of up to 256 bytes, and is else the same as 3.0; 3.1
was never used. A client that asks for a newer minor version, or for options that are not known, is told so
and may go on. https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import secrets
from dataclasses import dataclass

from bodycam.protocols.postgres import backend, frontend

MAJOR, NEWEST_MINOR = 3, 2
LONG_KEYS_FROM = 2

_SECRET_OF_3_0, _SECRET_SINCE_3_2 = 4, 32
_OPTION = "_pq_."


@dataclass(frozen=True, slots=True)
class Spoken:
    """The minor version that both sides speak, and what the client is told first, b"" for nothing."""

    minor: int
    told: bytes

    def new_cancel_key(self, process: int | None) -> bytes:
        """A secret of the gateway's own, as this version has them, behind the number of the target's process.

        Clients compare that number with the one in notifications and in `pg_stat_activity`, so it is the
        target's; one that gives none gets a number by chance.
        """
        # below 2**31, because clients show it as a positive number
        number = secrets.randbelow(1 << 31) if process is None else process
        size = _SECRET_SINCE_3_2 if self.minor >= LONG_KEYS_FROM else _SECRET_OF_3_0
        return number.to_bytes(4, "big") + secrets.token_bytes(size)


def served(startup: frontend.Startup) -> bool:
    """Whether there is a minor version to agree on at all."""
    return startup.major == MAJOR


def agreed(startup: frontend.Startup) -> Spoken:
    """What is spoken with a client of protocol 3."""
    minor = min(startup.minor, NEWEST_MINOR)
    unknown = [name for name in startup.parameters if is_option(name)]
    if minor == startup.minor and not unknown:
        return Spoken(minor, b"")
    return Spoken(minor, backend.negotiate_protocol_version(minor, unknown))


def is_option(name: str) -> bool:
    """Whether a startup parameter asks something of the protocol itself; none is known yet."""
    return name.startswith(_OPTION)
