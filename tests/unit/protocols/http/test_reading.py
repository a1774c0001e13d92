"""Bodies as people read them, in whatever pieces they came."""

import pytest

from bodycam.protocols.http.reading import WORD_MOST, BodyText, body_text


def told(kind: str, *pieces: bytes) -> list[str]:
    """What is told with each piece, and at the end."""
    body = BodyText(kind)
    return [*(body.take(piece) for piece in pieces), body.end()]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([b"{}"], ["{}", ""]),
        ([b"alone"], ["", "alone"]),
        ([b"bella", b"donna and", b" monkshood."], ["", "", "belladonna and monkshood.", ""]),
        (
            [b"data: wide", b" and long\n\n", b"data: x\n\n"],
            ["", "data: wide and long\n\n", "data: x\n\n", ""],
        ),
        ([b"one two", b"three four", b"five"], ["", "one ", "twothree ", "fourfive"]),
        ([b"stra\xc3", b"\x9fe"], ["", "", "stra\u00dfe"]),
        ([b"\xff", b"\xc3"], ["", "", "\\xff\\xc3"]),
        ([b""], ["", ""]),
    ],
)
def test_no_piece_ends_within_a_character_or_a_word(pieces: list[bytes], said: list[str]) -> None:
    assert told("text/plain", *pieces) == said


def test_what_is_too_long_for_a_word_waits_no_longer_than_for_the_next_piece() -> None:
    long = b"w" * (WORD_MOST + 1)
    assert told("text/plain", long, b"x", b"y") == ["", long.decode(), "", "xy"]


def test_of_what_is_no_text_only_the_size_is_told() -> None:
    assert told("image/png", bytes(7), bytes(9)) == ["[7 bytes]", "[9 bytes]", ""]
    assert body_text(bytes(7), "image/png") == "[7 bytes]"


def test_a_charset_is_read_over_all_pieces() -> None:
    data = "h\u00e9 \U0001f600".encode("utf-16")
    kind = "text/plain; charset=utf-16"
    for split in range(1, len(data)):
        assert (
            "".join(told(kind, data[:split], data[split:])) == body_text(data, kind) == "h\u00e9 \U0001f600"
        )
