"""An SSH agent of the run's own: it holds one key and its certificates (draft-ietf-sshm-ssh-agent).

It answers two messages, the list of identities and a signature by one of them; whatever else is asked for, an
addition, a removal, a lock or an extension, is refused. So the child's clients can use the key and can't have
it, and it is gone with the run.
"""

import asyncio
import contextlib
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bodycam.run.beside import Beside

MESSAGE_LIMIT = 64 * 1024
"""Bytes of one message; what a client has signed when it logs in is a fiftieth of it."""

CONNECTIONS = 128
"""Of a child's at a time; more are closed at once, which clients take for an agent that has no key."""

IDLE_SECONDS = 600.0
"""How long a connection may say nothing."""

REPLY_SECONDS = 30.0

FAILURE = 5
REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14

_LENGTH = struct.Struct(">I")
_KEY_TYPE = b"ssh-ed25519"


class SshAgent:
    """Listens at a socket in a thread, as long as the `with` block lasts.

    `sign` gives the Ed25519 signature of some bytes (RFC 8032), and `blobs` are what it signs for: public
    keys and certificates as SSH writes them, all of that one key, in the order in which clients try them.
    """

    def __init__(self, path: Path, sign: Callable[[bytes], bytes], blobs: Sequence[bytes]) -> None:
        self._path, self._sign, self._blobs = path, sign, tuple(blobs)
        self._beside = Beside("ssh-agent")
        self._places = CONNECTIONS

    def offer(self, blobs: Sequence[bytes]) -> None:
        """What it offers and signs for from now on; any thread may say so."""
        self._blobs = tuple(blobs)

    def __enter__(self) -> Self:
        """Start to listen.

        Raises:
            OSError: there can be no socket at the path; one that is too long is among the reasons.
        """
        self._beside.start(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beside.stop()
        self._path.unlink(missing_ok=True)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_unix_server(
            self._client, self._path, limit=MESSAGE_LIMIT, backlog=CONNECTIONS
        )
        self._path.chmod(0o600)
        return server

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._places:
            writer.transport.abort()
            return
        self._places -= 1
        try:
            # the client went away, said nothing for long, or stopped to read
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            return  # the run is over
        finally:
            self._places += 1
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                if not 0 < length <= MESSAGE_LIMIT:
                    return
                message = await reader.readexactly(length)
            writer.write(_string(self.answer(message)))
            async with asyncio.timeout(REPLY_SECONDS):
                await writer.drain()

    def answer(self, message: bytes) -> bytes:
        """The answer to one message; both are without their length."""
        blobs = self._blobs
        if message == bytes([REQUEST_IDENTITIES]):
            listed = b"".join(_string(one) + _string(b"bodycam run") for one in blobs)
            return bytes([IDENTITIES_ANSWER]) + _LENGTH.pack(len(blobs)) + listed
        if message[0] == SIGN_REQUEST:
            asked = _sign_request(message[1:])
            if asked is not None and asked[0] in blobs:
                signature = _string(_KEY_TYPE) + _string(self._sign(asked[1]))
                return bytes([SIGN_RESPONSE]) + _string(signature)
        return bytes([FAILURE])


def _sign_request(rest: bytes) -> tuple[bytes, bytes] | None:
    """The key's blob and what is to be signed; None if the message is not exactly these two and the flags.

    The flags choose a hash for RSA keys and mean nothing for this one.
    """
    fields = []
    for _ in range(2):
        length = _LENGTH.unpack(rest[:4])[0] if len(rest) >= _LENGTH.size else len(rest)
        field, rest = rest[4 : 4 + length], rest[4 + length :]
        if len(field) < length:
            return None
        fields.append(field)
    return (fields[0], fields[1]) if len(rest) == _LENGTH.size else None


def _string(data: bytes) -> bytes:
    """A string as SSH writes it (RFC 4251 section 5)."""
    return _LENGTH.pack(len(data)) + data
