"""The credential of a run: one random secret, kept as one verifier for each mechanism.

The secret is a `secret_text` with the run's id, `bcr_<run id>_...`. SCRAM needs its own verifier (RFC 5802,
section 3).
"""

import hmac
import secrets
from dataclasses import dataclass, field

from scramp import ScramMechanism

from bodycam.identity import secret_text
from bodycam.model.ids import RUN

PREFIX = "bcr_"
ITERATIONS = 4096
SALT_BYTES = 16
_MECHANISM = ScramMechanism("SCRAM-SHA-256")


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is stored of a secret: enough to check it, not enough to log in with it."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """What the client of `bodycam run` gets, once: the name to claim and the password that proves it."""

    user: str
    secret: str = field(repr=False)


def issue(run: str) -> tuple[IssuedCredential, Verifier]:
    """Make the credential of a run; costs some milliseconds of CPU for the SCRAM verifier."""
    secret = secret_text.make(PREFIX, run)
    return IssuedCredential(run, secret), verifier_of(secret)


def verifier_of(secret: str, salt: bytes | None = None) -> Verifier:
    """The verifier of a secret, under a fresh salt unless one is given."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    salt, stored_key, server_key, iterations = _MECHANISM.make_auth_info(secret, ITERATIONS, salt)
    return Verifier(salt, iterations, stored_key, server_key, secret_text.digest_of(secret))


def matches(secret: str, verifier: Verifier) -> bool:
    """Whether `secret` is the one behind `verifier`, in a time that does not tell how nearly."""
    return hmac.compare_digest(secret_text.digest_of(secret), verifier.digest)


def run_of(secret: str) -> str | None:
    """The id of the run that a secret says it belongs to; None when it is no run credential at all."""
    return secret_text.name_in(secret, PREFIX, RUN)
