"""The Model Context Protocol over HTTP: JSON-RPC 2.0 in POSTs, and answers whole or as events.

Streamable HTTP: https://modelcontextprotocol.io/specification/2025-06-18/basic/transports; batches are of
2025-03-26. HTTP with SSE, where answers come on a stream of their own: .../2024-11-05/basic/transports.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bodycam.model.operation import Fact
from bodycam.protocols.http.dialects import assembly
from bodycam.protocols.http.dialects.assembly import Assembly, as_fields, as_list
from bodycam.protocols.http.dialects.dialect import AnswerReader, Deltas
from bodycam.protocols.http.dialects.strict import Unclear, called, compact, field, mapping, read

MOST_BATCH: Final = 256
"""Messages of a batch; more are not told apart."""

MOST_ARGUMENTS: Final = 16 << 10
"""Characters of a call's arguments; where there are more, `mcp.arguments` is left out."""


@dataclass(frozen=True, slots=True)
class _Said:
    """One message: its method ("" for an answer to the server), and the tool that it calls."""

    method: str
    id: str
    tool: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Mcp:
    """`asks` is false for what has no body: the stream of the server's own messages, the session's end."""

    asks: bool = True

    @property
    def name(self) -> str:
        return "mcp"

    @property
    def deltas(self) -> Deltas | None:
        return None

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        try:
            if not self.asks:
                if body.strip():
                    raise Unclear("there is a body where none belongs")
                return _facts([], batch=0)
            value = read(body)
            if not isinstance(value, list):
                return _facts([_message(value)], batch=0)
            if not 0 < len(value) <= MOST_BATCH:
                raise Unclear("a batch has no messages, or too many")
            return _facts([_message(one) for one in value], batch=len(value))
        except Unclear as unclear:
            return {"mcp.unknown": str(unclear)}

    def reader(self, media: str) -> AnswerReader:
        return assembly.reader(media, _take, _take)


def _facts(said: list[_Said], *, batch: int) -> dict[str, Fact]:
    """Where several tools are called there is no `mcp.tool`, so that a rule that reads it denies."""
    calls = [one for one in said if one.tool]
    facts: dict[str, Fact] = {
        "mcp.methods": tuple(dict.fromkeys(one.method for one in said if one.method)),
        "mcp.tools": tuple(dict.fromkeys(one.tool for one in calls)),
        "mcp.batch": batch,
        "mcp.unknown": "",
    }
    if len(said) <= 1:
        facts["mcp.method"] = said[0].method if said else ""
        facts["mcp.id"] = said[0].id if said else ""
    if len(calls) <= 1:
        facts["mcp.tool"] = calls[0].tool if calls else ""
        arguments = calls[0].arguments if calls else ""
        if len(arguments) <= MOST_ARGUMENTS:
            facts["mcp.arguments"] = arguments
    return facts


def _message(value: object) -> _Said:
    fields = mapping(value, "a message")
    if field(fields, "jsonrpc") != "2.0":
        raise Unclear("a message is not of JSON-RPC 2.0")
    known = field(fields, "id")
    if not (known is None or isinstance(known, str | int)) or isinstance(known, bool):
        raise Unclear("an id is neither a text nor a number")
    name = "" if known is None else str(known).encode("utf-8", "replace").decode()[:256]
    method, params = field(fields, "method"), field(fields, "params")
    answers = field(fields, "result") is not None or field(fields, "error") is not None
    if method is None:
        if not answers:
            raise Unclear("a message has no method")
        return _Said("", name)
    if answers:
        raise Unclear("a message asks and answers at once")
    method = called(method, "the method")
    if method.strip().casefold() != "tools/call":
        return _Said(method, name)
    if method != "tools/call":
        raise Unclear("tools/call is written in other letters")
    asked = mapping(params, "what is asked of a tool")
    arguments = field(asked, "arguments")
    if arguments is not None:
        mapping(arguments, "the arguments of a tool")
    return _Said(method, name, called(field(asked, "name"), "the tool"), compact(arguments or {}))


def _take(into: Assembly, body: object) -> None:
    for one in body if isinstance(body, list) else [body]:
        message = as_fields(one)
        into.failed(message.get("error"))
        result = as_fields(message.get("result"))
        if "result" in message:
            into.finished("error" if result.get("isError") is True else "result")
        for part in as_list(result.get("content")):
            block = as_fields(part)
            into.say(block.get("text"), str(message.get("id")))
            if block.get("type") not in ("text", None):
                into.say(f"[{str(block.get('type'))[:40]}]", str(message.get("id")))
        if message.get("method"):
            # the server asks the client for something
            into.call(("server", str(message.get("id"))), message.get("method"))
