"""What the index keeps of an HTTP exchange beside its address: how it ended, and what was asked of whom."""

from collections.abc import Mapping
from typing import Any, Final

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects.dialect import Answer

STATUS: Final = "http.status"
FACTS: Final = ("llm.api", "llm.model", "llm.max_tokens", "llm.stream", "mcp.method", "mcp.tool")
"""Facts of an operation that are kept."""
ANSWERED_MODEL, TOKENS_IN, TOKENS_OUT, FINISH = (
    "llm.answered_model",
    "llm.tokens_in",
    "llm.tokens_out",
    "llm.finish",
)
_LONGEST = 256


def kept(facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
    """What is kept of an operation's recorded facts and the status that it ended with."""
    found: dict[str, Fact] = {}
    for name in FACTS:
        fact = facts.get(name)
        if isinstance(fact, str):
            found[name] = fact[:_LONGEST]
        elif isinstance(fact, int):
            found[name] = fact
    if tag is not None and tag.isdecimal() and len(tag) == 3:
        found[STATUS] = int(tag)
    return found


def learned(answer: Answer) -> Mapping[str, Fact]:
    """What a model's answer says of itself."""
    found: dict[str, Fact] = {}
    if answer.model:
        found[ANSWERED_MODEL] = answer.model[:_LONGEST]
    if answer.finish:
        found[FINISH] = answer.finish[:_LONGEST]
    if answer.tokens_in is not None:
        found[TOKENS_IN] = answer.tokens_in
    if answer.tokens_out is not None:
        found[TOKENS_OUT] = answer.tokens_out
    return found
