"""Anthropic's messages.

https://docs.anthropic.com/en/api/messages and .../messages-streaming
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects import assembly, llm
from bodycam.protocols.http.dialects.assembly import Assembly, as_fields, as_list
from bodycam.protocols.http.dialects.dialect import AnswerReader, Piece
from bodycam.protocols.http.dialects.strict import compact, field

# signatures of thoughts and citations are whole in one event
_PIECES: Final = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}


@dataclass(frozen=True, slots=True)
class MessageDeltas:
    """Blocks, by their index, each with pieces of one kind."""

    def pieces(self, event: object) -> list[Piece]:
        fields = as_fields(event)
        if fields.get("type") != "content_block_delta":
            return []
        delta = as_fields(fields.get("delta"))
        name = _PIECES.get(str(delta.get("type")))
        said = delta.get(name) if name is not None else None
        if name is None or not isinstance(said, str) or not said:
            return []
        return [Piece((_index(fields), name), ("delta", name), said)]

    def ended(self, event: object) -> tuple[tuple[object, ...], ...]:
        fields = as_fields(event)
        match fields.get("type"):
            case "content_block_stop":
                return ((_index(fields),),)
            case "message_delta" | "message_stop" | "error":
                return ((),)
        return ()

    def carrier(self, event: object, piece: Piece, text: str) -> object:
        fields = as_fields(event)
        delta: dict[str, object] = {**as_fields(fields.get("delta")), str(piece.steps[-1]): text}
        return {**fields, "delta": delta}


@dataclass(frozen=True, slots=True)
class Messages:
    """`counting` only asks how many tokens a request would have."""

    counting: bool = False

    @property
    def name(self) -> str:
        return "anthropic.count_tokens" if self.counting else "anthropic.messages"

    @property
    def deltas(self) -> MessageDeltas:
        return MessageDeltas()

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        return llm.facts(self.name, body, _facts)

    def reader(self, media: str) -> AnswerReader:
        return assembly.reader(media, _event, _message)


def _facts(asked: Mapping[str, object]) -> llm.Asked:
    messages = llm.objects(field(asked, "messages"), "messages")
    return llm.Asked(
        model=llm.model(asked),
        messages=len(messages),
        max_tokens=field(asked, "max_tokens"),
        tools=(*llm.tools(field(asked, "tools"), ()), *llm.tools(field(asked, "mcp_servers"), ())),
        system=bool(field(asked, "system")) or any(field(one, "role") == "system" for one in messages),
    )


def _event(into: Assembly, event: object) -> None:
    fields = as_fields(event)
    match fields.get("type"):
        case "message_start":
            _message(into, fields.get("message"))
        case "content_block_start":
            _block(into, _index(fields), as_fields(fields.get("content_block")))
        case "content_block_delta":
            delta = as_fields(fields.get("delta"))
            match delta.get("type"):
                case "text_delta":
                    into.say(delta.get("text"), _index(fields))
                case "input_json_delta":
                    into.argue(_index(fields), delta.get("partial_json"))
        case "message_delta":
            into.finished(as_fields(fields.get("delta")).get("stop_reason"))
            _usage(into, fields)
        case "error":
            into.failed(fields.get("error"))


def _message(into: Assembly, body: object) -> None:
    message = as_fields(body)
    into.named(message.get("model"))
    if message.get("type") == "error":
        into.failed(message.get("error"))
    for at, one in enumerate(as_list(message.get("content"))):
        _block(into, str(at), as_fields(one))
    into.finished(message.get("stop_reason"))
    into.used(message.get("input_tokens"), None)
    _usage(into, message)


def _block(into: Assembly, key: str, block: Mapping[str, object]) -> None:
    into.say(block.get("text"), key)
    if block.get("type") in ("tool_use", "server_tool_use", "mcp_tool_use"):
        into.call(key, block.get("name"))
        # a stream begins with an empty one, and the pieces follow
        if block.get("input"):
            into.argue(key, compact(block["input"]))


def _usage(into: Assembly, fields: Mapping[str, object]) -> None:
    usage = as_fields(fields.get("usage"))
    into.used(usage.get("input_tokens"), usage.get("output_tokens"))


def _index(fields: Mapping[str, object]) -> str:
    return str(fields.get("index"))
