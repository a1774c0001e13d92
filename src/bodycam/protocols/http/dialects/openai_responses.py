"""OpenAI's responses.

https://platform.openai.com/docs/api-reference/responses and .../responses-streaming
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects import assembly, llm
from bodycam.protocols.http.dialects.assembly import Assembly, as_fields, as_list
from bodycam.protocols.http.dialects.dialect import AnswerReader, Piece
from bodycam.protocols.http.dialects.strict import compact, field

# the text of these is no text of the model's
_NOT_SPOKEN: Final = ("response.audio.delta", "response.image_generation_call.partial_image")
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "error")
_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input", "mcp_call": "arguments"}


@dataclass(frozen=True, slots=True)
class ResponseDeltas:
    """`response.output_text.delta` and its like, each ended by one with `done`."""

    def pieces(self, event: object) -> list[Piece]:
        fields = as_fields(event)
        kind, said = fields.get("type"), fields.get("delta")
        if not isinstance(kind, str) or not kind.endswith(".delta") or kind in _NOT_SPOKEN:
            return []
        if not isinstance(said, str) or not said:
            return []
        return [Piece(_key(fields, kind.removesuffix(".delta")), ("delta",), said)]

    def ended(self, event: object) -> tuple[tuple[object, ...], ...]:
        fields = as_fields(event)
        kind = fields.get("type")
        if not isinstance(kind, str):
            return ()
        if kind in _ENDS:
            return ((),)
        return (_key(fields, kind.removesuffix(".done")),) if kind.endswith(".done") else ()

    def carrier(self, event: object, piece: Piece, text: str) -> object:
        return {**as_fields(event), "delta": text}


@dataclass(frozen=True, slots=True)
class Responses:
    """`deployment` is the model where the path names it."""

    deployment: str = ""

    @property
    def name(self) -> str:
        return "openai.responses"

    @property
    def deltas(self) -> ResponseDeltas:
        return ResponseDeltas()

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        return llm.facts(self.name, body, self._facts)

    def reader(self, media: str) -> AnswerReader:
        return assembly.reader(media, _event, _response)

    def _facts(self, asked: Mapping[str, object]) -> llm.Asked:
        given = field(asked, "input")
        spoken = [as_fields(one) for one in as_list(given)]
        system = bool(field(asked, "instructions"))
        return llm.Asked(
            model=llm.model(asked, self.deployment),
            messages=0 if given is None else llm.count(given, "input"),
            max_tokens=field(asked, "max_output_tokens"),
            tools=llm.tools(field(asked, "tools"), ()),
            system=system or any(field(one, "role") in ("system", "developer") for one in spoken),
        )


def _event(into: Assembly, event: object) -> None:
    fields = as_fields(event)
    kind = fields.get("type")
    index = str(fields.get("output_index"))
    match kind:
        case "response.output_text.delta" | "response.refusal.delta":
            into.say(fields.get("delta"), (index, str(fields.get("content_index"))))
        case "response.output_item.added" | "response.output_item.done":
            item = as_fields(fields.get("item"))
            said = _CALLS.get(str(item.get("type")))
            if said is not None:
                into.call(index, item.get("name"))
            if said is not None and kind == "response.output_item.done":
                into.argued(index, item.get(said))
        case (
            "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta"
            | "response.mcp_call_arguments.delta"
        ):
            into.argue(index, fields.get("delta"))
        case "response.created" | "response.completed" | "response.incomplete" | "response.failed":
            response = as_fields(fields.get("response"))
            if into.spoken:
                _closing(into, response)
            else:
                _response(into, response)
        case "error":
            into.failed(fields.get("error") or fields)


def _response(into: Assembly, body: object) -> None:
    response = as_fields(body)
    _closing(into, response)
    for at, one in enumerate(as_list(response.get("output"))):
        item = as_fields(one)
        for part in as_list(item.get("content")):
            said = as_fields(part)
            into.say(said.get("text") or said.get("refusal"), str(at))
        arguments = _CALLS.get(str(item.get("type")))
        if arguments is not None:
            into.call(str(at), item.get("name"))
            whole = item.get(arguments)
            into.argue(str(at), whole if isinstance(whole, str) or whole is None else compact(whole))


def _closing(into: Assembly, response: Mapping[str, object]) -> None:
    into.named(response.get("model"))
    into.failed(response.get("error"))
    if response.get("status") != "in_progress":
        why = as_fields(response.get("incomplete_details")).get("reason")
        into.finished(why or response.get("status"))
    usage = as_fields(response.get("usage"))
    into.used(usage.get("input_tokens"), usage.get("output_tokens"))


def _key(fields: Mapping[str, object], kind: str) -> tuple[object, ...]:
    # an id is not the same in every event of some servers; the places are
    places = (fields.get(name) for name in ("output_index", "content_index", "summary_index"))
    return (kind, *(str(place) for place in places))
