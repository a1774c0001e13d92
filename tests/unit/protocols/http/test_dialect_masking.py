"""Secrets that a model's answer spreads over many small events."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.protocols.http.dialects import Answer, recognise
from bodycam.protocols.http.dialects.events import MOST_EVENT
from bodycam.protocols.http.dialects.masking import MOST_TEXTS, MaskedEvents
from tests.unit.protocols.http.streams import FORMS, event

SECRET, MASK = "KEY-äbcdef", "[masked]"
SSE = "text/event-stream"


class Lines:
    """A stream that holds back to the end of each line, and masks one secret."""

    def __init__(self) -> None:
        self._waits = b""

    @property
    def held(self) -> int:
        return len(self._waits)

    def feed(self, data: bytes) -> bytes:
        self._waits += data
        whole, line, rest = self._waits.rpartition(b"\n")
        self._waits = rest
        return self._masked(whole + line)

    def flush(self) -> bytes:
        data, self._waits = self._waits, b""
        return self._masked(data)

    release_held = flush

    def release_words(self) -> bytes:
        whole, blank, self._waits = self._waits.rpartition(b" ")
        return self._masked(whole + blank)

    def _masked(self, data: bytes) -> bytes:
        return data.replace(SECRET.encode(), MASK.encode())


def masking(path: str) -> MaskedEvents:
    dialect = recognise("POST", path, "application/json")
    assert dialect is not None
    assert dialect.deltas is not None
    return MaskedEvents(dialect.deltas, Lines)


def masked(path: str, body: bytes, size: int = 1 << 30) -> bytes:
    one = masking(path)
    out = [one.feed(body[start : start + size]) for start in range(0, len(body), size)]
    return b"".join([*out, one.flush()])


def answer(path: str, body: bytes) -> Answer:
    dialect = recognise("POST", path, "application/json")
    assert dialect is not None
    reader = dialect.reader(SSE)
    reader.feed(body)
    return reader.end()


def kinds(body: bytes) -> Iterator[object]:
    """Each event's kind and place, without its texts; of events that follow one another alike, one."""
    before: object = None
    for one in body.split(b"\n\n"):
        data = one.partition(b"data: ")[2]
        value = json.loads(data) if data.startswith(b"{") else data.decode()
        now = (
            (value["type"], value.get("index"))
            if isinstance(value, dict) and "type" in value
            else str(value)[:12]
        )
        if now != before:
            yield now
        before = now


def pieces(text: str, size: int, shift: int) -> list[str]:
    return [text[:shift], *(text[at : at + size] for at in range(shift, len(text), size))]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_secret_split_at_every_place_is_masked(path: str, size: int) -> None:
    text, arguments = f"Use {SECRET} now.\nWell, {SECRET}", json.dumps({"key": SECRET}, ensure_ascii=False)
    for shift in range(1, size + 1):
        body = FORMS[path](pieces(text, size, shift), pieces(arguments, size, shift))
        out = masked(path, body)
        said = answer(path, out)
        assert said.text == text.replace(SECRET, MASK)
        assert [one.arguments for one in said.calls] == [arguments.replace(SECRET, MASK)]
        assert [one.name for one in said.calls] == ["run"]
        for whole in (SECRET, json.dumps(SECRET)[1:-1]):
            assert whole.encode() not in out
        assert list(kinds(out)) == list(kinds(body))
        assert (said.tokens_in, said.tokens_out) == (12, 5)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_cut_of_the_bytes_changes_nothing(path: str, size: int) -> None:
    body = FORMS[path](pieces(f"Use {SECRET} now.", 3, 1), ["{}"])
    assert masked(path, body, size) == masked(path, body)


@pytest.mark.parametrize("path", FORMS)
def test_lines_that_hold_no_secret_pass_as_they_came(path: str) -> None:
    body = FORMS[path](["First.\n", "Second \u2028\U0001f600.\n"], ['{"a":1}\n'])
    assert masked(path, body) == body


