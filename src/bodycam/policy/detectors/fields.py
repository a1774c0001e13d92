"""The names of fields in JSON and forms whose values are credentials, however they are written."""

from typing import Final

_ENDINGS: Final = (
    *(b"password", b"passwd", b"pwd", b"passphrase", b"apikey", b"secret", b"secretkey"),
    *(b"accesstoken", b"refreshtoken", b"idtoken", b"authtoken", b"sessiontoken", b"bearertoken"),
    *(b"secretaccesskey", b"clientsecret", b"privatekey", b"clientassertion", b"codeverifier", b"csrftoken"),
)
_NAMES: Final = frozenset(
    {
        *(b"pass", b"token", b"authorization", b"assertion", b"devicecode", b"samlresponse", b"subjecttoken"),
        *(b"actortoken", b"jwt", b"otp", b"totp", b"credentials", b"newpass", b"oldpass"),
    }
)
HINTS: Final = (
    *(b"pass", b"pwd", b"secret", b"token", b"key", b"auth", b"assertion", b"verifier", b"code", b"saml"),
    *(b"jwt", b"otp", b"credential"),
)


def hinted(text: bytes) -> bool:
    """Whether such a name may stand in a text; False is certain, but for names that are escaped."""
    folded = text.lower()
    return any(hint in folded for hint in HINTS)


def credential(name: bytes) -> bool:
    """Whether what stands under this name is a credential."""
    plain = name.lower().translate(None, b"_-. \t")
    return plain.endswith(_ENDINGS) or plain in _NAMES
