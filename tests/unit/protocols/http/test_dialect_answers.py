"""What models and tools answered, put together from bodies and streams."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.model.transcript import Message, Noted, Output
from bodycam.protocols.http.dialects import Answer, Call, Dialect, recognise
from bodycam.protocols.http.dialects.assembly import MOST_BODY, MOST_TEXT
from bodycam.protocols.http.dialects.said import Entry, answer, asked, told
from tests.unit.protocols.http.streams import FORMS, event

SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"


def said(dialect: Dialect, body: bytes, media: str) -> list[Entry]:
    return told(dialect, answer(dialect, body, media))


def dialect(path: str) -> Dialect:
    found = recognise("POST", path, JSON)
    assert found is not None
    return found


def read(path: str, body: bytes, media: str = SSE, size: int = 1 << 30) -> Answer:
    reader = dialect(path).reader(media)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    return reader.end()


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_streamed_answer_is_put_together(path: str, size: int, line_end: bytes) -> None:
    body = FORMS[path](["Hel", "lo, ", "wörld"], ['{"pa', 'th":', '"/x"}']).replace(b"\n", line_end)
    answer = read(path, body, size=size)
    assert (answer.model, answer.text, answer.calls) == (
        "small-1",
        "Hello, wörld",
        (Call("run", '{"path":"/x"}'),),
    )
    assert (answer.tokens_in, answer.tokens_out, answer.error, answer.cut) == (12, 5, "", False)
    assert answer.finish in ("tool_calls", "completed", "tool_use")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            "/v1/chat/completions",
            {
                "model": "small-1",
                "choices": [
                    {
                        "index": 0,
                        "message": {
                            "role": "assistant",
                            "content": "I look.",
                            "tool_calls": [
                                {"id": "c", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
                            ],
                        },
                        "finish_reason": "tool_calls",
                    }
                ],
                "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            },
            Answer("small-1", "I look.", (Call("ls", "{}"),), 9, 2, "tool_calls"),
        ),
        (
            "/v1/responses",
            {
                "model": "small-1",
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
                "output": [
                    {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
                    {"type": "function_call", "name": "ls", "arguments": "{}"},
                ],
                "usage": {"input_tokens": 9, "output_tokens": 2},
            },
            Answer("small-1", "Hi", (Call("ls", "{}"),), 9, 2, "max_output_tokens"),
        ),
        (
            "/v1/messages",
            {
                "type": "message",
                "model": "small-1",
                "content": [
                    {"type": "text", "text": "Hi"},
                    {"type": "tool_use", "name": "ls", "input": {"a": 1}},
                ],
                "stop_reason": "tool_use",
                "usage": {"input_tokens": 9, "output_tokens": 2},
            },
            Answer("small-1", "Hi", (Call("ls", '{"a":1}'),), 9, 2, "tool_use"),
        ),
        (
            "/v1/messages",
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            Answer(error="Overloaded"),
        ),
        ("/v1/messages/count_tokens", {"input_tokens": 14}, Answer(tokens_in=14)),
        (
            "/v1/chat/completions",
            {"error": {"message": "no such model", "code": 404}},
            Answer(error="no such model"),
        ),
        (
            "/v1/embeddings",
            {"model": "e", "data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}},
            Answer("e", tokens_in=3),
        ),
        (
            "/mcp",
            {
                "jsonrpc": "2.0",
                "id": 1,
                "result": {"content": [{"type": "text", "text": "a.txt"}], "isError": False},
            },
            Answer(text="a.txt", finish="result"),
        ),
        (
            "/mcp",
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Unknown tool"}},
            Answer(error="Unknown tool"),
        ),
    ],
)
def test_a_whole_answer_is_read(path: str, body: object, expected: Answer) -> None:
    assert read(path, json.dumps(body).encode(), JSON) == expected


def test_answers_of_tools_come_as_events_too() -> None:
    result = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "done"}]}}
    body = event({"jsonrpc": "2.0", "method": "notifications/progress"}, "message") + event(result, "message")
    answer = read("/mcp", body)
    assert (answer.text, answer.calls) == ("done", (Call("notifications/progress", ""),))


def test_what_is_kept_is_bounded_and_said_to_be_cut() -> None:
    many = FORMS["/v1/messages"](["x" * 1000] * 300, ["y" * 1000] * 300)
    answer = read("/v1/messages", many)
    assert (len(answer.text), len(answer.calls[0].arguments), answer.cut) == (MOST_TEXT, MOST_TEXT, True)
    assert answer.tokens_out == 5
    long = read("/v1/messages", b'data: "' + b"x" * (3 << 20) + b'"\n\n' + FORMS["/v1/messages"](["ok"]))
    assert (long.text, long.cut) == ("ok", True)
    assert read("/v1/messages", b"x" * (MOST_BODY + 1), JSON) == Answer(cut=True)


def test_people_read_what_was_asked_and_said() -> None:
    request = {"model": "small-1", "messages": [{"role": "user", "content": "List it."}]}
    chat = dialect("/v1/chat/completions")
    assert asked(chat, json.dumps(request).encode()) == [
        Noted("model asked", "small-1, 1 messages"),
        Output("to the model", "List it."),
    ]
    assert said(chat, FORMS["/v1/chat/completions"](["Sure."], ['{"path":"/x"}']), SSE) == [
        Output("model said", "Sure."),
        Noted("model asked for", 'run({"path":"/x"})'),
        Noted("tokens", "12 in, 5 out"),
    ]
    assert said(chat, b'{"error":{"message":"no such model"}}', JSON) == [
        Message("error", "", "no such model")
    ]
    call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ls","arguments":{"p":1}}}'
    assert asked(dialect("/mcp"), call) == [Noted("tool called", 'ls({"p":1})')]
    assert asked(dialect("/mcp"), b"{}") == [
        Noted("request not understood", "a message is not of JSON-RPC 2.0")
    ]


WORDS = st.sampled_from(
    ["type", "choices", "delta", "index", "content", "tool_calls", "function", "name", "arguments", "usage", "error",
     "response", "output", "item", "content_block", "message", "result", "output_index", "model", "text"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    | st.sampled_from(["content_block_delta", "content_block_start", "response.output_item.done", "function_call",
                       "response.output_text.delta", "text_delta", "message_start", "response.completed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


@given(
    st.sampled_from([*FORMS, "/mcp", "/v1/embeddings"]), st.lists(VALUES, max_size=4), st.binary(max_size=50)
)
def test_no_answer_raises(path: str, values: list[object], junk: bytes) -> None:
    stream = b"".join(event(value) for value in values) + junk
    whole = json.dumps(values[0] if values else 1).encode()
    assert read(path, stream).cut in (True, False)
    assert isinstance(said(dialect(path), whole, JSON), list)
    assert isinstance(asked(dialect(path), whole + junk), list)
