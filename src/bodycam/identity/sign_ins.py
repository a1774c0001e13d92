"""Tokens of sign-ins in the browser: a `secret_text` with the sign-in's id, `bcs_<id>_...`."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from bodycam.catalog.sign_ins import SignIn
from bodycam.config.providers import Provider
from bodycam.config.settings import Settings
from bodycam.identity import secret_text
from bodycam.model.identity import Principal, PrincipalKind
from bodycam.model.ids import SIGN_IN, new_id

PREFIX = "bcs_"


@dataclass(frozen=True, slots=True)
class IssuedSignIn:
    """A new sign-in's token; `text` is given once, `digest` is what to store."""

    id: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProvedSignIn:
    """Whom a sign-in proved, at which provider, and until when (`expires`); times are Unix seconds.

    `signed_in` is when the person proved themselves to the provider, if it says so. `used` is when the
    sign-in was used last, to within a minute.
    """

    principal: Principal
    id: str
    provider: str
    expires: float
    signed_in: float | None
    used: float


def issue() -> IssuedSignIn:
    """A token for a new sign-in."""
    name = new_id(SIGN_IN)
    text = secret_text.make(PREFIX, name)
    return IssuedSignIn(name, text, secret_text.digest_of(text))


def name_in(text: str) -> str | None:
    """The id of the sign-in that `text` says it is; None when it is no such token."""
    return secret_text.name_in(text, PREFIX, SIGN_IN)


def proved(text: str, kept: SignIn | None, settings: Settings, now: float) -> ProvedSignIn | None:
    """Whom `text` proves at `now` in Unix seconds, if `kept` is its sign-in and is good under these settings.

    One of a provider that is gone from the settings, or is another one there than it was, proves nobody.
    """
    # the comparison is made for unknown ones too, so that the time tells nothing about ids
    right = hmac.compare_digest(secret_text.digest_of(text), bytes(32) if kept is None else kept.digest)
    if kept is None or not right or not good(kept, settings, now):
        return None
    return ProvedSignIn(
        Principal(kept.provider, kept.subject, PrincipalKind.HUMAN, kept.groups),
        kept.id,
        kept.provider,
        kept.expires / 1e6,
        None if kept.signed_in is None else kept.signed_in / 1e6,
        kept.used / 1e6,
    )


def good(kept: SignIn, settings: Settings, now: float) -> bool:
    """Whether a sign-in counts at `now`: not over, not idle for too long, its provider still the same."""
    if not kept.live(round(now * 1e6)) or now >= kept.used / 1e6 + settings.identity.sign_ins.idle:
        return False
    return any(kept.terms == terms_of(one) for one in _named(settings, kept.provider))


def terms_of(provider: Provider) -> bytes:
    """A hash of a provider's settings: what its sign-ins were made under."""
    return hashlib.sha256(provider.model_dump_json().encode()).digest()


def name_digest(provider: str, name: str) -> bytes:
    """What the sign-ins of somebody whom a provider names are found by."""
    digest = hashlib.sha256(b"bodycam sign-in name")
    for part in (provider.encode(), name.encode()):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def message_digest(provider: str, identifier: str) -> bytes:
    """What a provider's message is remembered by."""
    return hashlib.sha256(b"bodycam message" + name_digest(provider, identifier)).digest()


def _named(settings: Settings, name: str) -> Iterable[Provider]:
    return (one for one in settings.identity.providers if one.name == name)
