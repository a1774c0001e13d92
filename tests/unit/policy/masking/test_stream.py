"""Streams in pieces: every split point, held back in bounds, nothing changed that is not masked."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.config.masking import Then
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.masking.stream import MOST_HELD, WINDOW, TextStream, fitted

AWS = b"AKIAIOSFODNN7ABCDEFG"
MASKED = b"[bodycam:secrets.aws-access-token]"
KEY = (
    b"-----BEGIN RSA PRIVATE KEY-----\n"
    + b"\n".join(b"MIIEpAIBAAKCAQEA" + bytes((65 + n,)) * 48 for n in range(20))
    + b"\n-----END RSA PRIVATE KEY-----\n"
)
MASKED_KEY = b"[bodycam:secrets.private-key]"
TEXTS = {
    "in a line": (b"first\nkey " + AWS + b" here\nlast", b"first\nkey " + MASKED + b" here\nlast"),
    "at the start": (AWS + b"\nx", MASKED + b"\nx"),
    "at the end": (b"x\n" + AWS, b"x\n" + MASKED),
    "alone": (AWS, MASKED),
    "behind its key in another line": (
        b"aws_secret_access_key =\n 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzz0123AB'\n",
        b"aws_secret_access_key =\n '[bodycam:secrets.aws-secret-access-key]'\n",
    ),
    "with blanks in it": (b"pay 4111 1111 1111 1111\n", b"pay [bodycam:pii.card]\n"),
    "over many lines": (b"key:\n" + KEY + b"done\n", b"key:\n" + MASKED_KEY + b"\ndone\n"),
    "nothing": (b"plain\ntext with words\n\n\xff\xfe\x00", b"plain\ntext with words\n\n\xff\xfe\x00"),
}


def stream(matcher: Matcher, **more: object) -> TextStream:
    return TextStream(matcher, lambda rule: Then.REDACT, **more)  # type: ignore[arg-type]


def run(one: TextStream, pieces: list[bytes]) -> bytes:
    return b"".join([one.feed(piece) for piece in pieces]) + one.flush()


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_found_at_every_split_point(matcher: Matcher, name: str) -> None:
    text, after = TEXTS[name]
    for at in range(len(text) + 1):
        assert run(stream(matcher), [text[:at], text[at:]]) == after, at


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_found_a_byte_at_a_time(matcher: Matcher, name: str) -> None:
    text, after = TEXTS[name]
    assert run(stream(matcher), [text[at : at + 1] for at in range(len(text))]) == after


def test_a_whole_line_goes_on_at_once(matcher: Matcher) -> None:
    one = stream(matcher)
    assert one.feed(b"a line\nand a p") == b"a line\n"
    assert one.held == len(b"and a p")
    assert one.feed(b"art\n") == b"and a part\n"


def test_what_is_held_goes_on_when_time_is_up(matcher: Matcher) -> None:
    one = stream(matcher)
    assert one.feed(b"prompt> ") == b""
    assert one.release_held() == b"prompt> "
    assert one.release_held() == b""
    assert one.feed(AWS + b"\n") == MASKED + b"\n"
    assert [(seen.detector, seen.count) for seen in one.hits.take()] == [("secrets.aws-access-token", 1)]


@pytest.mark.parametrize("name", TEXTS)
def test_words_that_have_begun_wait_on_so_that_a_slow_secret_is_found(matcher: Matcher, name: str) -> None:
    text, after = TEXTS[name]
    one = stream(matcher)
    out = [one.feed(text[at : at + 1]) + one.release_words() for at in range(len(text))]
    assert b"".join(out) + one.flush() == after


def test_whole_words_go_on_and_a_word_without_end_does_not_wait_for_ever(matcher: Matcher) -> None:
    one = stream(matcher)
    one.feed(b"it costs 12 euro (abo")
    assert one.release_words() == b"it costs 12 euro ("
    assert one.release_words() == b""
    one.feed(b"ut) 12 ")
    # a number may go on in another group
    assert one.release_words() == b"about) "
    one.feed(b"x" * WINDOW)
    assert one.release_words() == b"12 " + b"x" * WINDOW


def test_the_rest_of_a_token_that_was_let_go_is_masked(matcher: Matcher) -> None:
    one = stream(matcher)
    one.feed(AWS[:10])
    assert one.release_held() == AWS[:10]
    assert one.feed(AWS[10:] + b"\n") == MASKED + b"\n"


def test_a_stream_without_line_ends_is_held_in_bounds(matcher: Matcher) -> None:
    chance = random.Random(2)
    words = b" ".join(chance.randbytes(6).hex().encode() for _ in range(40_000))
    for at in (10, MOST_HELD - 10, MOST_HELD - WINDOW, 3 * MOST_HELD // 2, len(words) - 5):
        at = words.rfind(b" ", 0, at) + 1
        text = words[:at] + AWS + b" " + words[at:]
        one = stream(matcher)
        out = []
        for start in range(0, len(text), 1000):
            out.append(one.feed(text[start : start + 1000]))
            assert one.held <= MOST_HELD
        assert b"".join(out) + one.flush() == words[:at] + MASKED + b" " + words[at:]


def test_a_token_longer_than_any_secret_goes_on(matcher: Matcher) -> None:
    text = b"x" * (4 * MOST_HELD)
    one = stream(matcher)
    assert run(one, [text[at : at + 5000] for at in range(0, len(text), 5000)]) == text


@pytest.mark.parametrize("piece", [7, 4096, 1 << 20])
def test_a_key_without_an_end_is_taken_out_to_the_end(matcher: Matcher, piece: int) -> None:
    text = b"a\n" + KEY[:31] + b"\nMIIEpAIBAAKCAQEA0123" * 8_000
    one = stream(matcher)
    out = []
    for start in range(0, len(text), piece):
        out.append(one.feed(text[start : start + piece]))
        assert one.held <= MOST_HELD
    assert b"".join(out) + one.flush() == b"a\n" + MASKED_KEY


@pytest.mark.parametrize("piece", [100, 4096, 1 << 20])
def test_what_follows_the_end_of_an_endless_key_is_there(matcher: Matcher, piece: int) -> None:
    text = (
        b"a\n"
        + KEY[:31]
        + b"\nMIIEpAIBAAKCAQEA0123" * 8_000
        + b"\n-----END RSA PRIVATE KEY-----\nand "
        + AWS
        + b"\n"
    )
    one = stream(matcher)
    after = run(one, [text[start : start + piece] for start in range(0, len(text), piece)])
    assert after == b"a\n" + MASKED_KEY + b"\nand " + MASKED + b"\n"


def test_a_key_that_is_being_held_is_masked_when_time_is_up(matcher: Matcher) -> None:
    one = stream(matcher)
    assert one.feed(b"x\n" + KEY[:200]) == b"x\n"
    assert one.release_held() == MASKED_KEY
    assert one.feed(KEY[200:] + b"y\n") == b"\ny\n"


def test_a_mask_of_the_same_size_keeps_the_length(matcher: Matcher) -> None:
    for text, _ in TEXTS.values():
        for piece in (1, 5, 1000):
            one = stream(matcher, same_size=True)
            after = run(one, [text[start : start + piece] for start in range(0, len(text), piece)])
            assert len(after) == len(text)
            assert AWS not in after
            assert b"MIIE" not in after
    assert fitted(b"[m]", 5) == b"[m]**"
    assert fitted(b"[mask]", 5) == b"*****"


def test_a_stream_has_no_null(matcher: Matcher) -> None:
    one = TextStream(matcher, lambda rule: Then.NULL)
    assert run(one, [b"x " + AWS]) == b"x " + MASKED


pieces = st.lists(
    st.one_of(
        st.binary(max_size=20), st.sampled_from([AWS, AWS[:9], AWS[9:], b"\n", b" ", b"4111111111111111"])
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(pieces, st.integers(1, 7))
def test_pieces_give_what_the_whole_gives_line_by_line(
    matcher: Matcher, parts: list[bytes], size: int
) -> None:
    text = b"".join(parts)
    whole = run(stream(matcher), [text])
    assert run(stream(matcher), [text[at : at + size] for at in range(0, len(text), size)]) == whole
    if not matcher.find(text):
        assert whole == text
