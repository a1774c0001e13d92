"""Which dialect a request speaks, told by its method, path, media type and headers, never by its host.

Servers that speak them are everywhere, under prefixes of their own; so the end of a path tells. Paths are
read as generously as servers do: in any letters' case, with escapes, dots, parameters and empty segments.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from bodycam.protocols.http.dialects.anthropic_messages import Messages
from bodycam.protocols.http.dialects.dialect import EVENT_STREAM, Dialect
from bodycam.protocols.http.dialects.mcp import Mcp
from bodycam.protocols.http.dialects.openai_chat import Completions
from bodycam.protocols.http.dialects.openai_plain import Embeddings, Models
from bodycam.protocols.http.dialects.openai_responses import Responses
from bodycam.protocols.http.dialects.strange import Strange

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_JSON: Final = "application/json"
_VERSIONS: Final = frozenset({"v1", "v2", "v3", "v4", "v1beta", "openai", "api"})
_MCP_HEADERS: Final = ("mcp-session-id", "mcp-protocol-version")


def recognise(method: str, path: str, media: str, headers: Mapping[str, str] = _NO_HEADERS) -> Dialect | None:
    """The dialect of a request; None for plain HTTP.

    `path` may have its query; `media` is the request's whole Content-Type, "" for none. `headers` are those
    of the request, their names in lower case: an MCP server may be at any path, and these tell.
    """
    place, _, query = path.partition("?")
    # models and deployments are called as they are written
    written = _segments(place)
    segments = [one.lower() for one in written]
    found: Dialect | None = None
    match method.upper():
        case "POST":
            found = _mcp(segments, query, media, headers) or _model(segments, written)
        case "GET" | "DELETE" if _is_mcp(segments, headers):
            found = Mcp(asks=False)
        case "GET":
            found = _models(segments, written)
    charset = _charset(media)
    if found is None or charset in ("", "utf-8", "utf8", "us-ascii", "ascii"):
        return found
    return Strange(found)


def _segments(path: str) -> list[str]:
    """The parts of a path as servers see them, without parameters (`;v=1`) and dots resolved."""
    found: list[str] = []
    for one in unquote(path).replace("\\", "/").split("/"):
        name = one.partition(";")[0].strip()
        if name == "..":
            del found[-1:]
        elif name not in ("", "."):
            found.append(name)
    return found


def _charset(media: str) -> str:
    for one in media.split(";")[1:]:
        name, _, value = one.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower()
    return ""


def _model(segments: list[str], written: list[str]) -> Dialect | None:
    deployment = ""
    if "deployments" in segments[:-1]:
        deployment = written[segments.index("deployments") + 1]
    versioned = bool(deployment) or any(one in _VERSIONS for one in segments[:-1])
    match segments:
        case [*_, "chat", "completions"]:
            return Completions(True, deployment)
        case [*_, "messages", "count_tokens"] if versioned:
            return Messages(counting=True)
        case [*_, "messages"] if versioned:
            return Messages()
        case [*_, "responses"] if versioned:
            return Responses(deployment)
        case [*_, "embeddings"] if versioned:
            return Embeddings(deployment)
        case [*_, "completions"] if versioned:
            return Completions(False, deployment)
    return None


def _models(segments: list[str], written: list[str]) -> Dialect | None:
    match segments:
        case [*_, version, "models"] if version in _VERSIONS:
            return Models()
        case [*_, version, "models", _] if version in _VERSIONS:
            return Models(written[-1])
    return None


def _mcp(segments: list[str], query: str, media: str, headers: Mapping[str, str]) -> Dialect | None:
    if _is_mcp(segments, headers):
        return Mcp()
    # the transport of 2024-11-05 has its messages sent beside the stream
    named = query.lower().replace("_", "")
    if segments[-1:] in (["messages"], ["message"]) and "sessionid=" in named:
        return Mcp()
    accepted = headers.get("accept", "").lower()
    both = _JSON in accepted and EVENT_STREAM in accepted
    # clients of models accept only one of the two
    if both and _JSON in media.lower() and _model(segments, segments) is None:
        return Mcp()
    return None


def _is_mcp(segments: list[str], headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in _MCP_HEADERS) or segments[-1:] in (["mcp"], ["sse"])
