"""What the index keeps of an SSH exchange beside its command or path: of which kind it was, and its end."""

from collections.abc import Mapping
from typing import Any, Final

from bodycam.model.operation import Fact

EXIT, SIGNAL = "ssh.exit", "ssh.signal"
FACTS: Final = ("ssh.kind", "ssh.account", "file.action", "file.via", "shell.programs")
"""Facts of an operation that are kept."""
_LONGEST = 256


def kept(facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
    """What is kept of an operation's recorded facts and of how its program ended."""
    found: dict[str, Fact] = {}
    for name in FACTS:
        fact = facts.get(name)
        if isinstance(fact, list | tuple):
            fact = " ".join(str(one) for one in fact)
        if isinstance(fact, str) and fact:
            found[name] = fact[:_LONGEST]
    word, _, value = (tag or "").partition(" ")
    if word == "exit" and value.isdecimal() and len(value) <= 10:
        found[EXIT] = int(value)
    elif word == "signal" and value:
        found[SIGNAL] = value[:_LONGEST]
    return found
