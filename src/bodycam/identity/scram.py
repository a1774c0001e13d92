"""The server's side of one SCRAM-SHA-256 login (RFC 5802, RFC 7677) from a stored verifier."""

import hashlib
import hmac
from dataclasses import dataclass

from scramp import ScramException, ScramMechanism

from bodycam.identity.run_credentials import ITERATIONS, SALT_BYTES, Verifier

MAX_MESSAGE = 2048
_MECHANISM = ScramMechanism("SCRAM-SHA-256")


class ScramRefused(Exception):
    """The client's message is not SCRAM, or its proof is wrong; which one is not for the client."""


class ScramLogin:
    """One login: `first` takes client-first-message, `final` takes client-final-message, each once.

    The client's own user name in the exchange is not looked at: the protocol told the name before, and
    PostgreSQL's clients leave it empty
    (https://www.postgresql.org/docs/current/sasl-authentication.html).
    """

    def __init__(self, verifier: Verifier) -> None:
        keys = (verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations)
        self._server = _MECHANISM.make_server(lambda _name: keys)

    def first(self, data: bytes) -> bytes:
        """Answer client-first-message with server-first-message.

        Raises:
            ScramRefused: it is no such message, asks for channel binding, or comes a second time.
        """
        message = _text(data)
        header, bare = _split_header(message)
        try:
            if bare.startswith("n=,"):
                # scramp refuses an empty name; what both sides sign is still what the client sent
                self._server.set_client_first(f"{header}n=-,{bare.removeprefix('n=,')}")
                self._server.client_first_bare = bare
            else:
                self._server.set_client_first(message)
            return str(self._server.get_server_first()).encode()
        except ScramException as error:
            raise ScramRefused(str(error)) from error

    def final(self, data: bytes) -> bytes:
        """Check client-final-message and answer with server-final-message, the server's own proof.

        Raises:
            ScramRefused: the proof is wrong, or it is no such message, or `first` was not there before.
        """
        try:
            self._server.set_client_final(_text(data))
            return str(self._server.get_server_final()).encode()
        except ScramException as error:
            raise ScramRefused(str(error)) from error


@dataclass(frozen=True, slots=True)
class Decoys:
    """Verifiers for names that nobody has, so that a name can't be probed.

    `key` is the control process's secret: the same name gets the same salt each time, as a real one would.
    """

    key: bytes

    def verifier(self, name: str) -> Verifier:
        """A verifier that looks like a real one and that no secret fits."""
        return Verifier(
            salt=self._derive("salt", name)[:SALT_BYTES],
            iterations=ITERATIONS,
            stored_key=self._derive("stored key", name),
            server_key=self._derive("server key", name),
            digest=self._derive("digest", name),
        )

    def _derive(self, use: str, name: str) -> bytes:
        message = f"bodycam login decoy\0{use}\0{name}".encode("utf-8", "surrogatepass")
        return hmac.new(self.key, message, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    if len(data) > MAX_MESSAGE:
        raise ScramRefused(f"a SCRAM message of {len(data)} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScramRefused("a SCRAM message that is not UTF-8") from error


def _split_header(message: str) -> tuple[str, str]:
    parts = message.split(",", 2)
    if len(parts) < 3:
        raise ScramRefused("a SCRAM message without its header")
    return f"{parts[0]},{parts[1]},", parts[2]
