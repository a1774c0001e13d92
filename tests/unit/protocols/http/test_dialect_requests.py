"""What is told of requests to models and tools before policy judges them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.protocols.http.dialects import recognise, worth_a_look
from bodycam.protocols.http.head import Fields

JSON = "application/json"
CHAT = "/v1/chat/completions"
BOTH = {"accept": "application/json, text/event-stream"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "name"),
    [
        ("POST", "/v1/chat/completions", {}, "openai.chat"),
        ("POST", "/openai/deployments/fast/chat/completions?api-version=2024-10-21", {}, "openai.chat"),
        ("POST", "/V1//Chat/completions/", {}, "openai.chat"),
        ("POST", "/v1/chat%2Fcompletions", {}, "openai.chat"),
        ("POST", "/v1/x/../chat/./completions;v=1/.", {}, "openai.chat"),
        ("post", "/v1/chat\\completions", {}, "openai.chat"),
        ("POST", "/v1/completions", {}, "openai.completions"),
        ("POST", "/v1/responses", {}, "openai.responses"),
        ("POST", "/v1/embeddings", {}, "openai.embeddings"),
        ("GET", "/v1/models", {}, "openai.models"),
        ("GET", "/v1/models/Small", {}, "openai.models"),
        ("POST", "/v1/messages", {}, "anthropic.messages"),
        ("POST", "/anthropic/v1/messages?beta=true", {}, "anthropic.messages"),
        ("POST", "/v1/messages/count_tokens", {}, "anthropic.count_tokens"),
        ("POST", "/mcp", {}, "mcp"),
        ("POST", "/%6Dcp/", {}, "mcp"),
        ("GET", "/servers/files/mcp", {}, "mcp"),
        ("GET", "/sse", {}, "mcp"),
        ("DELETE", "/mcp", {}, "mcp"),
        ("POST", "/messages/?session_id=8c1f", {}, "mcp"),
        ("POST", "/message?sessionId=8c1f", {}, "mcp"),
        ("POST", "/anywhere", {"mcp-session-id": "8c1f"}, "mcp"),
        ("POST", "/anywhere", {"mcp-protocol-version": "2025-06-18"}, "mcp"),
        ("POST", "/anywhere", BOTH, "mcp"),
        ("POST", "/v1/chat/completions", BOTH, "openai.chat"),
        ("POST", "/messages", {}, None),
        ("POST", "/survey/responses", {}, None),
        ("GET", "/v1/chat/completions", {}, None),
        ("POST", "/", {}, None),
        ("GET", "/fashion/models", {}, None),
        ("POST", "/deployments", {}, None),
    ],
)
def test_a_dialect_is_told_by_method_path_and_headers(
    method: str, path: str, headers: dict[str, str], name: str | None
) -> None:
    dialect = recognise(method, path, JSON, headers)
    assert (dialect.name if dialect else None) == name


TOOL = {"type": "function", "function": {"name": "list_files", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            CHAT,
            {
                "model": "small-1",
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
                "tools": [TOOL],
                "stream": True,
                "max_completion_tokens": 50,
            },
            ("small-1", True, 2, ("list_files",), 50, True),
        ),
        (
            CHAT,
            {"model": "m", "messages": [], "functions": [{"name": "old"}]},
            ("m", False, 0, ("old",), -1, False),
        ),
        (
            "/openai/deployments/Fast/chat/completions",
            {"model": "pretended", "messages": []},
            ("Fast", False, 0, (), -1, False),
        ),
        (
            "/v1/responses",
            {
                "model": "m",
                "input": "hi",
                "instructions": "Be brief.",
                "tools": [
                    {"type": "function", "name": "f"},
                    {"type": "web_search"},
                    {"type": "mcp", "server_label": "docs"},
                ],
                "max_output_tokens": 7,
            },
            ("m", False, 1, ("f", "web_search", "docs"), 7, True),
        ),
        (
            "/v1/responses",
            {"model": "m", "input": [{"role": "user", "content": "a"}] * 3},
            ("m", False, 3, (), -1, False),
        ),
        ("/v1/embeddings", {"model": "e", "input": ["a", "b"]}, ("e", False, 2, (), -1, False)),
        ("/v1/embeddings", {"model": "e", "input": [1, 2, 3]}, ("e", False, 1, (), -1, False)),
        ("/v1/completions", {"model": "c", "prompt": "Once"}, ("c", False, 1, (), -1, False)),
        (
            "/v1/messages",
            {
                "model": "big-2",
                "max_tokens": 1024,
                "system": "Be brief.",
                "messages": [{"role": "user", "content": "hi"}],
                "tools": [{"name": "get_weather", "input_schema": {}}],
                "mcp_servers": [{"type": "url", "name": "docs", "url": "https://docs.example.com"}],
            },
            ("big-2", False, 1, ("get_weather", "docs"), 1024, True),
        ),
    ],
)
def test_a_request_to_a_model_has_facts(path: str, body: object, expected: tuple[object, ...]) -> None:
    dialect = recognise("POST", path, JSON)
    assert dialect is not None
    facts = dialect.request_facts(json.dumps(body).encode())
    names = ("model", "stream", "messages", "tools", "max_tokens", "system")
    assert facts["llm.unknown"] == ""
    assert tuple(facts[f"llm.{name}"] for name in names) == expected


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "there is no body"),
        (b"{", "it is no JSON"),
        (b"[]", "the body is no object"),
        (b'{"model":"a","model":"b","messages":[]}', "a key stands twice"),
        (b'{"model":"a","mo\\u0064el":"b","messages":[]}', "a key stands twice"),
        (b'{"model":"a","Model":"b","messages":[]}', "model is written in other letters"),
        (b'{"model":"a","messages":[]} {}', "it is no JSON"),
        (b'\xef\xbb\xbf{"model":"a","messages":[]}', "it begins with a byte order mark"),
        ('{"model":"a","messages":[]}'.encode("utf-16"), "it begins with a byte order mark"),
        (b'{"model":"\xff","messages":[]}', "it is not UTF-8"),
        (b'{"model":"a\\u0000b","messages":[]}', "the name of the model has invisible characters"),
        (b'{"model":"a\\ud800","messages":[]}', "the name of the model has invisible characters"),
        (b'{"model":"a","messages":[],"stream":"yes"}', "stream is neither true nor false"),
        (b'{"model":"a","messages":[],"max_tokens":1e400}', "the most tokens is no number"),
        (b'{"model":"a","messages":[],"x":NaN}', "it has numbers that JSON has not"),
        (b'{"model":"a","messages":[],"max_tokens":' + b"9" * 30 + b"}", "the most tokens is no number"),
        (b'{"model":"a","messages":[],"x":' + b"9" * 5000 + b"}", "it is no JSON"),
        (b'{"model":"a","messages":' + b"[" * 100_000, "it is nested too deeply"),
        (b'{"model":"a","messages":[],"x":' + b"[" * 300 + b"]" * 300 + b"}", "it is nested too deeply"),
        (b'{"messages":[]}', "the model has no name"),
        (
            json.dumps({"model": "a", **{str(n): n for n in range(2000)}}).encode(),
            "an object has too many keys",
        ),
        (b'{"model":"a","messages":[1]}', "one of messages is no object"),
        (b'{"model":"a","messages":[],"tools":[{}]}', "a tool has no name"),
    ],
)
def test_a_request_that_can_be_read_in_two_ways_is_unknown(body: bytes, why: str) -> None:
    dialect = recognise("POST", CHAT, JSON)
    assert dialect is not None
    assert dialect.request_facts(body) == {"llm.api": "openai.chat", "llm.unknown": why}


@pytest.mark.parametrize("charset", ["utf-7", "UTF-16", '"shift_jis"'])
def test_a_body_in_another_encoding_is_unknown(charset: str) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"+AHIAbQ-"}}'
    for path, name in (("/mcp", "mcp"), (CHAT, "llm")):
        dialect = recognise("POST", path, f"{JSON}; charset={charset}")
        assert dialect is not None
        assert dialect.request_facts(body)[f"{name}.unknown"] == "its encoding is not UTF-8"
        plain = recognise("POST", path, f"{JSON}; charset=UTF-8")
        assert plain is not None
        assert plain.request_facts(body)[f"{name}.unknown"] != "its encoding is not UTF-8"


def call(tool: str, number: int = 1, **more: object) -> dict[str, object]:
    params = {"name": tool, "arguments": {"path": "/étc"}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params, **more}


PLAIN = {"mcp.methods": ("tools/call",), "mcp.unknown": ""}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            call("read"),
            {**PLAIN, "mcp.tools": ("read",), "mcp.batch": 0, "mcp.method": "tools/call", "mcp.id": "1",
             "mcp.tool": "read", "mcp.arguments": '{"path":"/étc"}'},
        ),
        (
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"mcp.methods": ("notifications/initialized",), "mcp.tools": (), "mcp.batch": 0, "mcp.unknown": "",
             "mcp.method": "notifications/initialized", "mcp.id": "", "mcp.tool": "", "mcp.arguments": ""},
        ),
        (
            {"jsonrpc": "2.0", "id": "a", "result": {"roots": []}},
            {"mcp.methods": (), "mcp.tools": (), "mcp.batch": 0, "mcp.unknown": "", "mcp.method": "",
             "mcp.id": "a", "mcp.tool": "", "mcp.arguments": ""},
        ),
        ([call("read"), call("remove", 2)], {**PLAIN, "mcp.tools": ("read", "remove"), "mcp.batch": 2}),
        ([], {"mcp.unknown": "a batch has no messages, or too many"}),
        ([call("read"), call("", 2)], {"mcp.unknown": "the tool has no name"}),
        (call("read", jsonrpc="1.0"), {"mcp.unknown": "a message is not of JSON-RPC 2.0"}),
        (call("read", Method="tools/call"), {"mcp.unknown": "method is written in other letters"}),
        (call("read", method="tools/Call"), {"mcp.unknown": "tools/call is written in other letters"}),
        (call("read", params=["remove"]), {"mcp.unknown": "what is asked of a tool is no object"}),
        (call("read", result={}), {"mcp.unknown": "a message asks and answers at once"}),
        (
            call("read", params={"name": "read", "NAME": "remove"}),
            {"mcp.unknown": "name is written in other letters"},
        ),
    ],
)  # fmt: skip
def test_every_tool_that_is_called_is_told(body: object, expected: dict[str, object]) -> None:
    dialect = recognise("POST", "/mcp", JSON)
    assert dialect is not None
    assert dialect.request_facts(json.dumps(body).encode()) == expected


def test_arguments_too_long_for_a_fact_are_not_there() -> None:
    dialect = recognise("POST", "/mcp", JSON)
    assert dialect is not None
    long = call("write", params={"name": "write", "arguments": {"text": "a" * 20_000}})
    facts = dialect.request_facts(json.dumps(long).encode())
    assert facts["mcp.tool"] == "write"
    assert "mcp.arguments" not in facts


def test_a_body_where_none_belongs_is_unknown() -> None:
    for path in ("/mcp", "/v1/models"):
        dialect = recognise("GET", path, "")
        assert dialect is not None
        said = dialect.request_facts(b'{"a":1}')
        assert "there is a body where none belongs" in said.values()


PATHS = [CHAT, "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/messages", "/mcp"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["model", "messages", "tools", "name", "function", "input", "prompt", "jsonrpc", "method", "params",
             "id", "arguments", "result", "role", "stream", "type", "max_tokens", "system"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(PATHS), VALUES | st.just(...), st.binary())
def test_no_body_raises(path: str, value: object, junk: bytes) -> None:
    dialect = recognise("POST", path, JSON)
    assert dialect is not None
    facts = dialect.request_facts(junk if value is ... else json.dumps(value).encode())
    for fact in facts.values():
        for text in fact if isinstance(fact, tuple) else [fact]:
            str(text).encode()


@given(st.text(), st.text(), st.text())
def test_no_head_raises(method: str, path: str, media: str) -> None:
    recognise(method, path, media)
    recognise("POST", "/v1/" + path, media)
    recognise("POST", "/deployments/" + path, media)


@given(
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.lists(
        st.sampled_from(
            ["v1", "MCP", "sse", "Models", "messages", "chat", "completions", "responses", "a;b", ".."]
        )
        | st.text(max_size=4),
        max_size=4,
    ),
    st.sampled_from(["", "?sessionId=1"]),
    st.sampled_from([{}, BOTH, {"mcp-session-id": "1"}, {"accept": "text/html"}]),
)
def test_what_is_not_worth_a_look_speaks_no_dialect(
    method: str, parts: list[str], query: str, headers: dict[str, str]
) -> None:
    path = "/" + "/".join(parts) + query
    fields = Fields([(name.title().encode(), value.encode()) for name, value in headers.items()])
    if not worth_a_look(path.encode("utf-8", "surrogatepass"), fields):
        assert recognise(method, path, JSON, headers) is None


def test_plain_requests_are_not_looked_at() -> None:
    accepts = Fields([(b"Accept", b"application/json"), (b"Accept", b"*/*")])
    assert not worth_a_look(b"/item/1.json?page=2", accepts)
    assert worth_a_look(b"/any/path", Fields([(b"Accept", b"application/json, Text/Event-Stream")]))
