"""What still has to be true of a caller's proof when something is done, not only when it was asked for."""

from sqlalchemy import Connection

from bodycam.api.caller import Proof, bad_credential, bad_token, signed_out
from bodycam.catalog import accounts, sign_ins
from bodycam.identity.api_keys import ProvedKey
from bodycam.identity.oidc.failure import Reason, TokenRefused
from bodycam.identity.oidc.providers import ProvedToken
from bodycam.identity.sign_ins import ProvedSignIn


def hold(connection: Connection, proof: Proof, now: int) -> None:
    """Make sure within a transaction that the proof is good at `now`, in microseconds, until it ends.

    A key that is revoked, an account that is disabled, or a sign-in that is ended, meanwhile: either that
    sees what this transaction did, or this transaction sees that. A token is good until it expires.

    Raises:
        ApiError: 401, it is not any more.
    """
    match proof:
        case ProvedKey(key=key):
            found = accounts.key_with_account(connection, key, hold=True)
            if found is None or not found[0].usable(now) or found[1].disabled is not None:
                raise bad_credential()
        case ProvedToken(provider=provider, expires=expires):
            if now >= expires * 1e6:
                raise bad_token(TokenRefused(Reason.EXPIRED, provider))
        case ProvedSignIn(id=name):
            kept = sign_ins.get_sign_in(connection, name, hold=True)
            if kept is None or not kept.live(now):
                raise signed_out()


def key_of(proof: Proof) -> str | None:
    """The id of the API key that it is, or None."""
    return proof.key if isinstance(proof, ProvedKey) else None
