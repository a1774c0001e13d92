"""What people read of an exchange with a model or a server of tools, made from its bodies alone."""

from collections.abc import Mapping

from bodycam.model.operation import Fact
from bodycam.model.transcript import Message, Noted, Output
from bodycam.protocols.http.dialects.assembly import as_fields, as_list
from bodycam.protocols.http.dialects.dialect import Answer, Dialect
from bodycam.protocols.http.dialects.strict import Unclear, read

Entry = Message | Noted | Output


def asked(dialect: Dialect, body: bytes) -> list[Entry]:
    """What a request with this body asks for."""
    facts = dialect.request_facts(body)
    unknown = facts.get("llm.unknown") or facts.get("mcp.unknown")
    if unknown:
        return [Noted("request not understood", str(unknown))]
    if dialect.name == "mcp":
        return _calls(facts)
    entries: list[Entry] = []
    model, tools = facts.get("llm.model"), facts.get("llm.tools")
    if model:
        named = f"; tools: {', '.join(tools)}" if isinstance(tools, tuple) and tools else ""
        entries.append(Noted("model asked", f"{model}, {facts.get('llm.messages')} messages{named}"))
    prompt = _last(body)
    if prompt:
        entries.append(Output("to the model", prompt))
    return entries


def answer(dialect: Dialect, body: bytes, media: str) -> Answer:
    """The answer in a response with this body, of this media type."""
    reader = dialect.reader(media)
    reader.feed(body)
    return reader.end()


def told(dialect: Dialect, answer: Answer) -> list[Entry]:
    """An answer that has been read already."""
    tools = dialect.name == "mcp"
    entries: list[Entry] = []
    if answer.text:
        entries.append(Output("tool said" if tools else "model said", answer.text))
    asks = "server asked for" if tools else "model asked for"
    entries += [Noted(asks, f"{call.name}({call.arguments})") for call in answer.calls]
    if answer.cut:
        entries.append(Noted("answer cut", "more was said than is shown here"))
    if answer.error:
        entries.append(Message("error", "", answer.error))
    if answer.tokens_in is not None or answer.tokens_out is not None:
        entries.append(Noted("tokens", f"{answer.tokens_in or 0} in, {answer.tokens_out or 0} out"))
    return entries


def _calls(facts: Mapping[str, Fact]) -> list[Entry]:
    known = facts
    if known.get("mcp.tool"):
        return [Noted("tool called", f"{known['mcp.tool']}({known.get('mcp.arguments', '...')})")]
    tools = known.get("mcp.tools")
    if isinstance(tools, tuple) and tools:
        return [Noted("tools called", ", ".join(tools))]
    return []


def _last(body: bytes) -> str:
    """The text of the last message or input."""
    try:
        fields = as_fields(read(body))
    except Unclear:
        return ""
    for name in ("messages", "input", "prompt"):
        given = fields.get(name)
        last = given[-1] if isinstance(given, list) and given else given
        if isinstance(last, str):
            return last
        if isinstance(last, dict):
            content = last.get("content", last.get("output"))
            if isinstance(content, str):
                return content
            parts = (as_fields(one).get("text") for one in as_list(content))
            return "\n".join(one for one in parts if isinstance(one, str))
    return ""
