"""Random identifiers, shown as a prefix and lower-case base32 (RFC 4648, no padding).

Sessions carry 128 random bits, because the ledger publishes them; runs carry 80, because they must fit
beside an agent's name in a database's 63-byte application name.
"""

import base64
import secrets

RUN = "run"
SESSION = "ses"
SERVICE_ACCOUNT = "sva"
API_KEY = "key"
CONTAINER = "rec"
APPROVAL = "apr"
LEGAL_HOLD = "hld"
SIGN_IN = "sgn"

_SIZES = {
    RUN: 10,
    SESSION: 16,
    SERVICE_ACCOUNT: 10,
    API_KEY: 10,
    CONTAINER: 16,
    APPROVAL: 10,
    LEGAL_HOLD: 10,
    SIGN_IN: 10,
}


def new_id(prefix: str) -> str:
    """A fresh random identifier of the kind that `prefix` names, as `prefix_xxxx`."""
    return f"{prefix}_{encode(secrets.token_bytes(_SIZES[prefix]))}"


def raw(identifier: str) -> bytes:
    """The random bytes behind an identifier.

    Raises:
        ValueError: the text is not `prefix_base32`.
    """
    _, _, text = identifier.partition("_")
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError as error:
        raise ValueError(f"not an identifier: {identifier!r}") from error


def session_id(data: bytes) -> str:
    """The session identifier whose random bytes are `data`."""
    return f"{SESSION}_{encode(data)}"


def encode(data: bytes) -> str:
    """Lower-case base32 without padding."""
    return base64.b32encode(data).decode().rstrip("=").lower()
