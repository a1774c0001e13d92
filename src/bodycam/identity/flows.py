"""A sign-in under way: what is known of it travels in a sealed cookie of the browser that began it.

So nothing is kept for those who only begin one, whoever they are and however many; and who has no such cookie
can't bring a provider's answer here.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECONDS = 600.0
"""How long a person has for signing in at the provider."""

_NONCE, _MAC, _RANDOM, _MAX_COOKIE = 12, 16, 16, 3000


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A `bodycam login` that waits on this machine: its port, its state, and what its verifier hashes to."""

    port: int
    state: str
    challenge: str


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in under way at a provider.

    `request` is the identifier that its answer has to name; `verifier` is PKCE's. `until` is Unix seconds.
    """

    provider: str
    request: str
    until: float
    verifier: str = field(default="", repr=False)
    command: CommandLine | None = None


class Flows:
    """Makes and reads what travels; `key` is 32 secret bytes, `wall` gives Unix seconds."""

    def __init__(self, key: bytes, *, wall: Callable[[], float] = time.time) -> None:
        self._seal = AESGCM(hashlib.sha256(b"bodycam flow seal" + key).digest())
        self._mac_key = hashlib.sha256(b"bodycam flow request" + key).digest()
        self._wall = wall

    def begin(self, provider: str, command: CommandLine | None = None) -> Flow:
        """A new sign-in."""
        until = int(self._wall() + SECONDS)
        fresh = until.to_bytes(5, "big") + secrets.token_bytes(_RANDOM)
        request = f"_{_text(fresh + self._mac(provider, fresh))}"
        return Flow(provider, request, until, secrets.token_urlsafe(48), command)

    def ours(self, provider: str, request: str) -> bool:
        """Whether we made this identifier for that provider, and it is not too old."""
        try:
            plain = _bytes(request.removeprefix("_"))
        except ValueError:
            return False
        fresh, mac = plain[:-_MAC], plain[-_MAC:]
        if len(fresh) != 5 + _RANDOM or not hmac.compare_digest(mac, self._mac(provider, fresh)):
            return False
        return self._wall() < int.from_bytes(fresh[:5], "big")

    def sealed(self, flow: Flow) -> str:
        """A flow as its browser keeps it."""
        nonce = secrets.token_bytes(_NONCE)
        return _text(nonce + self._seal.encrypt(nonce, json.dumps(asdict(flow)).encode(), None))

    def unsealed(self, text: str) -> Flow | None:
        """The flow that `sealed` wrote; None if it is none of ours, or too old."""
        if not text or len(text) > _MAX_COOKIE:
            return None
        try:
            data = _bytes(text)
            plain = json.loads(self._seal.decrypt(data[:_NONCE], data[_NONCE:], None))
            command = plain.pop("command")
            flow = Flow(**plain, command=None if command is None else CommandLine(**command))
        except (ValueError, InvalidTag, KeyError, TypeError):
            return None
        return flow if self._wall() < flow.until else None

    def _mac(self, provider: str, fresh: bytes) -> bytes:
        return hmac.digest(self._mac_key, fresh + provider.encode(), "sha256")[:_MAC]


def relay_of(flow: Flow) -> str:
    """What travels along as RelayState or `state`: tied to the flow, and no more than 80 bytes long."""
    return _text(hashlib.sha256(b"bodycam relay" + flow.request.encode() + flow.verifier.encode()).digest())


def nonce_of(flow: Flow) -> str:
    """The nonce of an ID token."""
    return _text(hashlib.sha256(b"bodycam nonce" + flow.verifier.encode()).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64url") from error
