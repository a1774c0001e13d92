"""Keyed fingerprints of secrets: the same secret is known again, and nobody can guess it back.

Only keys and tokens of enough randomness get one. Whoever has the fingerprint key could try all card
numbers or words; they can't try all keys.
"""

import hashlib
import hmac
from typing import final

from bodycam.policy.detectors.rule import Rule
from bodycam.policy.detectors.secrets import entropy

SIZE = 16
_SHORTEST = 16
# bits in the whole value by Shannon's measure: sixteen random hexadecimal digits have about 50
_LEAST_BITS = 48.0


@final
class Fingerprints:
    """Makes fingerprints under one key (HMAC-SHA-256, RFC 2104, cut to 16 bytes).

    Of a `wanted` one the value is kept in `caught`, once it comes by.
    """

    __slots__ = ("_key", "_wanted", "caught")

    def __init__(self, key: bytes, wanted: str = "") -> None:
        if len(key) < 32:
            raise ValueError("a fingerprint key has at least 32 bytes")
        self._key, self._wanted = key, wanted
        self.caught: bytes | None = None

    def of(self, rule: Rule, value: bytes) -> str:
        """The fingerprint of what a rule found, 32 hexadecimal digits; empty for what could be guessed."""
        return self.of_value(value) if rule.secret else ""

    def of_value(self, value: bytes) -> str:
        """The same of a value that no rule found."""
        if len(value) < _SHORTEST or entropy(value) * len(value) < _LEAST_BITS:
            return ""
        made = hmac.digest(self._key, value, hashlib.sha256)[:SIZE].hex()
        if made == self._wanted:
            self.caught = value
        return made