@pytest.mark.parametrize("path", FORMS)
def test_what_is_held_too_long_goes_out_in_an_event_of_its_own(path: str) -> None:
    whole = FORMS[path](["Half a "])
    cut = whole.index(b"Half a ")
    cut = whole.index(b"\n\n", cut) + 2
    one = masking(path)
    first = one.feed(whole[:cut])
    assert answer(path, first).text == ""
    assert one.held == len("Half a ")
    released = one.release_words()
    assert one.held == 0
    assert answer(path, first + released).text == "Half a "
    assert one.release_held() == b""
    assert answer(path, first + released + one.feed(whole[cut:]) + one.flush()).text == "Half a "


def test_a_stream_that_breaks_off_gives_what_is_held() -> None:
    chunk = event({"choices": [{"index": 0, "delta": {"content": "the end is " + SECRET}}]})
    assert answer("/v1/chat/completions", masked("/v1/chat/completions", chunk)).text == "the end is " + MASK
    out = masked("/v1/chat/completions", chunk + b'data: {"half": "' + SECRET.encode())
    assert SECRET.encode() not in out


@pytest.mark.parametrize(
    "raw",
    [
        f": {SECRET}\n\n".encode(),
        f"data: not JSON {SECRET}\n\n".encode(),
        f"id: {SECRET}\ndata: {{}}\n\n".encode(),
        f"data: {{}}\ndatabase: {SECRET}\n\n".encode(),
        event({"type": "error", "error": {"message": SECRET}}),
        event({"x": [{"y": SECRET}]}),
        b'data: {"x": "' + SECRET.encode() + b'", "x": 1}\n\n',
        b'data: {"' + SECRET.encode() + b'": 1}\n\n',
        b"data: [" + b"1," * MOST_EVENT + f'"{SECRET}"]\n\n'.encode(),
    ],
)
def test_a_secret_elsewhere_in_an_event_is_masked_too(raw: bytes) -> None:
    out = masked("/v1/messages", raw)
    assert SECRET.encode() not in out
    assert json.dumps(SECRET)[1:-1].encode() not in out


def test_the_same_text_in_tokens_is_left_out() -> None:
    choice = {"index": 0, "delta": {"content": SECRET}, "logprobs": {"content": [{"token": SECRET[:3]}]}}
    out = masked("/v1/chat/completions", event({"choices": [choice]}))
    assert b"token" not in out


def test_an_event_more_has_the_name_of_no_tool_twice() -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "run", "arguments": "{}"}}
    body = event({"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    more = masked("/v1/chat/completions", body).split(b"\n\n")[1]
    delta = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    assert json.loads(more.removeprefix(b"data: "))["choices"] == [
        {"finish_reason": None, "index": 0, "delta": delta}
    ]


def test_choices_beside_one_another_are_told_apart() -> None:
    def chunk(index: int, said: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": said}, "finish_reason": finish}
        return event({"choices": [choice]})

    half, rest = SECRET[:4], SECRET[4:]
    body = chunk(0, half) + chunk(1, half) + chunk(0, rest) + chunk(1, "!", "stop") + chunk(0, ".", "stop")
    said = answer("/v1/chat/completions", masked("/v1/chat/completions", body)).text
    assert sorted(said.split("\n")) == [f"{half}!", f"{MASK}."]


def test_texts_that_are_open_at_once_are_bounded() -> None:
    one = masking("/v1/messages")
    for index in range(3 * MOST_TEXTS):
        delta = {"type": "text_delta", "text": "held"}
        one.feed(event({"type": "content_block_delta", "index": index, "delta": delta}))
    assert one.release_held().count(b"held") == MOST_TEXTS


@given(st.sampled_from(list(FORMS)), st.binary(max_size=80), st.integers(0, 400), st.integers(1, 50))
def test_nothing_raises_and_bytes_that_hold_nothing_go_on(path: str, junk: bytes, at: int, size: int) -> None:
    body = FORMS[path](["a\n"])
    out = masked(path, body[:at] + junk + body[at:], size)
    assert isinstance(out, bytes)
    assert masked(path, junk, size) == junk
