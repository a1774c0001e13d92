"""A provider's signing keys (RFC 7517): kept for some minutes, asked for anew when an unknown one appears."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from joserfc import jwk
from joserfc.errors import JoseError

from bodycam.identity.oidc.failure import ProviderAway
from bodycam.net.openid import NotOpenId, plain_object

log = structlog.get_logger(__name__)

MAX_JWKS = 256 * 1024
MAX_KEYS = 100
DEADLINE_SECONDS = 4.0
KEPT_SECONDS = 300.0
"""How long keys are used without asking again: so long a key that the provider took back may still count."""

RETRY_SECONDS = 2.0
"""How long nobody is asked again after a failure: meanwhile everybody gets the same answer at once."""

UNKNOWN_AT_ONCE = 3
UNKNOWN_SECONDS = 20.0
"""Unknown keys make us ask this often at once, and once more after each so many seconds."""

_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192
_USES = ("sig", "jwt-svid")  # a bundle of SPIFFE has keys for certificates too (JWT-SVID, section 6.1)
ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""The algorithms that are taken, each with the type and curve of its keys: only those with a public key."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key; `algorithm` is what the provider confines it to, or None."""

    id: str | None
    type: str
    curve: str | None
    algorithm: str | None
    key: jwk.Key

    def fits(self, kid: str | None, algorithm: str) -> bool:
        """Whether a token that names these can have been signed by it."""
        if (self.type, self.curve) != ALGORITHMS[algorithm]:
            return False
        return self.algorithm in (None, algorithm) and (kid is None or self.id == kid)


def read_keys(data: bytes) -> tuple[PublicKey, ...]:
    """The public signing keys of a key set; what is none, or is none for us, is left out.

    Raises:
        ProviderAway: it is no key set.
    """
    try:
        listed = plain_object(data).get("keys")
    except NotOpenId as error:
        raise ProviderAway(str(error)) from error
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ProviderAway(f"its keys are no list of at most {MAX_KEYS}")
    found = (_read(one) for one in listed)
    return tuple(one for one in found if one is not None)


class Keys:
    """The keys of one provider; `source` asks it. For one event loop. `monotonic` gives seconds."""

    def __init__(
        self,
        name: str,
        source: Callable[[], Awaitable[tuple[PublicKey, ...]]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._source, self._monotonic = name, source, monotonic
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched: float | None = None
        self._failed: tuple[float, ProviderAway] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._allowed, self._allowed_at = float(UNKNOWN_AT_ONCE), monotonic()

    async def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key that a token names, or the only one that fits if it names none; None if there is none.

        Raises:
            ProviderAway: the provider has to be asked, and does not answer within DEADLINE_SECONDS.
        """
        if self._fetched is None or self._monotonic() - self._fetched >= KEPT_SECONDS:
            await self._ask()
            return self._match(kid, algorithm)
        found = self._match(kid, algorithm)
        if found is None and (self._asking is not None or self._may_ask()):
            # the provider may have changed its keys a moment ago
            await self._ask()
            found = self._match(kid, algorithm)
        return found

    def _match(self, kid: str | None, algorithm: str) -> PublicKey | None:
        fitting = [one for one in self._keys if one.fits(kid, algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    def _may_ask(self) -> bool:
        now = self._monotonic()
        gained = (now - self._allowed_at) / UNKNOWN_SECONDS
        self._allowed, self._allowed_at = min(float(UNKNOWN_AT_ONCE), self._allowed + gained), now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    async def _ask(self) -> None:
        if self._failed is not None and self._monotonic() - self._failed[0] < RETRY_SECONDS:
            raise ProviderAway(str(self._failed[1]))
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._renew())
        # whoever gives up waiting must not take the others' answer away
        await asyncio.shield(self._asking)
        if self._failed is not None:
            raise ProviderAway(str(self._failed[1]))

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                self._keys = await self._source()
            self._fetched, self._failed = self._monotonic(), None
        except TimeoutError:
            self._fail(ProviderAway(f"it did not answer within {DEADLINE_SECONDS:g} seconds"))
        except ProviderAway as error:
            self._fail(error)
        finally:
            self._asking = None

    def _fail(self, error: ProviderAway) -> None:
        self._failed = (self._monotonic(), error)
        log.warning("an identity provider can't be asked for its keys", provider=self._name, error=str(error))


def _read(plain: Any) -> PublicKey | None:
    if not isinstance(plain, dict) or plain.get("use", "sig") not in _USES or "d" in plain:
        return None
    kind, curve = plain.get("kty"), plain.get("crv")
    kid, algorithm = plain.get("kid"), plain.get("alg")
    if (kind, None if kind == "RSA" else curve) not in ALGORITHMS.values():
        return None
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    if kind == "RSA" and not _long_enough(plain.get("n")):
        return None
    try:
        key = jwk.import_key({name: plain[name] for name in _PARTS[str(kind)]})
    except (JoseError, KeyError, ValueError, TypeError):
        return None
    return PublicKey(kid, str(kind), None if kind == "RSA" else curve, algorithm, key)


def _long_enough(modulus: Any) -> bool:
    # base64url: six bits a character
    return isinstance(modulus, str) and _MIN_RSA_BITS <= len(modulus) * 6 <= _MAX_RSA_BITS + 6


_PARTS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("kty", "n", "e"),
    "EC": ("kty", "crv", "x", "y"),
    "OKP": ("kty", "crv", "x"),
}
