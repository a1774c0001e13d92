"""HTTP's exchanges in the words of OpenTelemetry's conventions, those with models and tools in theirs.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (clients),
https://opentelemetry.io/docs/specs/semconv/gen-ai/ (models, and tools called by MCP).
"""

from typing import Final
from urllib.parse import urlsplit

from bodycam.model.telemetry import Attribute, Exchanged, SpanWords
from bodycam.protocols.http.details import ANSWERED_MODEL, FINISH, STATUS, TOKENS_IN, TOKENS_OUT
from bodycam.protocols.http.trip import CONNECT
from bodycam.protocols.http.websocket import MESSAGE

_KNOWN: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))
_OPERATIONS: Final = {
    "openai.chat": "chat",
    "openai.responses": "chat",
    "openai.completions": "text_completion",
    "openai.embeddings": "embeddings",
    "anthropic.messages": "chat",
}
_PLAIN: Final = {
    "llm.model": "gen_ai.request.model",
    "llm.max_tokens": "gen_ai.request.max_tokens",
    ANSWERED_MODEL: "gen_ai.response.model",
    TOKENS_IN: "gen_ai.usage.input_tokens",
    TOKENS_OUT: "gen_ai.usage.output_tokens",
}


def wording(exchange: Exchanged) -> SpanWords:
    """What a client's instrumentation would say of it, as far as it is known here."""
    if exchange.verb == MESSAGE:
        # its text is what was said, and no address
        return SpanWords("websocket message", {"network.protocol.name": "websocket"})
    method = exchange.verb.upper()
    attributes: dict[str, Attribute] = {"http.request.method": method if method in _KNOWN else "_OTHER"}
    if method not in _KNOWN:
        attributes["http.request.method_original"] = exchange.verb
    if exchange.verb == CONNECT:
        address = _address(f"//{exchange.text}", None)
    else:
        attributes["url.full"] = exchange.text
        address = _address(exchange.text, {"http": 80, "https": 443})
    if address is not None:
        attributes["server.address"], attributes["server.port"] = address
    status = exchange.details.get(STATUS)
    if isinstance(status, int):
        attributes["http.response.status_code"] = status
    named = _model(exchange, attributes) or _tool(exchange, attributes)
    return SpanWords(named or (method if method in _KNOWN else "HTTP"), attributes)


def _address(text: str, ports: dict[str, int] | None) -> tuple[str, int] | None:
    try:
        url = urlsplit(text)
        port = url.port or (ports or {}).get(url.scheme)
    except ValueError:
        return None
    return (url.hostname, port) if url.hostname and port else None


def _model(exchange: Exchanged, attributes: dict[str, Attribute]) -> str:
    """The attributes of a model that is asked, and the span's name; "" where none is."""
    details = exchange.details
    operation = _OPERATIONS.get(str(details.get("llm.api")))
    if operation is None:
        return ""
    attributes["gen_ai.operation.name"] = operation
    attributes["gen_ai.provider.name"] = str(details["llm.api"]).partition(".")[0]
    for name, said in _PLAIN.items():
        value = details.get(name)
        if (isinstance(value, str) and value) or (isinstance(value, int) and value >= 0):
            attributes[said] = value
    if details.get(FINISH):
        attributes["gen_ai.response.finish_reasons"] = (str(details[FINISH]),)
    return f"{operation} {details.get('llm.model', '')}".rstrip()


def _tool(exchange: Exchanged, attributes: dict[str, Attribute]) -> str:
    """The same of a tool that is called."""
    method, tool = exchange.details.get("mcp.method"), exchange.details.get("mcp.tool")
    if not method:
        return ""
    attributes["mcp.method.name"] = str(method)
    if tool:
        attributes["gen_ai.operation.name"] = "execute_tool"
        attributes["gen_ai.tool.name"] = str(tool)
    return " ".join(filter(None, (str(method), str(tool or ""))))
