"""DSSE envelopes, version 1, with one Ed25519 signature.

https://github.com/secure-systems-lab/dsse/blob/master/envelope.md and protocol.md beside it.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

IN_TOTO: Final = "application/vnd.in-toto+json"


class BadEnvelope(ValueError):
    """The bytes are no envelope."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, what it says to be, and the signatures over both by the ids of their keys."""

    kind: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def holds(self, key: Ed25519PublicKey) -> bool:
        """Whether one of the signatures is that of `key`; ids of keys are hints and prove nothing."""
        return any(_verifies(key, signature, self) for _, signature in self.signatures)


def pae(kind: str, payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of payload and type."""
    named = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(named), named, len(payload), payload)


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, in hexadecimal."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def signed(kind: str, payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """The envelope over a payload, as JSON."""
    signature = key_id(key.public_key()), key.sign(pae(kind, payload))
    return _encode(Envelope(kind, payload, (signature,)))


def read(data: bytes) -> Envelope:
    """The envelope in these bytes, whoever signed it.

    Others' envelopes may be written otherwise; of ours not a blank may differ.

    Raises:
        BadEnvelope: they are none, or not in the form in which `signed` writes them.
    """
    try:
        match json.loads(data):
            case {"payload": str(payload), "payloadType": str(kind), "signatures": [_, *_] as found}:
                signatures = tuple((str(one.get("keyid", "")), _bytes(one["sig"])) for one in found)
                envelope = Envelope(kind, _bytes(payload), signatures)
                if _encode(envelope) != data:
                    raise BadEnvelope("not a DSSE envelope in the form that was written")
                return envelope
    except BadEnvelope:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadEnvelope(f"not a DSSE envelope: {error!r}") from error
    raise BadEnvelope("not a DSSE envelope: it lacks payload, payloadType or signatures")


def _encode(envelope: Envelope) -> bytes:
    signatures = [{"keyid": key, "sig": _text(signature)} for key, signature in envelope.signatures]
    plain = {"payload": _text(envelope.payload), "payloadType": envelope.kind, "signatures": signatures}
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _verifies(key: Ed25519PublicKey, signature: bytes, envelope: Envelope) -> bool:
    try:
        key.verify(signature, pae(envelope.kind, envelope.payload))
    except InvalidSignature:
        return False
    return True


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
