"""The streams that mask text, within the events of a model's answer."""

import functools
from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.config.masking import Then
from bodycam.model.event import Kind
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.open_masking import OpenMasking
from bodycam.policy.masking.policy import Masking
from bodycam.policy.masking.stream import TextStream
from bodycam.protocols.http.dialects import recognise
from bodycam.protocols.http.dialects.masking import MaskedEvents
from tests.playbook.http_play import content, notes, opened, request, response
from tests.unit.protocols.http.streams import FORMS

KEY = "AKIAIOSFODNN7ABCDEFG"


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("size", [1, 4])
def test_a_key_in_small_events_is_masked(matcher: Matcher, path: str, size: int) -> None:
    dialect = recognise("POST", path, "application/json")
    assert dialect is not None
    assert dialect.deltas is not None
    stream = MaskedEvents(dialect.deltas, lambda: TextStream(matcher, lambda rule: Then.REDACT))
    text = f"first\nthe key is {KEY}, keep it\nlast"
    out = (
        stream.feed(FORMS[path]([text[at : at + size] for at in range(0, len(text), size)])) + stream.flush()
    )

    reader = dialect.reader("text/event-stream")
    reader.feed(out)
    assert reader.end().text == text.replace(KEY, "[bodycam:secrets.aws-access-token]")
    assert KEY.encode() not in out


SETTINGS = """
targets: {web: {protocol: http, address: 'api:80', tls: {sslmode: disable}}}
masking: [%s]
"""
BOTH, RECORD = "{detect: [secrets]}", "{detect: [secrets], mask: record}"
PATH = "{detect: [secrets]}, {json: ['$..model']}"
TEXT = f"first\nthe key is {KEY}, keep it. Again: {KEY}"
MASKED = TEXT.replace(KEY, "[bodycam:secrets.aws-access-token]")


@functools.cache
def masking(patterns: Patterns, entries: str) -> OpenMasking:
    return OpenMasking(Masking(parse(SETTINGS % entries, file="x", folder=Path("/x")), patterns))


def said(path: str, events: bytes) -> str:
    dialect = recognise("POST", path, "application/json")
    assert dialect is not None
    reader = dialect.reader("text/event-stream")
    reader.feed(events)
    return reader.end().text


def content_of(wire: bytes) -> bytes:
    body, out = wire.partition(b"\r\n\r\n")[2], b""
    while body:
        size, _, body = body.partition(b"\r\n")
        out, body = out + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return out


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("entries", [BOTH, RECORD, PATH])
def test_an_answer_of_a_model_is_masked_as_the_text_that_it_adds_up_to(
    patterns: Patterns, path: str, slow: bool, entries: str
) -> None:
    asked = request(
        f"POST /t/web{path}", "Content-Type: application/json", body=b'{"model": "m", "stream": true}'
    )
    play = opened(asked, masking=masking(patterns, entries))
    play.target(response("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"))
    got, events = play.client_gets(), play.recorded()
    whole = FORMS[path]([TEXT[at : at + 3] for at in range(0, len(TEXT), 3)])
    for event in whole.split(b"\n\n")[:-1]:
        play.target(b"%x\r\n%b\n\n\r\n" % (len(event) + 2, event))
        if slow:
            # all that waits has waited long enough
            play.machine.alarm()
        more, new = play.client_gets(), play.recorded()
        got, events = got + more, events + new
        # nothing goes on before it is recorded
        if entries is not RECORD:
            assert said(path, content_of(got)) == said(path, content(events, Kind.TO_CLIENT))
    play.target(b"0\r\n\r\n")
    got, events = got + play.client_gets(), events + play.recorded()
    shown, kept = content_of(got), content(events, Kind.TO_CLIENT)
    assert said(path, shown) == (TEXT if entries is RECORD else MASKED)
    if entries is RECORD and slow:
        # a slow word is not held for the record's sake: who reads would have to wait for it
        assert said(path, kept).startswith("first\nthe key is ")
    else:
        assert said(path, kept) == MASKED
        assert KEY.encode() not in kept
        assert "secrets.aws-access-token" in {note["detector"] for note in notes(events, "masked")}
    if entries is PATH:
        assert b"small-1" not in shown


def test_the_wait_is_counted_from_the_first_byte_that_is_held(patterns: Patterns) -> None:
    path = "/v1/chat/completions"
    asked = request(
        f"POST /t/web{path}", "Content-Type: application/json", body=b'{"model": "m", "stream": true}'
    )
    play = opened(asked, masking=masking(patterns, BOTH))
    play.target(response("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"))
    play.alarms.clear()
    events = FORMS[path](["one ", "two ", "three "]).split(b"\n\n")
    for event in events[:4]:
        play.target(b"%x\r\n%b\n\n\r\n" % (len(event) + 2, event))
    # each event that comes later must not put it off
    assert play.alarms == [0.2]
    play.machine.alarm()
    assert "one two three" in said(path, content_of(play.client_gets()))


def test_what_waits_for_the_record_is_bounded(patterns: Patterns) -> None:
    path = "/v1/chat/completions"
    asked = request(
        f"POST /t/web{path}", "Content-Type: application/json", body=b'{"model": "m", "stream": true}'
    )
    play = opened(asked, masking=masking(patterns, RECORD))
    play.target(response("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"))
    play.client_gets()
    sent = waits = most = 0
    for event in FORMS[path](["x" * 50_000] * 40).split(b"\n\n")[:-1]:
        play.target(b"%x\r\n%b\n\n\r\n" % (len(event) + 2, event))
        sent += len(event)
        waits += len(event) - len(play.client_gets())
        most = max(most, waits)
    assert sent > 2_000_000
    assert 1_000_000 < most < 1_200_000
