"""The credential that comes with a request: a proxy's client's, or one in place of the target's own."""

import binascii
from typing import Final, final

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import Fields

TOKEN_USER: Final = "token"  # noqa: S105 - a user name: what follows proves by itself whose it is
PROOF_MOST: Final = 32 * 1024

_AGENT: Final = "token/"
_KEYS: Final = (b"x-api-key", b"api-key", b"x-goog-api-key")


@final
class Credential:
    """What the control process is to be asked about: a claimed name and its proof."""

    __slots__ = ("name", "proof")

    def __init__(self, name: str, proof: bytes) -> None:
        self.name, self.proof = name, proof


def same(one: Credential | None, other: Credential | None) -> bool:
    """Whether both are the same credential; none is no one's."""
    if one is None or other is None:
        return False
    return one is other or (one.name == other.name and one.proof == other.proof)


def proxy_credential(fields: Fields) -> Credential | None:
    """What a proxy's client proves itself by (RFC 9110, section 11.7.2); None where it brings nothing.

    Raises:
        BadMessage: it is nothing that can be read.
    """
    return _from(fields, b"proxy-authorization")


def target_credential(fields: Fields) -> tuple[Credential | None, frozenset[bytes]]:
    """What a client of a named target proves itself by, and the names of the fields that it stands in.

    Clients of APIs put their key where the API wants it, and some in several places; so ours is taken from
    there too.

    Raises:
        BadMessage: it is nothing that can be read.
    """
    for name in (b"proxy-authorization", b"authorization"):
        found = _from(fields, name)
        if found is not None:
            return found, _holding(fields, found.proof) | {name}
    for name in _KEYS:
        key = fields.get(name)
        if key:
            return Credential(TOKEN_USER, key), _holding(fields, key)
    return None, frozenset()


def _holding(fields: Fields, proof: bytes) -> frozenset[bytes]:
    return frozenset(
        name
        for name in (b"authorization", *_KEYS)
        for value in fields.every(name)
        if value == proof or value.endswith(b" " + proof)
    )


def _from(fields: Fields, name: bytes) -> Credential | None:
    value = fields.get(name)
    if not value:
        return None
    scheme, _, text = value.partition(b" ")
    text = text.strip()
    if len(text) > PROOF_MOST:
        raise BadMessage(f"the credential in {name.decode()} is too long")
    match scheme.lower():
        case b"basic":
            return _basic(text, name)
        case b"bearer" if text:
            return Credential(TOKEN_USER, text)
    raise BadMessage(f"{name.decode()} is of a scheme other than Basic and Bearer")


def _basic(text: bytes, name: bytes) -> Credential:
    try:
        user, colon, secret = binascii.a2b_base64(text, strict_mode=True).partition(b":")
        claimed = user.decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadMessage(f"the Basic credential in {name.decode()} is not base64 of user:password") from error
    if not colon:
        raise BadMessage(f"the Basic credential in {name.decode()} is not base64 of user:password")
    # who acts is proved by the secret alone; only an agent's name is a choice
    return Credential(claimed if claimed.startswith(_AGENT) else TOKEN_USER, secret or user)
