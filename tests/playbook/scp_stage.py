"""The channel of an scp command between a client and a target that are played, with the same story as SFTP's."""

from typing import Any

from bodycam.protocols.ssh.files.scp import ScpRelay
from tests.playbook.sftp_stage import Channel


class ScpChannel(Channel):
    """A channel on which this command runs."""

    def __init__(self, command: str, **more: Any) -> None:
        self._command = command
        super().__init__(**more)

    def begin(self) -> None:
        relay = ScpRelay.of(self._command, self.session, self.exchange, self._client, self._target, self.desk)
        assert relay is not None
        self.scp = relay

    def client(self, *sent: Any) -> None:
        self.scp.from_client(b"".join(sent))

    def target(self, *sent: Any) -> None:
        self.scp.from_target(b"".join(sent))

    def _client(self, data: bytes) -> None:
        self.to_client.append(data)
        self._story.append(f"client gets {data.decode('latin-1')!r}")

    def _target(self, data: bytes) -> None:
        self.to_target.append(data)
        self._story.append(f"target sees {data.decode('latin-1')!r}")
