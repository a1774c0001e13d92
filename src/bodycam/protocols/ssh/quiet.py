"""asyncssh's log, asked first whether anybody reads it: it makes several lines of text for each packet.

Packets are in no log, whatever its level: they carry what sessions hold, and secrets of logins.
"""

import logging
from typing import Any, final

from asyncssh.logging import SSHLogger


@final
class Quiet(SSHLogger):
    """A logger for what is done for each packet of a connection and its channels."""

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log it, where anybody reads that level."""
        if self._logger.isEnabledFor(level):
            super().log(level, msg, *args, **kwargs)

    def info(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """What is asked for is on the record, and not in a log: command lines have secrets in them."""

    def debug1(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Steps of a connection are not logged."""

    def debug2(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Nor are details of them."""

    def packet(self, pktid: int | None, packet: bytes, msg: str, *args: Any, **kwargs: Any) -> None:
        """Nor are packets."""


QUIET = Quiet(logging.getLogger("asyncssh"))
