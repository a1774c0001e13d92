"""Why a message of a SAML provider proves nothing: the reason for the audit, and what the person is told."""

from enum import StrEnum


class Reason(StrEnum):
    """What is wrong with a message, in a word for the audit."""

    MALFORMED = "saml-malformed"
    TOO_LARGE = "saml-too-large"
    DTD = "saml-dtd"
    COMMENT = "saml-comment"
    STATUS = "saml-status"
    UNSIGNED = "saml-unsigned"
    SIGNATURE = "saml-signature"
    ALGORITHM = "saml-algorithm"
    WRAPPED = "saml-wrapped"
    ENCRYPTION = "saml-encryption"
    ISSUER = "saml-issuer"
    DESTINATION = "saml-destination"
    RECIPIENT = "saml-recipient"
    AUDIENCE = "saml-audience"
    UNSOLICITED = "saml-unsolicited"
    EXPIRED = "saml-expired"
    NOT_YET_VALID = "saml-not-yet-valid"
    REPLAYED = "saml-replayed"
    NO_SUBJECT = "saml-no-subject"
    ATTRIBUTES = "saml-attributes"
    REFUSED = "sign-in-refused"
    BROWSER = "sign-in-browser"
    PROVIDER_AWAY = "provider-away"


class SamlRefused(Exception):
    """A message proves nothing; `provider` is the one at whose address it came in.

    The text is for the person in the browser: it repeats nothing of the message.
    """

    def __init__(self, reason: Reason, provider: str = "") -> None:
        super().__init__(_SAID.get(reason, "what the identity provider sent can't be taken"))
        self.reason, self.provider = reason, provider

    @property
    def hint(self) -> str:
        """What to do about it."""
        return _HINTS.get(self.reason, "The audit says why, under login-failed, for admins and auditors.")


_SAID = {
    Reason.STATUS: "the identity provider did not sign you in",
    Reason.REFUSED: "the identity provider did not sign you in",
    Reason.EXPIRED: "what the identity provider sent is over",
    Reason.NOT_YET_VALID: "what the identity provider sent is not valid yet",
    Reason.REPLAYED: "this sign-in was used already",
    Reason.UNSOLICITED: "this is no answer to a sign-in that was begun here a short time ago",
    Reason.BROWSER: "this sign-in was not begun in this browser, or too long ago",
    Reason.NO_SUBJECT: "the identity provider does not say who you are in a way that lasts",
    Reason.PROVIDER_AWAY: "the identity provider's metadata can't be had: nobody can sign in there now",
}
_AGAIN = "Begin again at the gateway's own sign-in page, or with `bodycam login`."
_HINTS = {
    Reason.STATUS: "Try again, or ask those who run the identity provider.",
    Reason.REFUSED: "Try again, or ask those who run the identity provider.",
    Reason.EXPIRED: _AGAIN,
    Reason.NOT_YET_VALID: "Compare the clocks of the gateway and of the identity provider.",
    Reason.REPLAYED: _AGAIN,
    Reason.UNSOLICITED: _AGAIN,
    Reason.BROWSER: _AGAIN,
    Reason.NO_SUBJECT: "The provider has to give a persistent NameID, or the attribute that `subject` names.",
    Reason.PROVIDER_AWAY: "Try again in a moment; who is signed in stays so. The gateway's log says more.",
}
