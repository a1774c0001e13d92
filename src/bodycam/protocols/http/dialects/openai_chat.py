"""OpenAI's chat completions, and the older completions, as many servers speak them.

https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects import assembly, llm
from bodycam.protocols.http.dialects.assembly import Assembly, as_fields, as_list
from bodycam.protocols.http.dialects.dialect import AnswerReader, Piece
from bodycam.protocols.http.dialects.strict import field

# servers of models that reason put it here
_SPOKEN = ("content", "refusal", "reasoning_content", "reasoning")


@dataclass(frozen=True, slots=True)
class ChatDeltas:
    """Choices stand beside one another in the events, each with texts and calls of its own."""

    def pieces(self, event: object) -> list[Piece]:
        found: list[Piece] = []
        for at, one in enumerate(as_list(as_fields(event).get("choices"))):
            choice = as_fields(one)
            index = _index(choice, at)
            here: tuple[str | int, ...] = ("choices", at)
            _piece(found, (index, "text"), (*here, "text"), choice.get("text"))
            delta = as_fields(choice.get("delta"))
            for name in _SPOKEN:
                _piece(found, (index, name), (*here, "delta", name), delta.get(name))
            function = as_fields(delta.get("function_call")).get("arguments")
            _piece(found, (index, "function_call"), (*here, "delta", "function_call", "arguments"), function)
            for place, other in enumerate(as_list(delta.get("tool_calls"))):
                call = as_fields(other)
                key = (index, "call", _index(call, place))
                steps = (*here, "delta", "tool_calls", place)
                said = as_fields(call.get("function")).get("arguments")
                _piece(found, key, (*steps, "function", "arguments"), said)
                said = as_fields(call.get("custom")).get("input")
                _piece(found, (*key, "input"), (*steps, "custom", "input"), said)
        return found

    def ended(self, event: object) -> tuple[tuple[object, ...], ...]:
        choices = enumerate(as_list(as_fields(event).get("choices")))
        return tuple(
            (_index(as_fields(one), at),) for at, one in choices if as_fields(one).get("finish_reason")
        )

    def carrier(self, event: object, piece: Piece, text: str) -> object:
        # clients join what comes again, names of calls too: so nothing goes with it but where it belongs
        inner: object = text
        place: object = event
        places = [place := _step(place, step) for step in piece.steps[:-1]]
        for step, here in zip(reversed(piece.steps[2:]), reversed(places[1:]), strict=True):
            known = as_fields(here).get("index")
            if isinstance(step, int):
                inner = [inner]
            else:
                inner = {step: inner} if known is None else {"index": known, step: inner}
        choice = {"finish_reason": None, **as_fields(inner)}
        return {**as_fields(event), "choices": [choice], "usage": None}


@dataclass(frozen=True, slots=True)
class Completions:
    """`chat` tells the two apart; `deployment` is the model where the path names it."""

    chat: bool = True
    deployment: str = ""

    @property
    def name(self) -> str:
        return "openai.chat" if self.chat else "openai.completions"

    @property
    def deltas(self) -> ChatDeltas:
        return ChatDeltas()

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        return llm.facts(self.name, body, self._facts)

    def reader(self, media: str) -> AnswerReader:
        return assembly.reader(media, _event, _whole)

    def _facts(self, asked: Mapping[str, object]) -> llm.Asked:
        most = field(asked, "max_completion_tokens")
        if most is None:
            most = field(asked, "max_tokens")
        if not self.chat:
            return llm.Asked(
                model=llm.model(asked, self.deployment),
                messages=llm.count(field(asked, "prompt"), "prompt"),
                max_tokens=most,
            )
        messages = llm.objects(field(asked, "messages"), "messages")
        return llm.Asked(
            model=llm.model(asked, self.deployment),
            messages=len(messages),
            max_tokens=most,
            tools=(*llm.tools(field(asked, "tools")), *llm.tools(field(asked, "functions"))),
            system=any(field(one, "role") in ("system", "developer") for one in messages),
        )


def _whole(into: Assembly, body: object) -> None:
    answer = as_fields(body)
    _common(into, answer)
    for at, one in enumerate(as_list(answer.get("choices"))):
        choice = as_fields(one)
        index = _index(choice, at)
        message = as_fields(choice.get("message"))
        _said(into, index, choice, message)
        for place, other in enumerate(as_list(message.get("tool_calls"))):
            _called(into, (index, place), as_fields(other))
        _function(into, index, message)


def _event(into: Assembly, event: object) -> None:
    answer = as_fields(event)
    _common(into, answer)
    for at, one in enumerate(as_list(answer.get("choices"))):
        choice = as_fields(one)
        index = _index(choice, at)
        delta = as_fields(choice.get("delta"))
        _said(into, index, choice, delta)
        for place, other in enumerate(as_list(delta.get("tool_calls"))):
            call = as_fields(other)
            _called(into, (index, _index(call, place)), call)
        _function(into, index, delta)


def _common(into: Assembly, answer: Mapping[str, object]) -> None:
    into.named(answer.get("model"))
    into.failed(answer.get("error"))
    usage = as_fields(answer.get("usage"))
    into.used(usage.get("prompt_tokens"), usage.get("completion_tokens"))


def _said(into: Assembly, index: int, choice: Mapping[str, object], message: Mapping[str, object]) -> None:
    into.say(choice.get("text"), index)
    into.say(message.get("content"), index)
    for part in as_list(message.get("content")):
        into.say(as_fields(part).get("text"), index)
    into.say(message.get("refusal"), index)
    into.finished(choice.get("finish_reason"))


def _called(into: Assembly, key: tuple[int, int], call: Mapping[str, object]) -> None:
    for kind, said in (("function", "arguments"), ("custom", "input")):
        one = as_fields(call.get(kind))
        into.call(key, one.get("name"))
        into.argue(key, one.get(said))


def _function(into: Assembly, index: int, message: Mapping[str, object]) -> None:
    function = as_fields(message.get("function_call"))
    into.call((index, "function"), function.get("name"))
    into.argue((index, "function"), function.get("arguments"))


def _index(of: Mapping[str, object], otherwise: int) -> int:
    index = of.get("index")
    return index if isinstance(index, int) else otherwise


def _piece(found: list[Piece], key: tuple[object, ...], steps: tuple[str | int, ...], said: object) -> None:
    if isinstance(said, str) and said:
        found.append(Piece(key, steps, said))


def _step(place: object, step: str | int) -> object:
    return as_list(place)[step] if isinstance(step, int) else as_fields(place).get(step)
