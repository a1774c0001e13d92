"""What is recorded of an operation's facts."""

from collections.abc import Mapping

from bodycam.model.operation import Fact
from bodycam.session.policing import Redaction


def clean(text: str, facts: Mapping[str, Fact], redaction: Redaction) -> bool:
    """Whether there is certainly no secret in an operation's text and facts: one look at all of them.

    A text with blanks, or with signs of equality outside a query, is looked at alone: standing before facts
    it would hide that one of them is a query.
    """
    if " " in text or ("=" in text and "?" not in text):
        return False
    texts: list[str] = [text]
    for fact in facts.values():
        if isinstance(fact, str):
            texts.append(fact)
        elif isinstance(fact, tuple):
            texts += fact
    return redaction.clean("\n".join(texts))


def kept(facts: Mapping[str, Fact], redaction: Redaction) -> Mapping[str, Fact]:
    """Facts with secrets taken out of their texts; the same ones where there are none."""
    if not facts or clean("", facts, redaction):
        return facts
    return {name: _kept(fact, redaction) for name, fact in facts.items()}


def _kept(fact: Fact, redaction: Redaction) -> Fact:
    if isinstance(fact, str):
        return redaction.redact(fact)[0]
    if isinstance(fact, tuple):
        return tuple([redaction.redact(word)[0] for word in fact])
    return fact
