"""Answers as the three APIs stream them, for the tests of dialects."""

import json
from collections.abc import Sequence


def event(value: object, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def chat(pieces: Sequence[str], arguments: Sequence[str] = ()) -> bytes:
    def chunk(delta: object, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000,
                      "model": "small-1", "choices": [choice]})  # fmt: skip

    out = [chunk({"role": "assistant", "content": ""})]
    out += [chunk({"content": piece}) for piece in pieces]
    for at, piece in enumerate(arguments):
        function = {"arguments": piece} | ({"name": "run"} if at == 0 else {})
        begun = {"id": "call_1", "type": "function"} if at == 0 else {}
        out.append(chunk({"tool_calls": [{"index": 0, **begun, "function": function}]}))
    out.append(chunk({}, "tool_calls" if arguments else "stop"))
    usage = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    out.append(event({"id": "chatcmpl-1", "model": "small-1", "choices": [], "usage": usage}))
    return b"".join([*out, b"data: [DONE]\n\n"])


def responses(pieces: Sequence[str], arguments: Sequence[str] = ()) -> bytes:
    numbers = iter(range(100_000))

    def one(kind: str, **more: object) -> bytes:
        return event({"type": kind, "sequence_number": next(numbers), **more}, kind)

    text = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    out = [
        one(
            "response.created",
            response={"id": "resp_1", "model": "small-1", "status": "in_progress", "output": []},
        ),
        one("response.output_item.added", output_index=0, item={"type": "message", "content": []}),
    ]
    out += [one("response.output_text.delta", **text, delta=piece) for piece in pieces]
    out.append(one("response.output_text.done", **text, text="".join(pieces)))
    if arguments:
        call = {"output_index": 1, "item_id": "fc_1"}
        item = {"type": "function_call", "name": "run", "arguments": ""}
        out.append(one("response.output_item.added", output_index=1, item=item))
        out += [one("response.function_call_arguments.delta", **call, delta=piece) for piece in arguments]
        whole = "".join(arguments)
        out.append(one("response.function_call_arguments.done", **call, arguments=whole))
        out.append(one("response.output_item.done", output_index=1, item={**item, "arguments": whole}))
    output: list[object] = [
        {"type": "message", "content": [{"type": "output_text", "text": "".join(pieces)}]}
    ]
    done = {"id": "resp_1", "model": "small-1", "status": "completed", "output": output,
            "usage": {"input_tokens": 12, "output_tokens": 5}}  # fmt: skip
    return b"".join([*out, one("response.completed", response=done)])


def messages(pieces: Sequence[str], arguments: Sequence[str] = ()) -> bytes:
    def one(kind: str, **more: object) -> bytes:
        return event({"type": kind, **more}, kind)

    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "small-1", "content": [],
             "stop_reason": None, "usage": {"input_tokens": 12, "output_tokens": 1}}  # fmt: skip
    out = [
        one("message_start", message=start),
        one("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        one("ping"),
    ]
    out += [
        one("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in pieces
    ]
    out.append(one("content_block_stop", index=0))
    if arguments:
        block = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}}
        out.append(one("content_block_start", index=1, content_block=block))
        out += [
            one("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": piece})
            for piece in arguments
        ]
        out.append(one("content_block_stop", index=1))
    why = "tool_use" if arguments else "end_turn"
    out.append(one("message_delta", delta={"stop_reason": why}, usage={"output_tokens": 5}))
    return b"".join([*out, one("message_stop")])


FORMS = {
    "/v1/chat/completions": chat,
    "/v1/responses": responses,
    "/v1/messages": messages,
}
