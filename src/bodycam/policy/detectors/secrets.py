"""Secrets: the rules of the package kingfisher-bin, read from the program that it installs.

Nothing of them is copied here. The program lists name, pattern, confidence and whether a match is shown by
itself; what it doesn't list, the least entropy and demands on characters, is decided here.
"""

import hashlib
import json
import math
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import kingfisher

from bodycam.policy.detectors.rule import Rule, Span, whole

GROUP = "secrets"
_DEADLINE = 60.0
# what is listed beside a secret because it belongs to it, and is none: `aws-access-key-id` needs no mask
_NO_SECRETS = re.compile(r"[.-](?:id|url|host|name|domain|username|address|repository|public-key|pub-key)\Z")
_NUMBERED = re.compile(r"\.[0-9]+\Z")
# a named group that is the secret, the closest first; other names stand for parts of the pattern
_TELLING = ("password", "GIT_PASSWORD", "TOKEN", "azure_appconfig_secret")
# bits for each character. A word has about 2.5 in eight letters, a random hex digit 4 at best
_LEAST_ENTROPY = {"high": 2.0, "medium": 2.8}
# keywords of every day before a value of any letters and digits: a hash in lower case is no such key
_LOOSE = re.compile(r"\(\?i:?\)?\(\?:(?:[a-z]+\|)*(?:secret|key)[|)]")
_EXTENDED = b"(?x)"
# RE2 counts to 1000 only; without an end it finds as much and more
_TOO_MANY = re.compile(rb"\{([0-9]{1,3}),[0-9]{4,}\}")
# two patterns without a word of their own took a scan as long as all others: of these, by the SHA-256 of what
# is listed, a part that stands in all that they match is looked for first. An unknown one only takes longer
PARTS = {
    "d3a4d0356cfbebd65acd0ef5fe4c332b89074916699b79305f96693f0b80f0e9": rb"(?i)[0-9][|%][0-9a-z_-]{27}",
    "2f4ae5a119e85cf8e6f946552307c2b0078a749aebf5f09a1f8e94cf7d150c0c": rb"[0-9A-Fa-f]{32}\.[0-9A-Za-z]{16}",
}


class RulesUnreadable(Exception):
    """The installed program did not list its rules; the message says why."""


def listed() -> list[dict[str, Any]]:
    """The rules as the installed program lists them, which takes about 0.3 s.

    Raises:
        RulesUnreadable: it can't be run, or answers in another form.
    """
    try:
        done = subprocess.run(
            [
                kingfisher.get_binary_path(),
                "--no-update-check",
                "--quiet",
                "rules",
                "list",
                "--format",
                "json",
            ],
            capture_output=True,
            timeout=_DEADLINE,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        rules = json.loads(done.stdout)
        plain = [{key: rule[key] for key in ("id", "pattern", "confidence", "visible")} for rule in rules]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise RulesUnreadable(
            f"the detector rules of kingfisher-bin could not be read ({type(error).__name__}); "
            "install the package anew"
        ) from error
    if not plain:
        raise RulesUnreadable("kingfisher-bin lists no rules; install the package anew")
    return plain


def name_of(identity: str) -> str:
    """`betterleaks.aws-access-token`, `veles.secrets/x.1` as `secrets.aws-access-token`, `secrets.x`."""
    short = identity.partition(".")[2].removeprefix("secrets/")
    return f"{GROUP}.{_NUMBERED.sub('', short).lower()}"


def rules(plain: Sequence[Mapping[str, Any]]) -> list[Rule]:
    """Rules for what `listed` gave; those for public names of things are left out."""
    return [
        _rule(one)
        for one in plain
        if one["visible"] or not _NO_SECRETS.search(_NUMBERED.sub("", str(one["id"])))
    ]


def _rule(plain: Mapping[str, Any]) -> Rule:
    text = str(plain["pattern"])
    pattern = text.encode()
    part = PARTS.get(hashlib.sha256(pattern).hexdigest(), b"")
    if pattern.startswith(_EXTENDED) and not re.search(rb"[\s#]", pattern):
        # RE2 has no such mode, and in a pattern without blanks it changes nothing
        pattern = pattern[len(_EXTENDED) :]
    pattern = _TOO_MANY.sub(rb"{\1,}", pattern)
    groups, password = _groups(text)
    if password:
        # a password in a URL may be a plain word; what stands there is one by its place
        return Rule(name_of(plain["id"]), pattern, groups, filter=part)
    least = _LEAST_ENTROPY.get(str(plain["confidence"]), 2.0)
    loose = _LOOSE.match(text) is not None

    def confirm(found: bytes) -> Span | None:
        start, end = unquoted(found)
        value = found[start:end]
        if entropy(value) < least or (loose and not _mixed(value)):
            return None
        return start, end

    return Rule(name_of(plain["id"]), pattern, groups, confirm, secret=True, filter=part)


def _groups(text: str) -> tuple[tuple[int, ...], bool]:
    """Which groups may hold the secret, and whether it is the password of a URL."""
    opened = [
        match.group(1) or ""
        for match in re.finditer(r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\((?:\?P?<(\w+)>|(?!\?))", text)
        if match.group().startswith("(")
    ]
    if not opened:
        return (0,), False
    for telling in _TELLING:
        if telling in opened:
            return (opened.index(telling) + 1,), telling != "TOKEN"
    if any(opened):
        return (0,), False
    return (*range(1, len(opened) + 1), 0), False


def unquoted(found: bytes) -> Span:
    """All of it but the quotes round it."""
    if len(found) > 2 and found[:1] in (b"'", b'"') and found[-1:] == found[:1]:
        return 1, len(found) - 1
    return whole(found)


def entropy(value: bytes) -> float:
    """Shannon's entropy of the value's bytes, in bits for each; 0 for nothing."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values()) if size else 0.0


def _mixed(value: bytes) -> bool:
    return (
        re.search(rb"[a-z]", value) is not None
        and re.search(rb"[A-Z]", value) is not None
        and re.search(rb"[0-9]", value) is not None
    )
