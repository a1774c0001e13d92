"""The gateway's end of a client's channel, which the client may close before its program has ended.

OpenSSH closes a channel as soon as nothing flows in either direction, and still takes the exit status after
that (RFC 4254, section 5.3: a channel is closed when both sides have said so). asyncssh answers the client's
close at once, and the status would be lost.
"""

import asyncio
from typing import Any, final

import asyncssh
from asyncssh.constants import MSG_CHANNEL_CLOSE
from asyncssh.packet import SSHPacket


@final
class ServerChannel(asyncssh.SSHServerChannel[bytes]):
    """A channel whose session says, by `close_waits`, whether the client's close is to be answered later."""

    _held: tuple[int, SSHPacket] | None = None

    @classmethod
    def plain(
        cls, conn: asyncssh.SSHServerConnection, loop: asyncio.AbstractEventLoop, window: int, packet: int
    ) -> "ServerChannel":
        """One that carries bytes as they are, without a line editor of asyncssh's."""
        editor = {"line_editor": False, "line_echo": False, "line_history": 0, "max_line_length": 0}
        form = {"encoding": None, "errors": "strict", "window": window, "max_pktsize": packet}
        return cls(conn, loop, allow_pty=True, **editor, **form)  # type: ignore[arg-type]

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:
        """Take a packet; a close is kept where the session wants it so."""
        if pkttype == MSG_CHANNEL_CLOSE and self._held is None:
            waits = getattr(self._session, "close_waits", None)
            if waits is not None and waits():
                self._held = pktid, packet
                # nobody reads it, and no window opens for it any more
                self._send_buf, self._send_buf_len = [], 0
                return True
        return super().process_packet(pkttype, pktid, packet)

    def _process_exec_request(self, packet: SSHPacket) -> bool:
        """Take a command; asyncssh refuses one that is no UTF-8 without a word to the session."""
        command = packet.get_string()
        packet.check_end()
        return self._start_session(command=command.decode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """Close it from this side, and answer the client's close if it has come."""
        super().close()
        held, self._held = self._held, None
        if held is not None:
            super().process_packet(MSG_CHANNEL_CLOSE, *held)

    def log_received_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Packets are in no log."""
