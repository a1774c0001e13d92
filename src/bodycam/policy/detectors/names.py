"""The names that passwords and their like go by, and where in a text something may stand behind one."""

import re

import re2

# what they are called in statements, connection strings, settings and JSON; longer names may end with them
NAMES = (
    b"password",
    b"passwd",
    b"pwd",
    b"passphrase",
    b"api_key",
    b"api-key",
    b"apikey",
    b"access_token",
    b"access-token",
    b"accesstoken",
    b"secret_access_key",
    b"secretaccesskey",
    b"secret_key",
    b"secretkey",
)
# a word of every day too: counts only where an equals sign or a colon follows
WORDY = b"secret"
# MySQL's and Oracle's: IDENTIFIED [WITH plugin] BY 'x'
IDENTIFIED = b"identified"
# a password in a URL is not looked for beyond so many bytes
MAX_URL_PASSWORD = 4096

# the longest first: `secret` is the beginning of others
_ANY = b"|".join([*sorted((*NAMES, IDENTIFIED), key=lambda name: -len(bytes(name))), WORDY])
_NAME = re.compile(_ANY, re.IGNORECASE)
_ENDING = re.compile(rb"(?:" + _ANY.replace(b"|" + IDENTIFIED, b"") + rb")\Z", re.IGNORECASE)
_LONGEST = max(map(len, NAMES))
_URL_STOP = re.compile(rb"[\s'\"<>`|\\]")


def linear(pattern: bytes) -> "re2._Regexp":
    """A pattern of RE2, which looks at each byte once, whatever the text."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    options.never_capture = True
    return re2.compile(pattern, options)


def _spread(name: bytes) -> bytes:
    """Within constants a backslash may stand before each letter of a name."""
    return rb"\\*".join(re.escape(name[at : at + 1]) for at in range(len(name)))


_SPACES = rb"[ \t\n\r\f\v]*"
# a name and what can make it worth a look: a quote, a sign or a comment behind it
_HINT = linear(
    rb"(?:"
    + b"|".join(map(_spread, (*NAMES, WORDY)))
    + rb")`?"
    + _SPACES
    + rb"(?:[=:('\"$\\/-]|[enbx]\\*'|u\\*&)"
    rb"|" + _spread(IDENTIFIED) + _SPACES + rb"[wba\\/-]"
)
# a backslash ends a URL, but within a constant it may be one that escapes
_ADDRESS = linear(rb"://[^\s\v'\"<>`|@]*@")


def suspicious(folded: str) -> bool:
    """Whether a text, in lower case, is worth a closer look; False is certain.

    Asked of every statement and value: spelled out, because a loop costs more than the searches.
    """
    return (
        "pass" in folded
        or "pwd" in folded
        or ("://" in folded and "@" in folded)
        or "secret" in folded
        or "token" in folded
        or "api" in folded
        or "identified" in folded
    )


def name_end(text: bytes, start: int) -> int:
    """Where the name ends that begins at `start`; `start` itself if none does."""
    match = _NAME.match(text, start)
    return start if match is None else match.end()


def trailing_name(text: bytes) -> bytes:
    """The name, in lower case, with which `text` and perhaps a longer word end; empty if there is none."""
    match = _ENDING.search(text[-_LONGEST:])
    return b"" if match is None else match.group().lower()


class Hints:
    """Finds, in one text, the next place that is worth a look. Places are to be asked for in order."""

    __slots__ = ("_address", "_name", "_text", "_until", "_url_end")

    def __init__(self, text: bytes) -> None:
        self._text, self._until = text, len(text)
        self._name = self._address = self._url_end = -1

    def next(self, position: int) -> int:
        """Where, from `position` on, a name begins or the `://` of a URL with a password; else the end."""
        if self._name < position:
            found = _HINT.search(self._text, position)
            self._name = self._until if found is None else found.start()
        if self._address < position:
            self._address = self._next_address(position)
        return min(self._name, self._address)

    def url_end(self, position: int) -> int:
        """Where the URL that `position` stands in ends."""
        if self._url_end < position:
            stop = _URL_STOP.search(self._text, position)
            self._url_end = self._until if stop is None else stop.start()
        return self._url_end

    def _next_address(self, position: int) -> int:
        while (found := _ADDRESS.search(self._text, position)) is not None:
            start, end = int(found.start()), int(found.end())
            if end - start <= MAX_URL_PASSWORD + 3:
                return start
            # the sign is too far away from this one, but not from what may follow within the same run
            position = end - MAX_URL_PASSWORD - 3
        return self._until
