"""What both of the gateway's connections do alike with packets, so that each costs less."""

from typing import Any, Final

from asyncssh.connection import SSHConnection
from asyncssh.constants import MSG_IGNORE

from bodycam.protocols.ssh.quiet import QUIET, Quiet

_PIECE: Final = 34 * 1024
"""Bytes that asyncssh gets at a time: about one packet as large as they come. It copies all that it has and
has not read for each packet."""


class Packets(SSHConnection):
    """A connection that sends no empty packets beside those that carry something.

    asyncssh puts one before each packet, against an attack on CBC modes (RFC 4253, section 9.3.1), none of
    which is spoken here: it would be a good part of the cost of each packet.
    """

    @property
    def logger(self) -> Quiet:
        """Where it says what went wrong."""
        return QUIET

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Take what the peer sent."""
        if len(data) <= _PIECE:
            super().data_received(data)
            return
        for start in range(0, len(data), _PIECE):
            super().data_received(data[start : start + _PIECE])

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Send it, unless it is one of those."""
        if pkttype != MSG_IGNORE:
            # a channel would log it
            super().send_packet(pkttype, *args)

    def log_sent_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Nobody reads of it."""

    def log_received_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Nor of this."""
