"""Finds credentials in the queries of URLs, wherever such stand: in a path, a header or a statement.

A query is `name=value` pairs parted by `&` (https://url.spec.whatwg.org/#urlencoded-parsing); one that stands
alone is told by how the text begins.
"""

from typing import Final
from urllib.parse import unquote_to_bytes

from bodycam.policy.detectors import fields
from bodycam.policy.detectors.effort import Span
from bodycam.policy.detectors.names import linear
from bodycam.policy.detectors.passwords import Found
from bodycam.policy.detectors.values import REDACTED

MOST: Final = 4096
"""Places of one text that are looked at; what follows them counts as a credential."""

_HINTS: Final = (
    *("sig", "token", "key", "secret", "pass", "pwd", "auth", "code", "cred", "jwt", "otp", "session"),
    *("ticket", "assertion", "verifier", "saml", "hmac", "sas", "%"),
)
# RE2 looks at each byte once, whatever the text
_NAME: Final = rb"[\w.~%+\[\]-]*"
# an ampersand as HTML may write it; a semicolon alone parts other lists, whose values end there
_PAIR: Final = linear(
    rb"(?:^|[?#]|&(?:amp;|#38;|#x26;)?)"
    + _NAME
    + b"(?:"
    + "|".join(_HINTS).encode()
    + b")"
    + _NAME
    + rb"=[^\s&\"'<>#`\\]+"
)
# beside what forms have: what signs a URL (AWS SigV4, Azure SAS, Google), and OAuth's
_ENDINGS: Final = (
    *(b"signature", b"securitytoken", b"accesskey", b"authkey", b"usertoken", b"apitoken", b"authtoken"),
    *(b"ticket", b"sessionid", b"sessionkey", b"subscriptionkey", b"sharedkey"),
)
_NAMES: Final = frozenset((b"sig", b"auth", b"code", b"credential", b"hmac", b"sas", b"key"))
# a short value under such a name is a choice or a page, as in ?key=name
_ORDINARY: Final = frozenset((b"key", b"code"))
_SHORT: Final = 16
_LONGEST: Final = 80
"""Bytes of a name, from its end, that are looked at."""


def suspicious(folded: str) -> bool:
    """Whether a text, in lower case, is worth a closer look; False is certain."""
    sign = folded.find("=")
    if sign < 0:
        return False
    if "?" not in folded and "&" not in folded and "#" not in folded:
        # a query that stands alone, of one pair
        folded = folded[:sign]
        if " " in folded:
            return False
    for hint in _HINTS:  # noqa: SIM110 - a generator costs as much as the question
        if hint in folded:
            return True
    return False


def find(text: bytes) -> Found:
    """Where values of credentials stand in queries."""
    spans: list[Span] = []
    for count, match in enumerate(_PAIR.finditer(text)):
        if count == MOST:
            return Found(spans, match.start())
        name, _, value = match.group().partition(b"=")
        named = unquote_to_bytes(name.lstrip(b"?&#").rpartition(b";")[2][-_LONGEST:])
        if value != REDACTED and _credential(named, len(value)):
            spans.append((match.end() - len(value), match.end()))
    return Found(spans)


def _credential(name: bytes, size: int) -> bool:
    plain = name.lower().translate(None, b"_-. \t+[]")
    if plain in _ORDINARY:
        return size >= _SHORT
    return plain in _NAMES or plain.endswith(_ENDINGS) or fields.credential(plain)
