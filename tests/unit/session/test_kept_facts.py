"""Facts as they are recorded: texts redacted, lists of them too."""

from collections.abc import Sequence

import cbor2
import pytest

from bodycam.policy.redaction import Redactor
from bodycam.session import encoding
from bodycam.session.kept_facts import clean, kept
from bodycam.session.masks import Sighting


class Stars:
    def redact(self, text: str) -> tuple[str, int]:
        return text.replace("secret", "***"), text.count("secret")

    def redact_bytes(self, value: bytes) -> tuple[bytes, int]:
        return value, 0

    def clean(self, text: str) -> bool:
        return not self.redact(text)[1]

    def redact_values(self, values: Sequence[bytes | None]) -> tuple[Sequence[bytes | None], int]:
        return values, 0

    def sightings(self, texts: Sequence[str | bytes]) -> Sequence[Sighting]:
        return ()


def test_facts_are_recorded_without_secrets_and_read_back() -> None:
    facts = {"tools": ("read", "a secret"), "none": (), "text": "secret", "count": -1, "yes": True}
    body = encoding.request("POST", "https://a/", (), kept(facts, Stars()), "statement", None, 0)

    assert cbor2.loads(body)[3] == {
        "tools": ["read", "a ***"], "none": [], "text": "***", "count": -1, "yes": True
    }  # fmt: skip


def test_facts_without_secrets_are_the_same_ones() -> None:
    facts = {"path": "/a", "names": ("b", "c"), "count": 1}
    assert kept(facts, Stars()) is facts


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("select 1", "sig=abcdefgh0123456789"),
        ("set a=b", "sig=abcdefgh0123456789"),
        ("https://a.test/?page=2", "sig=abcdefgh0123456789"),
        ("https://a.test/a", "password=hunter2hunter2"),
        ("https://a.test/?sig=abcdefgh0123456789", "harmless"),
    ],
)
def test_one_look_at_text_and_facts_hides_no_secret(text: str, fact: str) -> None:
    redactor = Redactor()
    assert not clean(text, {"kept": fact}, redactor)
    assert clean("https://a.test/?page=2", {"kept": "3"}, redactor)
