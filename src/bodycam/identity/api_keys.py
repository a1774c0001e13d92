"""API keys of service accounts: a `secret_text` with the key's id, `bca_<key id>_...`."""

import hmac
from dataclasses import dataclass, field
from typing import Protocol

from bodycam.identity import secret_text
from bodycam.identity.accounts import ServiceAccount
from bodycam.identity.scopes import Scopes
from bodycam.model.identity import Principal
from bodycam.model.ids import API_KEY, new_id

PREFIX = "bca_"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """An API key as the catalog keeps it, with the account it belongs to; times are Unix seconds."""

    id: str
    digest: bytes = field(repr=False)
    account: ServiceAccount
    expires: float | None = None
    revoked: bool = False
    scopes: Scopes | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new API key; `text` is shown once, `digest` is what to store."""

    id: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)
    expires: float | None


@dataclass(frozen=True, slots=True)
class ProvedKey:
    """Who an API key proved, which key it was, and its scopes; None is whatever its account may."""

    principal: Principal
    key: str
    scopes: Scopes | None = None


class KeyStore(Protocol):
    """Where API keys are kept."""

    async def stored_key(self, key: str) -> StoredKey | None:
        """The key with this id, revoked or not, or None."""
        ...


def issue(now: float, lifetime: float | None) -> IssuedKey:
    """Make a key that is good for `lifetime` seconds, or until it is revoked."""
    name = new_id(API_KEY)
    text = secret_text.make(PREFIX, name)
    return IssuedKey(name, text, secret_text.digest_of(text), None if lifetime is None else now + lifetime)


async def verify(text: str, store: KeyStore, now: float) -> ProvedKey | None:
    """Who `text` proves at `now` in Unix seconds; None when it is wrong, revoked, expired or disabled."""
    name = secret_text.name_in(text, PREFIX, API_KEY)
    stored = None if name is None else await store.stored_key(name)
    # the comparison is made for unknown keys too, so that the time tells nothing about ids
    expected = bytes(32) if stored is None else stored.digest
    right = hmac.compare_digest(secret_text.digest_of(text), expected)
    if stored is None or not right or stored.revoked or stored.account.disabled:
        return None
    if stored.expires is not None and now >= stored.expires:
        return None
    return ProvedKey(stored.account.principal(), stored.id, stored.scopes)
