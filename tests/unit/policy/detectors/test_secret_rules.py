"""Every rule that is installed finds what its own pattern describes; what only looks like it is left alone."""

import base64
import hashlib
import random
import uuid

import pytest

from bodycam.policy.detectors import secrets
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.detectors.rule import Rule
from tests.unit.policy.samples import sample

PLAIN = secrets.listed()
RULES = secrets.rules(PLAIN)
ATTEMPTS = 60


@pytest.fixture(scope="module")
def secret(patterns: Patterns) -> Matcher:
    return patterns.matcher(["secrets"])


def test_the_package_lists_rules_in_the_form_that_is_read() -> None:
    assert len(PLAIN) > 400
    assert len(RULES) > 400
    assert {"secrets.aws-access-token", "secrets.private-key", "secrets.jwt"} <= {rule.name for rule in RULES}


def test_what_is_public_by_its_nature_is_no_secret() -> None:
    names = {rule.name for rule in RULES}
    assert not names & {"secrets.azure-tenant-id", "secrets.supabase-project-url", "secrets.auth0-client-id"}


def test_re2_and_hyperscan_take_every_rule(patterns: Patterns) -> None:
    assert patterns.left_out == []
    assert {pattern.rule.name for pattern in patterns.chosen(["secrets"])} == {rule.name for rule in RULES}


@pytest.mark.parametrize("number", range(len(RULES)), ids=lambda number: f"{RULES[number].name}-{number}")
def test_a_rule_finds_what_its_pattern_describes(number: int, secret: Matcher) -> None:
    rule = RULES[number]
    chance = random.Random(number)
    for _ in range(ATTEMPTS):
        text = b"it is " + sample(rule.pattern, chance) + b"\n"
        hits = secret.find(text)
        if hits:
            # what is found is not all of the line, and nothing of it is left to be found
            assert text[: hits[0].start].startswith(b"it is ")
            return
    pytest.fail(f"{rule.name} finds none of its samples, such as {text!r}")


def harmless(chance: random.Random) -> list[bytes]:
    """Values as tables are full of, each of which somebody's rule has taken for a key."""
    words = ["order", "shipped", "key", "token", "secret", "api", "password", "customer", "status"]
    texts = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(300)]
    texts += [hashlib.sha1(str(n).encode()).hexdigest() for n in range(300)]
    texts += [hashlib.sha256(str(n).encode()).hexdigest() for n in range(300)]
    texts += [base64.b64encode(chance.randbytes(chance.randrange(12, 90))).decode() for _ in range(300)]
    texts += [f"{chance.choice(words)}: {hashlib.md5(str(n).encode()).hexdigest()}" for n in range(300)]
    texts += [" ".join(chance.choice(words) for _ in range(12)) for _ in range(300)]
    texts += [f"https://example.com/{chance.choice(words)}?id={chance.randrange(10**9)}" for _ in range(300)]
    return [text.encode() for text in texts]


def test_hashes_identifiers_and_words_are_no_secrets(secret: Matcher) -> None:
    found = [(text, secret.find(text)) for text in harmless(random.Random(7))]
    assert [(text, hits) for text, hits in found if hits] == []


@pytest.mark.parametrize(
    ("text", "secret_part", "name"),
    [
        (b"postgres://app:tr0ub4dor@db.internal/orders", b"tr0ub4dor", "secrets.generic-credential-uri"),
        (b"aws_secret_access_key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz0123AB'",
         b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz0123AB", "secrets.aws-secret-access-key"),
        (b"key AKIAIOSFODNN7ABCDEFG.", b"AKIAIOSFODNN7ABCDEFG", "secrets.aws-access-token"),
    ],
)  # fmt: skip
def test_only_the_secret_itself_is_found(secret: Matcher, text: bytes, secret_part: bytes, name: str) -> None:
    (hit,) = secret.find(text)
    assert text[hit.start : hit.end] == secret_part
    assert hit.rule.name == name


def test_each_of_two_that_stand_together_is_found(secret: Matcher) -> None:
    one, other = b"AKIAIOSFODNN7ABCDEFG", b"AKIAIOSFODNN7GFEDCBA"
    assert len(secret.find(one + b" " + other)) == 2
    assert len(secret.find(one + b"," + other)) == 2


def test_a_placeholder_has_too_little_randomness() -> None:
    rule = next(rule for rule in RULES if rule.name == "secrets.aws-access-token")
    assert rule.confirm(b"AKIA" + b"A" * 16) is None
    assert rule.confirm(b"AKIAIOSFODNN7ABCDEFG") == (0, 20)


def test_a_secret_has_its_name_from_the_rules_id() -> None:
    assert secrets.name_of("betterleaks.mem0-api-key.1") == "secrets.mem0-api-key"
    assert secrets.name_of("veles.secrets/npmjsaccesstoken") == "secrets.npmjsaccesstoken"


def test_the_secret_of_a_pattern_is_its_telling_group() -> None:
    def groups(pattern: str) -> tuple[int, ...]:
        plain = {"id": "x.y", "pattern": pattern, "confidence": "high", "visible": True}
        rule: Rule = secrets.rules([plain])[0]
        return rule.groups

    assert groups(r"abc[(]d") == (0,)
    assert groups(r"(?:a)(b)\(") == (1, 0)
    assert groups(r"(?P<user>a):(?P<password>b)@") == (2,)
    assert groups(r"(?P<alg>a)|(?P<kid>b)") == (0,)
