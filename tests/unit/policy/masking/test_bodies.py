"""Bodies of every kind: a secret is in nothing that goes on or is recorded, however it came."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.config import parse
from bodycam.model.media import media
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.body_kinds import SniffedBody
from bodycam.policy.masking.open_masking import OpenMasking
from bodycam.policy.masking.open_masks import OpenMasks
from bodycam.policy.masking.policy import Masking
from bodycam.policy.redaction import Redactor

AWS = b"AKIAIOSFODNN7ABCDEFG"
MASK = b"[bodycam:secrets.aws-access-token]"
UNREAD = b"[bodycam:unread]"
TARGETS = "targets: {api: {protocol: postgres, address: 'db:5432', user: app}}\nmasking:\n"
BOTH = "- {detect: [secrets, pii.card]}\n"
RECORD = "- {detect: [secrets, pii.card], mask: record}\n"
PATHS = BOTH + "- {json: ['$..card', '$.people[*].name']}\n"
ESCAPED = AWS.replace(b"K", b"\\u004b", 1)

RECEIVED = {
    "text": ("text/plain", b"first\nkey " + AWS + b" here\nlast", b"first\nkey " + MASK + b" here\nlast"),
    "no type": ("", b"key " + AWS, b"key " + MASK),
    "html": ("text/html; charset=utf-8", b"<p>" + AWS + b"</p>\n", b"<p>" + MASK + b"</p>\n"),
    "json": ("application/json", b'{"a": 1, "k": "' + AWS + b'", "z": [2]}', b'{"a": 1, "k": "' + MASK + b'", "z": [2]}'),
    "json with escapes": ("application/problem+json", b'{"k": "' + ESCAPED + b'"}', b'{"k": "' + MASK + b'"}'),
    "json that is broken": ("application/json", b'{"k": "' + AWS + b'"', b'{"k": "' + MASK + b'"'),
    "json in text": ("text/plain", b'{"k": "' + ESCAPED + b'"}', b'{"k": "' + MASK + b'"}'),
    "lines": (
        "application/x-ndjson",
        b'{"a": 1}\n{"k": "' + ESCAPED + b'"}\n{"b": 2}',
        b'{"a": 1}\n{"k": "' + MASK + b'"}\n{"b": 2}',
    ),
    "events": (
        "text/event-stream",
        b"event: x\r\ndata: {\"k\": \"" + AWS + b'"}\r\n\r\n: ping\n\ndata: ' + AWS + b"\n\ndata: [DONE]\n\n",
        b"event: x\r\ndata: {\"k\": \"" + MASK + b'"}\r\n\r\n: ping\n\ndata: ' + MASK + b"\n\ndata: [DONE]\n\n",
    ),
    "an event of several lines": (
        "text/event-stream",
        b'data: {"a": 1,\nid: 7\ndata: "k": "' + ESCAPED + b'"}\n\n',
        b'data: {"a": 1,\ndata: "k": "' + MASK + b'"}\nid: 7\n\n',
    ),
    "a comment in events": ("text/event-stream", b": " + AWS + b"\n\ndata: x", b": " + MASK + b"\n\ndata: x"),
    "form": ("application/x-www-form-urlencoded", b"a=b+c&k=%41" + AWS[1:] + b"&z=1", b"a=b+c&k=" + MASK + b"&z=1"),
    "parts": ("multipart/form-data; boundary=x", b"--x\r\n\r\n" + AWS + b"\r\n--x--", b"--x\r\n\r\n" + MASK + b"\r\n--x--"),
    "utf-16": (
        "text/plain; charset=utf-16le",
        ("key " + AWS.decode()).encode("utf-16-le"),
        ("key " + MASK.decode()).encode("utf-16-le"),
    ),
    "utf-16 that nobody announced": (
        "application/json",
        ('{"k": "' + AWS.decode() + '"}').encode("utf-16-be"),
        ('{"k": "' + MASK.decode() + '"}').encode("utf-16-be"),
    ),
    "utf-16 of which nobody said that it is text": (
        "",
        ("key " + AWS.decode() + "\n").encode("utf-16"),
        ("key " + MASK.decode() + "\n").encode("utf-16"),
    ),
    "the same, cut off": (
        "",
        ("key " + AWS.decode()).encode("utf-16-le") + b"\x00",
        UNREAD.decode().encode("utf-16-le"),
    ),
    "binary that begins like utf-32": ("", b"\x62\x00\x00\x00\xff\xfe\xfd\xfcok", b"\x62\x00\x00\x00\xff\xfe\xfd\xfcok"),
    "the same with a key": ("", b"\x62\x00\x00\x00\xff " + AWS + b" ok", b"\x62\x00\x00\x00\xff " + MASK + b" ok"),
    "a key in what is utf-16 too": ("", b"\x62\x00\x01\x00 " + AWS + b" ", b"\x62\x00\x01\x00 " + MASK + b" "),
    "broken utf-16": ("text/plain; charset=utf-16le", b"a\x00\x00\xd8b\x00", UNREAD.decode().encode("utf-16-le")),
}  # fmt: skip


def opened(patterns: Patterns, entries: str) -> OpenMasks:
    settings = parse(TARGETS + entries, file="x", folder=Path("/x"))
    masks = OpenMasking(Masking(settings, patterns)).open("api", {}, "")
    assert masks is not None
    return masks


@pytest.fixture(scope="module")
def both(patterns: Patterns) -> OpenMasks:
    return opened(patterns, BOTH)


@pytest.fixture(scope="module")
def recorded(patterns: Patterns) -> OpenMasks:
    return opened(patterns, RECORD)


@pytest.fixture(scope="module")
def by_path(patterns: Patterns) -> OpenMasks:
    return opened(patterns, PATHS)


@pytest.fixture(scope="module")
def redactor(patterns: Patterns) -> Redactor:
    return Redactor(matcher=patterns.matcher(["secrets", "pii.card"]))


def body(masks: OpenMasks, kind: str) -> SniffedBody:
    made = masks.body(media(kind))
    assert made is not None
    return made


def sent(redactor: Redactor, kind: str, **more: int) -> SniffedBody:
    made = redactor.body(media(kind), **more)
    assert made is not None
    return made


def run(one: SniffedBody, pieces: list[bytes]) -> tuple[bytes, bytes]:
    passed = [one.feed(piece) for piece in pieces] + [one.flush()]
    return b"".join([onward for onward, _ in passed]), b"".join([kept for _, kept in passed])


@pytest.mark.parametrize("name", RECEIVED)
def test_masked_for_both_at_every_split(both: OpenMasks, name: str) -> None:
    kind, text, after = RECEIVED[name]
    whole = body(both, kind)
    assert whole.may_change
    assert whole.whole(text) == (after, after)
    assert whole.changed is (after != text)
    assert [one.detector for one in whole.sightings()] in (["secrets.aws-access-token"], [])
    for at in range(len(text) + 1):
        assert run(body(both, kind), [text[:at], text[at:]]) == (after, after), at
    assert run(body(both, kind), [text[at : at + 1] for at in range(len(text))]) == (after, after)


@pytest.mark.parametrize("name", RECEIVED)
def test_masked_for_the_record_alone(recorded: OpenMasks, name: str) -> None:
    kind, text, after = RECEIVED[name]
    assert run(body(recorded, kind), [text[at : at + 1] for at in range(len(text))]) == (text, after)
    one = body(recorded, kind)
    assert one.whole(text) == (text, after)
    assert not one.changed
    assert not one.may_change


def test_nothing_goes_on_before_it_is_recorded(recorded: OpenMasks) -> None:
    for kind, text, _ in RECEIVED.values():
        one = body(recorded, kind)
        for at in range(len(text)):
            onward, kept = one.feed(text[at : at + 1])
            assert bool(onward) <= bool(kept)


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "video/mp4", "application/zip"])
def test_what_is_no_text_is_not_looked_into(both: OpenMasks, redactor: Redactor, kind: str) -> None:
    assert both.body(media(kind)) is None
    assert redactor.body(media(kind)) is None


def test_without_hits_the_same_bytes_come_back(both: OpenMasks, by_path: OpenMasks) -> None:
    text = b'{"a": "a word\\n", "b": [1, 2.50, null]}'
    for masks in (both, by_path):
        for kind in ("application/json", "text/plain", "text/event-stream", "application/x-ndjson", ""):
            one = body(masks, kind)
            onward, kept = one.whole(text)
            assert onward is text
            assert kept is text
            assert not one.changed


def test_masked_by_path(by_path: OpenMasks) -> None:
    text = b'{"people": [{"name": "Ann", "card": {"no": 1}}, {"name": "B\\u006fb"}], "name": "shop"}'
    after = (
        b'{"people": [{"name": "[bodycam:json]", "card": "[bodycam:json]"}, {"name": "[bodycam:json]"}],'
        b' "name": "shop"}'
    )
    for kind in ("application/json", "text/plain"):
        assert run(body(by_path, kind), [text[:30], text[30:]]) == (after, after)
    event = b"data: %b\n\n"
    assert run(body(by_path, "text/event-stream"), [event % text]) == (event % after, event % after)
    lines = b"%b\n%b"
    assert run(body(by_path, "application/jsonl"), [lines % (text, text)])[0] == lines % (after, after)


def test_a_path_finds_names_that_are_written_with_escapes(by_path: OpenMasks) -> None:
    text = b'{"c\\u0061rd": 1, "b": [true]}'
    after = b'{"c\\u0061rd": "[bodycam:json]", "b": [true]}'
    assert body(by_path, "application/json").whole(text) == (after, after)


@pytest.mark.parametrize(
    ("kind", "text", "after"),
    [
        ("application/json", b'{"card": "1234"', b'"' + UNREAD + b'"'),
        ("text/event-stream", b'data: {"card": "1234"\n\n', b'data: "' + UNREAD + b'"\n\n'),
        ("text/event-stream", b"data: hello {}\n\n", b"data: hello {}\n\n"),
        ("application/x-ndjson", b'{"a": 1}\n{"card": \n', b'{"a": 1}\n"' + UNREAD + b'"\n'),
    ],
)
def test_where_a_path_leads_in_broken_json_nobody_knows(
    by_path: OpenMasks, kind: str, text: bytes, after: bytes
) -> None:
    assert run(body(by_path, kind), [text]) == (after, after)


def test_events_and_lines_go_on_at_their_end(both: OpenMasks) -> None:
    one = body(both, "text/event-stream")
    assert one.feed(b"data: a\n")[0] == b""
    assert one.feed(b"\n")[0] == b"data: a\n\n"
    assert one.feed(b"data: b\r\n\r\ndata: c")[0] == b"data: b\r\n\r\n"
    assert one.held == len(b"data: c")
    # half an event is of no use to anybody
    assert one.release_held() == (b"", b"")
    one = body(both, "application/x-ndjson")
    assert one.feed(b'{"a": 1}\n{"b"')[0] == b'{"a": 1}\n'


def test_what_waited_long_enough_goes_on(both: OpenMasks, recorded: OpenMasks) -> None:
    one = body(both, "text/plain")
    assert one.feed(b"Password? ") == (b"", b"")
    assert one.release_held() == (b"Password? ", b"Password? ")
    one = body(both, "text/plain")
    assert one.feed(b"ok") == (b"", b"")
    assert one.release_held() == (b"ok", b"ok")
    one = body(recorded, "text/plain")
    assert one.feed(b"Password? ") == (b"", b"")
    assert one.release_held() == (b"Password? ", b"Password? ")
    one = body(both, "application/json")
    assert one.feed(b'[{"a": 1}, {"b": "x')[0] == b""
    assert one.release_held()[0] == b'[{"a": 1}, {'
    assert one.flush()[0] == b'"b": "x'


def test_large_json_goes_on_in_fragments(both: OpenMasks) -> None:
    item = b'{"n": "some words", "key": "%b"},'
    text = b"[" + (item % b"none") * 3000 + item % ESCAPED + (item % b"none") * 3000 + b"0]"
    one = body(both, "application/json")
    out = []
    most = 0
    for at in range(0, len(text), 1000):
        out.append(one.feed(text[at : at + 1000])[0])
        most = max(most, one.held)
    out.append(one.flush()[0])
    assert b"".join(out) == text.replace(ESCAPED, MASK)
    assert most < 70_000


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_long_text_in_a_codec_that_nobody_announced_is_looked_into_by_lines(
    both: OpenMasks, codec: str
) -> None:
    lines = "\u0a0a\U00010a0a says nothing\n" * 20_000
    text = ("ab" + lines + AWS.decode() + "\n" + lines).encode(codec)
    one = body(both, "")
    out = []
    most = 0
    for at in range(0, len(text), 999):
        out.append(one.feed(text[at : at + 999])[0])
        most = max(most, one.held)
    out.append(one.flush()[0])
    assert b"".join(out) == ("ab" + lines + MASK.decode() + "\n" + lines).encode(codec)
    assert most < 70_000


def test_binary_that_begins_like_utf_32_goes_on_whatever_its_size(
    both: OpenMasks, redactor: Redactor
) -> None:
    data = b"\x62\x00\x00\x00" + bytes(range(256)) * 8_000
    pieces = [data[at : at + 30_001] for at in range(0, len(data), 30_001)]
    assert run(body(both, ""), pieces) == (data, data)
    assert run(sent(redactor, "", most=64 << 10), pieces) == (data, data)


@pytest.mark.parametrize(
    ("kind", "start", "end", "after"),
    [
        ("application/json", b'{"a": "', b'"}', b'"' + UNREAD + b'"'),
        ("text/event-stream", b"data: ", b"\n\ndata: b\n\n", b"data: " + UNREAD + b"\n\ndata: b\n\n"),
        ("application/x-ndjson", b'"', b'"\n{"b": 1}', b'"' + UNREAD + b'"\n{"b": 1}'),
    ],
)
def test_what_is_too_long_to_be_looked_into_is_not_shown(
    by_path: OpenMasks, kind: str, start: bytes, end: bytes, after: bytes
) -> None:
    one = body(by_path, kind)
    pieces = [start, *[b"x" * (1 << 20)] * 9, end]
    assert run(one, pieces) == (after, after)
    assert "could not be looked into" in one.unread
    assert one.changed


SENT = {
    "json": ("application/json", b'{"client_secret": "S3cr", "a": "S3"}', b'{"client_secret": "[redacted]", "a": "S3"}'),
    "a number": ("application/json", b'{"otp": 123456, "max_tokens": 5}', b'{"otp": "[redacted]", "max_tokens": 5}'),
    "camel case": ("application/json", b'{"refreshToken":"S3cr"}', b'{"refreshToken":"[redacted]"}'),
    "an escaped name": ("application/json", b'{"pass\\u0077ord": "S3cr"}', b'{"pass\\u0077ord": "[redacted]"}'),
    "an escaped key": ("application/json", b'{"x": "' + ESCAPED + b'"}', b'{"x": "[redacted]"}'),
    "json within": (
        "application/json",
        b'{"arguments": "{\\"password\\": \\"S3cr\\"}"}',
        b'{"arguments": "{\\"password\\": \\"[redacted]\\"}"}',
    ),
    "form": (
        "application/x-www-form-urlencoded",
        b"grant_type=password&username=a&password=S%33cr&client%5Fsecret=x",
        b"grant_type=password&username=a&password=[redacted]&client%5Fsecret=[redacted]",
    ),
    "a key in a form": ("application/x-www-form-urlencoded", b"q=%41" + AWS[1:], b"q=[redacted]"),
    "parts": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nS3cr\r\n--x\r\n'
        b'Content-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n[redacted]\r\n--x\r\n'
        b'Content-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
    ),
    "text": ("text/plain", b"a\npassword='S3cr'\nb", b"a\npassword='[redacted]'\nb"),
    "lines": ("application/x-ndjson", b'{"token": "S3cr"}\n{"a": 1}\n', b'{"token": "[redacted]"}\n{"a": 1}\n'),
}  # fmt: skip


@pytest.mark.parametrize("name", SENT)
def test_what_clients_send_is_redacted_in_the_record(redactor: Redactor, name: str) -> None:
    kind, text, after = SENT[name]
    assert sent(redactor, kind).whole(text) == (text, after)
    for at in range(len(text) + 1):
        assert run(sent(redactor, kind), [text[:at], text[at:]]) == (text, after), at


def test_keys_that_clients_send_are_sighted(redactor: Redactor) -> None:
    one = sent(redactor, "application/json")
    one.whole(b'{"x": "' + ESCAPED + b'"}')
    assert [(seen.detector, seen.count) for seen in one.sightings()] == [("secrets.aws-access-token", 1)]


def test_what_is_sent_goes_on_whatever_its_size(redactor: Redactor) -> None:
    one = sent(redactor, "application/json", most=100_000)
    pieces = [b'{"a": "', *[b"x" * 50_000] * 5, b'"}']
    onward, kept = run(one, pieces)
    assert onward == b"".join(pieces)
    assert kept == b'{"' + UNREAD + b'"'
    assert not one.changed


KINDS = [
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "text/a",
]
PIECES = st.lists(
    st.sampled_from(
        [b'{"k": "', b" " + AWS + b" ", b" " + ESCAPED + b" ", b'"}', b"\n", b"\r\n\r\n", b"data: ", b"&a=", b"%41", b"\\", b'"', b",", b"[", b"]", b"\xff"]
    ),
    max_size=14,
)  # fmt: skip


@given(PIECES, st.sampled_from(KINDS))
def test_a_byte_at_a_time_is_as_whole(both: OpenMasks, pieces: list[bytes], kind: str) -> None:
    text = b"".join(pieces)
    whole = body(both, kind).whole(text)
    assert AWS not in whole[0]
    assert run(body(both, kind), [text[at : at + 1] for at in range(len(text))]) == whole
    with contextlib.suppress(ValueError):
        if kind != "application/json":
            return
        assert AWS.decode() not in str(json.loads(whole[0]))
