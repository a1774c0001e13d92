"""The facts that requests to all language models have, and how they are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects.strict import Unclear, amount, called, field, mapping, read, yes

MOST_TOOLS: Final = 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request to a model says of itself; `max_tokens` as it stands there."""

    model: str = ""
    messages: int = 0
    max_tokens: object = None
    tools: tuple[str, ...] = ()
    system: bool = False


def facts(api: str, body: bytes, reading: Callable[[Mapping[str, object]], Asked]) -> Mapping[str, Fact]:
    """The facts of a request; what is no clear one has `llm.api` and `llm.unknown` only."""
    try:
        fields = mapping(read(body), "the body")
        asked = reading(fields)
        return {
            "llm.api": api,
            "llm.model": asked.model,
            "llm.stream": yes(field(fields, "stream"), "stream"),
            "llm.messages": asked.messages,
            "llm.tools": asked.tools,
            "llm.max_tokens": amount(asked.max_tokens, "the most tokens"),
            "llm.system": asked.system,
            "llm.unknown": "",
        }
    except Unclear as unclear:
        return {"llm.api": api, "llm.unknown": str(unclear)}


def model(fields: Mapping[str, object], deployment: str = "") -> str:
    """The model that is asked; where the path names a deployment, that one.

    Raises:
        Unclear: there is none.
    """
    named = field(fields, "model")
    return called(deployment, "the model") if deployment else called(named, "the model")


def objects(value: object, what: str) -> list[Mapping[str, object]]:
    """A list of objects.

    Raises:
        Unclear: it is something else.
    """
    if not isinstance(value, list):
        raise Unclear(f"{what} is no list")
    return [mapping(one, f"one of {what}") for one in value]


def count(value: object, what: str) -> int:
    """How many texts there are in what may be one or a list.

    Raises:
        Unclear: it is neither.
    """
    if isinstance(value, str):
        return 1
    if isinstance(value, list):
        # a list of numbers is one text, in tokens
        return 1 if value and all(isinstance(one, int) for one in value) else len(value)
    raise Unclear(f"{what} is neither a text nor a list")


def tools(value: object, kinds: Sequence[str] = ("function", "custom")) -> tuple[str, ...]:
    """The names of tools that the model may ask for; one that has none counts by its type.

    Raises:
        Unclear: one has neither.
    """
    if value is None:
        return ()
    names: list[str] = []
    for one in objects(value, "tools"):
        inner = next(
            (mapping(found, "a tool") for kind in kinds if (found := field(one, kind)) is not None), one
        )
        name = field(inner, "name")
        if name is None:
            name = field(one, "server_label")
            name = field(one, "type") if name is None else name
        names.append(called(name, "a tool"))
    if len(names) > MOST_TOOLS:
        raise Unclear("there are too many tools")
    return tuple(dict.fromkeys(names))
