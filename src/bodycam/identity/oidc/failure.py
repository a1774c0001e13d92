"""Why a token proves nothing: the reason for the audit, and what the one who showed it is told."""

from enum import StrEnum


class Reason(StrEnum):
    """What is wrong with a token, in a word for the audit."""

    MALFORMED = "token-malformed"
    ALGORITHM = "token-algorithm"
    TYPE = "token-type"
    ISSUER = "token-issuer"
    AUDIENCE = "token-audience"
    AUTHORIZED_PARTY = "token-authorized-party"
    UNKNOWN_KEY = "token-unknown-key"
    SIGNATURE = "token-signature"
    EXPIRED = "token-expired"
    NOT_YET_VALID = "token-not-yet-valid"
    NO_SUBJECT = "token-no-subject"
    CLAIMS = "token-claims"
    NONCE = "token-nonce"
    CODE = "token-code"
    NO_WORKLOAD = "token-no-workload"
    PROVIDER_AWAY = "provider-away"


class TokenRefused(Exception):
    """A token proves nobody; `provider` is whose it says it is, if that is one of ours.

    The text is for who showed the token: it repeats nothing of it.
    """

    def __init__(self, reason: Reason, provider: str = "") -> None:
        super().__init__(_SAID.get(reason, "the token is not valid"))
        self.reason, self.provider = reason, provider

    @property
    def hint(self) -> str:
        """What to do about it."""
        return _HINTS.get(self.reason, "The audit says why, under login-failed, for admins and auditors.")


class ProviderAway(Exception):
    """A provider can't be asked now; the text says why and names no secret."""


class ProviderRefuses(ProviderAway):
    """A provider answered, and what was asked for is not there or not given."""


_SAID = {
    Reason.EXPIRED: "the token has expired",
    Reason.NOT_YET_VALID: "the token is not valid yet",
    Reason.NO_WORKLOAD: "the gateway's settings take no workload with these claims",
    Reason.PROVIDER_AWAY: "the identity provider can't be reached, so that the token can't be checked",
}
_HINTS = {
    Reason.EXPIRED: "People sign in again with `bodycam login`; a workload takes a new token.",
    Reason.NOT_YET_VALID: "Compare the clocks of the gateway and of the identity provider.",
    Reason.NO_WORKLOAD: "identity.providers[].workloads says which are taken.",
    Reason.PROVIDER_AWAY: "Try again in a moment; what runs goes on. The gateway's log says what failed.",
}
