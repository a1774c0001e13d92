"""What programs print: secrets cut anywhere, with sequences in them, and nothing else changed."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.config import parse
from bodycam.config.masking import Then
from bodycam.model.escape_sequences import SEQUENCE
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.masking.key_blocks import KEY_MOST
from bodycam.policy.masking.open_masking import OpenMasking
from bodycam.policy.masking.policy import Masking
from bodycam.policy.masking.stream import MOST_HELD, WINDOW
from bodycam.policy.masking.terminal import TerminalStream

AWS = b"AKIAIOSFODNN7ABCDEFG"
MASKED = b"[bodycam:secrets.aws-access-token]"
KEY = (
    b"-----BEGIN RSA PRIVATE KEY-----\r\n"
    + b"\r\n".join(b"MIIEpAIBAAKCAQEA" + bytes((65 + n,)) * 48 for n in range(20))
    + b"\r\n-----END RSA PRIVATE KEY-----\r\n"
)
MASKED_KEY = b"[bodycam:secrets.private-key]"
SEQUENCES = {
    "colour": b"\x1b[1;31m",
    "reset": b"\x1b[m",
    "erase to the right": b"\x1b[K",
    "mode": b"\x1b[?2004h",
    "title": b"\x1b]0;title\x07",
    "title with ST": b"\x1b]2;title\x1b\\",
    "link": b"\x1b]8;;http://example.org/\x1b\\",
    "device control": b"\x1bP1$r0m\x1b\\",
    "character set": b"\x1b(B",
    "keypad": b"\x1b=",
    "cursor up": b"\x1b[A",
}


def stream(matcher: Matcher) -> TerminalStream:
    return TerminalStream(matcher, lambda rule: Then.REDACT)


def run(one: TerminalStream, pieces: list[bytes]) -> bytes:
    return b"".join([one.feed(piece) for piece in pieces]) + one.flush()


def in_bytes(text: bytes) -> list[bytes]:
    return [text[at : at + 1] for at in range(len(text))]


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_at_every_place_of_a_secret_is_lifted_out_and_put_behind_its_mask(
    matcher: Matcher, name: str
) -> None:
    sequence = SEQUENCES[name]
    for at in range(1, len(AWS)):
        text = b"key " + AWS[:at] + sequence + AWS[at:] + b" ok\n"
        after = b"key " + MASKED + sequence + b" ok\n"
        assert run(stream(matcher), [text]) == after, at
        one = stream(matcher)
        out = b"".join(one.feed(byte) + one.release_words() for byte in in_bytes(text)) + one.flush()
        assert out == after, at


def test_sequences_between_all_of_its_characters(matcher: Matcher) -> None:
    chance = random.Random(1)
    for _ in range(20):
        put = [chance.choice(list(SEQUENCES.values())) for _ in AWS]
        secret = b"".join(one + sequence for one, sequence in zip(in_bytes(AWS), put, strict=True))
        text = b"$ " + secret + b"\r\n"
        cuts = sorted(chance.sample(range(len(text)), 5))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert run(stream(matcher), pieces) == b"$ " + MASKED + b"".join(put) + b"\r\n"


@pytest.mark.parametrize("at", range(len(b"first\r\nkey " + AWS + b" here\r\n")))
def test_it_is_found_at_every_split_point_while_time_passes(matcher: Matcher, at: int) -> None:
    text = b"first\r\nkey " + AWS + b" here\r\n"
    one = stream(matcher)
    out = one.feed(text[:at]) + one.release_words() + one.feed(text[at:]) + one.flush()
    assert out == b"first\r\nkey " + MASKED + b" here\r\n"


@pytest.mark.parametrize(
    "before", [b"name\x1b[10;5H", b"name\x1b[5G", b"name\x1b[2C", b"name\x1b[B", b"a\0", b"word\x1bE"]
)
def test_where_the_cursor_moves_another_word_begins(matcher: Matcher, before: bytes) -> None:
    text = before + AWS + b"\x1b[20;1Hmore\n"
    assert run(stream(matcher), [text]).replace(b"*", b"").replace(MASKED, b"") == text.replace(AWS, b"")


def test_words_that_a_step_to_the_right_divides_are_a_number_in_groups(matcher: Matcher) -> None:
    text = b"pay 4111\x1b[C1111\x1b[C1111\x1b[C1111\n"
    assert run(stream(matcher), [text]) == b"pay [bodycam:pii.card]" + b"\x1b[C" * 3 + b"\n"


@pytest.mark.parametrize(
    "text",
    [
        AWS[:9] + b"x\b \b" + AWS[9:],
        AWS[:9] + "ü\b \b".encode() + AWS[9:],
        b"".join(one + b"\b" + one for one in in_bytes(AWS))[2:],
        AWS[:9] + b"\x07" + AWS[9:],
        AWS[:9] + b" \r" + AWS[9:],
    ],
    ids=["erased", "a character erased", "bold by overstrike", "a bell", "wrapped by the shell"],
)
def test_what_the_screen_shows_is_what_is_looked_at(matcher: Matcher, text: bytes) -> None:
    assert run(stream(matcher), [b"x " + text + b"\n"]) == b"x " + MASKED + b"\n"


def test_a_word_that_the_shell_wraps_waits_for_its_rest(matcher: Matcher) -> None:
    pieces = [b"x ", *in_bytes(AWS[:9]), b" \r", *in_bytes(AWS[9:]), b"\n"]
    one = stream(matcher)
    out = b"".join(one.feed(piece) + one.release_words() for piece in pieces) + one.flush()
    assert out == b"x " + MASKED + b"\n"


def test_a_title_is_looked_into_by_itself(matcher: Matcher) -> None:
    one = stream(matcher)
    assert run(one, [b"a\x1b]0;" + AWS + b"\x07b\n"]) == b"a\x1b]0;" + MASKED + b"\x07b\n"
    assert [(seen.detector, seen.count) for seen in one.hits.take()] == [("secrets.aws-access-token", 1)]


def test_a_secret_in_a_title_within_another_is_masked_too(matcher: Matcher) -> None:
    text = AWS[:5] + b"\x1b]0;" + AWS + b"\x07" + AWS[5:] + b"\n"
    assert run(stream(matcher), [text]) == MASKED + b"\x1b]0;" + MASKED + b"\x07\n"


def test_what_was_found_is_told_once_and_by_its_text(matcher: Matcher) -> None:
    one = stream(matcher)
    run(one, [b"\x1b[31m" + AWS[:4] + b"\x1b[0m" + AWS[4:] + b"\n", b"next\n"])
    assert [(seen.detector, seen.count) for seen in one.hits.take()] == [("secrets.aws-access-token", 1)]


@pytest.mark.parametrize("colour", [b"", b"\x1b[32m"])
@pytest.mark.parametrize("piece", [1, 7, 100, 10_000])
def test_a_key_of_many_lines(matcher: Matcher, piece: int, colour: bytes) -> None:
    text = (
        b"$ cat key\r\n" + KEY.replace(b"KEY", b"K" + colour + b"EY").replace(b"\n", b"\n" + colour) + b"$ "
    )
    for waits in (False, True):
        one, out = stream(matcher), b""
        for start in range(0, len(text), piece):
            out += one.feed(text[start : start + piece])
            out += one.release_words() if waits else b""
        assert SEQUENCE.sub(b"", out + one.flush()) == b"$ cat key\r\n" + MASKED_KEY + b"\r\n$ "


def test_a_terminal_does_not_fall_silent_behind_the_first_line_of_a_key(matcher: Matcher) -> None:
    one = stream(matcher)
    out = one.feed(b"$ head -1 key\r\n" + KEY[:33]) + one.feed(b"user@host:~$ ")
    out += one.release_words()
    assert out == b"$ head -1 key\r\n" + MASKED_KEY + b"user@host:~$ "
    assert one.feed(b"ls\r\nfile\r\n") == b"ls\r\nfile\r\n"


def test_the_words_of_a_first_line_in_other_text_end_at_once(matcher: Matcher) -> None:
    text = b'if "-----BEGIN RSA PRIVATE KEY-----" in text:\r\n    print()\r\n'
    after = b'if "' + MASKED_KEY + b'" in text:\r\n    print()\r\n'
    assert run(stream(matcher), [text]) == after
    assert run(stream(matcher), in_bytes(text)) == after


def test_a_key_without_an_end_is_over_at_some_time(matcher: Matcher) -> None:
    one = stream(matcher)
    text = KEY[:33] + b"MIIEpAIBAAKCAQEA0123\r\n" * 8_000
    out = run(one, [text[at : at + 1000] for at in range(0, len(text), 1000)])
    assert out.startswith(MASKED_KEY)
    assert len(out) < len(text) - KEY_MOST + 100


@pytest.mark.parametrize(
    "shown",
    [
        b"password: ",
        b"$ ",
        b"\x1b]0;~\x07\x1b[32muser@host\x1b[0m:~$ ",
        b"\r 45% [###  ] ",
        b"[Y/n] ",
        b"sure? ",
    ],
)
def test_a_prompt_does_not_wait_for_the_end_of_its_line(matcher: Matcher, shown: bytes) -> None:
    one = stream(matcher)
    assert one.feed(shown) + one.release_words() == shown
    assert one.held == 0


def test_what_is_typed_shows_letter_by_letter_unless_it_may_become_something(matcher: Matcher) -> None:
    one = stream(matcher)
    shown = b"".join(one.feed(letter) + one.release_words() for letter in in_bytes(b"$ cat /etc/hosts"))
    assert shown == b"$ cat /etc/hosts"
    held = b"".join(one.feed(letter) + one.release_words() for letter in in_bytes(b" " + AWS))
    assert held == b" "
    assert one.feed(b"\r\n") == MASKED + b"\r\n"
    # and a value behind its key
    assert one.feed(b"password=h") + one.release_words() == b""
    assert one.release_held() == b"password=h"


def test_half_a_sequence_waits_for_its_rest_however_long(matcher: Matcher) -> None:
    one = stream(matcher)
    assert one.feed(b"red\x1b[3") == b""
    assert one.release_held() == b"red"
    assert one.release_held() == b""
    assert one.held == 3
    assert one.feed(b"1m now\n") == b"\x1b[31m now\n"


def test_a_string_without_an_end_is_text_when_it_gets_too_long(matcher: Matcher) -> None:
    one = stream(matcher)
    text = b"\x1bPq" + b"#0;2;0;0;0" * 50_000 + b" " + AWS + b"\n"
    out = b""
    for at in range(0, len(text), 3000):
        out += one.feed(text[at : at + 3000])
        assert len(one._held) <= MOST_HELD + 3000
    assert out + one.flush() == text.replace(AWS, MASKED)


def test_an_archive_stays_as_long_as_it_was(matcher: Matcher) -> None:
    head = b".env" + b"\0" * 508
    text = head + b"id " + AWS + b"\n" + b"\0" * 400 + b"key\0" + KEY + b"\0" * 100 + b"\xff\xfe\x1b\x9c"
    for piece in (1, 100, 100_000):
        out = run(stream(matcher), [text[at : at + piece] for at in range(0, len(text), piece)])
        assert len(out) == len(text)
        assert AWS not in out
        assert b"MIIE" not in out
        assert out.startswith(head)


def test_names_that_zero_bytes_divide_are_text(matcher: Matcher) -> None:
    text = b"HOME=/root\0KEY=" + AWS + b"\0LANG=C\0"
    assert run(stream(matcher), [text]) == text.replace(AWS, MASKED)


def test_a_stream_without_line_ends_is_held_in_bounds(matcher: Matcher) -> None:
    chance = random.Random(2)
    words = b"\x1b[0m ".join(chance.randbytes(6).hex().encode() for _ in range(30_000))
    for place in (10, MOST_HELD - 10, MOST_HELD - WINDOW, 3 * MOST_HELD // 2, len(words) - 5):
        at = words.rfind(b" ", 0, place) + 1
        text = words[:at] + AWS[:6] + b"\x1b[m" + AWS[6:] + b" " + words[at:]
        one, out = stream(matcher), b""
        for start in range(0, len(text), 1000):
            out += one.feed(text[start : start + 1000])
            assert one.held <= MOST_HELD
        assert out + one.flush() == words[:at] + MASKED + b"\x1b[m " + words[at:]


@pytest.mark.parametrize(("audience", "named"), [("", "both"), (", mask: record", "record")])
def test_the_masks_of_a_session_have_a_stream_for_each_that_a_program_says(
    patterns: Patterns, audience: str, named: str
) -> None:
    target = "targets: {api: {protocol: http, address: 'api:80'}}\n"
    entries = f"masking: [{{detect: [secrets]{audience}}}]\n"
    settings = parse(target + entries, file="x", folder=Path("/x"))
    masks = OpenMasking(Masking(settings, patterns)).open("api", {}, "")
    assert masks is not None
    streams = masks.terminal()
    assert streams is not None
    assert [name for name in ("both", "record") if getattr(streams, name) is not None] == [named]
    output, errors = getattr(streams, named)(), getattr(streams, named)()
    assert output.feed(AWS[:9]) + errors.feed(AWS[9:] + b"\n") == AWS[9:] + b"\n"
    assert output.feed(b"\x1b[0m" + AWS[9:]) + output.flush() == MASKED + b"\x1b[0m"
    assert [(one.detector, one.count) for one in streams.sightings()] == [("secrets.aws-access-token", 1)]
    assert masks.sightings() == []


pieces = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [*SEQUENCES.values(), b"\x1b", b"\x1b[", b"\x1b]", b"\n", b"\r\n", b" ", b"\b", b"\b \b"]
        ),
        st.text(max_size=12).map(str.encode),
        st.sampled_from([KEY[:31], KEY[:33], KEY[33:99], KEY[-35:], AWS[:9], b"4111 1111 "]),
    ),
    max_size=14,
)


@settings(max_examples=400, deadline=None)
@given(pieces, st.integers(1, 7), st.sampled_from(["", "words", "held"]))
def test_text_without_secrets_comes_out_as_it_was(
    matcher: Matcher, parts: list[bytes], size: int, released: str
) -> None:
    text = b"".join(parts)
    one, out = stream(matcher), b""
    for at in range(0, len(text), size):
        out += one.feed(text[at : at + size])
        out += {"": bytes, "words": one.release_words, "held": one.release_held}[released]()
    out += one.flush()
    if one.changed:
        assert re.search(rb"\[bodycam:|\*", out) or b"PRIVATE KEY" in text
    else:
        assert out == text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*SEQUENCES.values(), b"\x1b[0m"]), min_size=1, max_size=3), st.data())
def test_a_secret_cut_and_strewn_at_random_is_masked(
    matcher: Matcher, strewn: list[bytes], data: st.DataObject
) -> None:
    secret = AWS
    for sequence in strewn:
        at = data.draw(st.integers(1, len(secret) - 1))
        at = next((m.end() for m in SEQUENCE.finditer(secret) if m.start() < at < m.end()), at)
        secret = secret[:at] + sequence + secret[at:]
    text = b"it is\t" + secret + b"\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=4)))
    one, out = stream(matcher), b""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        out += one.feed(text[start:end]) + one.release_words()
    assert out + one.flush() == b"it is\t" + MASKED + b"".join(SEQUENCE.findall(secret)) + b"\r\n"
