"""HTTP's exchanges as those who trace know them."""

from typing import Any

import pytest

from bodycam.model.telemetry import Exchanged
from bodycam.protocols.http.details import kept, learned
from bodycam.protocols.http.dialects.dialect import Answer
from bodycam.protocols.http.telemetry import wording
from bodycam.protocols.http.websocket import MESSAGE


def exchanged(verb: str, text: str, details: dict[str, Any] | None = None) -> Exchanged:
    return Exchanged(verb, text, "ok", None, 0, "", details or {})


@pytest.mark.parametrize(
    ("verb", "text", "name", "address"),
    [
        ("GET", "https://api.example.com/a?b=c", "GET", ("api.example.com", 443)),
        ("GET", "http://api.example.com:8080/", "GET", ("api.example.com", 8080)),
        ("GET", "http://[::1]/", "GET", ("::1", 80)),
        ("PURGE", "http://a/", "HTTP", ("a", 80)),
        ("connect", "a:443", "CONNECT", ("a", 443)),
        ("GET", "http://[", "GET", None),
        ("GET", "http://a:999999/", "GET", None),
    ],
)
def test_an_address_is_told_where_it_can_be(
    verb: str, text: str, name: str, address: tuple[str, int] | None
) -> None:
    words = wording(exchanged(verb, text))
    said = words.attributes
    assert words.name == name
    assert (said.get("server.address"), said.get("server.port")) == (address or (None, None))
    assert said["http.request.method"] == ("_OTHER" if name == "HTTP" else name)


def test_a_tool_that_is_called_is_named() -> None:
    words = wording(exchanged("POST", "https://a/mcp", {"mcp.method": "tools/call", "mcp.tool": "search"}))
    assert words.name == "tools/call search"
    assert words.attributes["gen_ai.tool.name"] == "search"


def test_what_was_said_in_a_message_is_no_address() -> None:
    words = wording(exchanged(MESSAGE, "my secret plan"))
    assert words.attributes == {"network.protocol.name": "websocket"}


def test_a_model_api_that_asks_no_model_is_plain_http() -> None:
    assert wording(exchanged("GET", "https://a/v1/models", {"llm.api": "openai.models"})).name == "GET"


def test_what_is_kept_is_short_and_of_known_kinds() -> None:
    facts = {"llm.api": "x" * 1000, "llm.max_tokens": -1, "http.path": "/secret", "mcp.tool": ("a", "b")}
    assert kept(facts, "200") == {"llm.api": "x" * 256, "llm.max_tokens": -1, "http.status": 200}
    assert kept({}, "nonsense") == {}


def test_an_answer_tells_only_what_it_has() -> None:
    assert learned(Answer()) == {}
    assert learned(Answer(model="m", tokens_in=0, tokens_out=7, finish="stop")) == {
        "llm.answered_model": "m",
        "llm.finish": "stop",
        "llm.tokens_in": 0,
        "llm.tokens_out": 7,
    }
