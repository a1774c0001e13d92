"""Frames of WebSocket: what is taken, at every split, and what ends the connection by which code."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.protocols.http.frames import (
    PIECES_MOST,
    BadFrame,
    Code,
    Messages,
    Opcode,
    checked,
    close_code,
    closing,
    frame,
    unmasked,
)

KEY = b"\x37\xfa\x21\x3d"
MOST = 70_000


def piece(opcode: int, payload: bytes, *, final: bool = False, key: bytes = b"") -> bytes:
    whole = frame(Opcode.TEXT, payload, key)
    return bytes((opcode | (0x80 if final else 0),)) + whole[1:]


def read(pieces: list[bytes], *, masked: bool = False, most: int = MOST) -> list[tuple[Opcode, bytes]]:
    messages = Messages(masked=masked, most=most)
    found = []
    for one in pieces:
        messages.add(one)
        while (message := messages.take()) is not None:
            checked(message)
            found.append((message.opcode, message.payload))
    return found


def test_the_examples_of_the_standard() -> None:
    """RFC 6455, section 5.7."""
    assert read([bytes.fromhex("810548656c6c6f")]) == [(Opcode.TEXT, b"Hello")]
    assert read([bytes.fromhex("818537fa213d7f9f4d5158")], masked=True) == [(Opcode.TEXT, b"Hello")]
    assert read([bytes.fromhex("010348656c80026c6f")]) == [(Opcode.TEXT, b"Hello")]
    assert read([bytes.fromhex("890548656c6c6f")]) == [(Opcode.PING, b"Hello")]
    assert read([bytes.fromhex("827e0100") + bytes(256)]) == [(Opcode.BINARY, bytes(256))]
    assert read([bytes.fromhex("827f0000000000010000") + bytes(65536)]) == [(Opcode.BINARY, bytes(65536))]
    assert frame(Opcode.TEXT, b"Hello", KEY) == bytes.fromhex("818537fa213d7f9f4d5158")


TALK = [
    (Opcode.TEXT, "häl\u20aco".encode()),
    (Opcode.BINARY, bytes(range(200))),
    (Opcode.TEXT, b""),
    (Opcode.PONG, b"now"),
    (Opcode.CLOSE, struct.pack("!H", 1000) + b"bye"),
]


@pytest.mark.parametrize("key", [b"", KEY])
def test_messages_at_every_split(key: bytes) -> None:
    wire = b"".join(frame(*one, key) for one in TALK)
    for at in range(len(wire) + 1):
        assert read([wire[:at], wire[at:]], masked=bool(key)) == TALK
    assert read([wire[at : at + 1] for at in range(len(wire))], masked=bool(key)) == TALK


def test_a_message_in_pieces_with_a_ping_between_them() -> None:
    messages = Messages(masked=True, most=MOST)
    parts = [piece(1, b"one ", key=KEY), frame(Opcode.PING, b"?", KEY), piece(0, b"", key=KEY)]
    parts += [piece(0, b"two", final=True, key=KEY)]
    messages.add(b"".join(parts))
    ping, whole = messages.take(), messages.take()
    assert ping is not None
    assert (ping.opcode, ping.payload, ping.raw, ping.control) == (Opcode.PING, b"?", parts[1], True)
    assert whole is not None
    assert (whole.opcode, whole.payload, whole.control) == (Opcode.TEXT, b"one two", False)
    # what goes on is what came
    assert whole.raw == parts[0] + parts[2] + parts[3]
    assert messages.take() is None


def test_nothing_is_taken_behind_a_close() -> None:
    wire = frame(Opcode.CLOSE, b"") + frame(Opcode.TEXT, b"more") + b"\xff\xff"
    messages = Messages(masked=False, most=MOST)
    messages.add(wire)
    last = messages.take()
    assert last is not None
    assert (last.opcode, close_code(last.payload), messages.closed) == (Opcode.CLOSE, 1005, True)
    messages.add(b"\xff\xff")
    assert messages.take() is None


BAD: dict[str, tuple[bytes, bool, Code]] = {
    "not masked": (frame(Opcode.TEXT, b"a"), True, Code.PROTOCOL),
    "masked": (frame(Opcode.TEXT, b"a", KEY), False, Code.PROTOCOL),
    "first reserved bit": (b"\xc1\x01a", False, Code.PROTOCOL),
    "second reserved bit": (b"\xa1\x01a", False, Code.PROTOCOL),
    "third reserved bit": (b"\x91\x01a", False, Code.PROTOCOL),
    "opcode 3": (b"\x83\x01a", False, Code.PROTOCOL),
    "opcode 15": (b"\x8f\x01a", False, Code.PROTOCOL),
    "ping in pieces": (b"\x09\x01a", False, Code.PROTOCOL),
    "long ping": (b"\x89\x7e\x00\x7e" + bytes(126), False, Code.PROTOCOL),
    "16 bits for 125": (b"\x81\x7e\x00\x7d" + bytes(125), False, Code.PROTOCOL),
    "64 bits for 65535": (b"\x81\x7f" + struct.pack("!Q", 65535), False, Code.PROTOCOL),
    "a length below zero": (b"\x81\x7f" + b"\xff" * 8, False, Code.PROTOCOL),
    "goes on without a beginning": (piece(0, b"a", final=True), False, Code.PROTOCOL),
    "begins within another": (piece(1, b"a") + frame(Opcode.TEXT, b"b"), False, Code.PROTOCOL),
    "too long": (b"\x81\x7f" + struct.pack("!Q", MOST + 1), False, Code.TOO_BIG),
    "too long in pieces": (piece(1, bytes(MOST - 1)) + piece(0, b"ab"), False, Code.TOO_BIG),
    "too many pieces": (piece(1, b"") + piece(0, b"") * PIECES_MOST, False, Code.TOO_BIG),
    "no UTF-8": (frame(Opcode.TEXT, b"\xff"), False, Code.NO_UTF8),
    "a surrogate": (frame(Opcode.TEXT, b"\xed\xa0\x80"), False, Code.NO_UTF8),
    "half a letter": (piece(1, b"\xc3") + piece(0, b"", final=True), False, Code.NO_UTF8),
    "half a code": (frame(Opcode.CLOSE, b"\x03"), False, Code.PROTOCOL),
    **{
        f"closed by {code}": (frame(Opcode.CLOSE, struct.pack("!H", code)), False, Code.PROTOCOL)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)
    },
    "no UTF-8 in a Close": (frame(Opcode.CLOSE, b"\x03\xe8\xff"), False, Code.NO_UTF8),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_not_to_the_letter_ends_it(what: str) -> None:
    wire, masked, code = BAD[what]
    sizes = (1, len(wire)) if len(wire) < 1000 else (len(wire),)
    for size in sizes:
        with pytest.raises(BadFrame) as caught:
            read([wire[at : at + size] for at in range(0, len(wire), size)], masked=masked)
        assert caught.value.code is code


def test_a_length_is_refused_before_its_bytes_come() -> None:
    messages = Messages(masked=True, most=1000)
    messages.add(b"\x82\xfe\x03\xe9")
    with pytest.raises(BadFrame, match="longer than 1000"):
        messages.take()


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_these_codes_may_be_said(code: int) -> None:
    assert read([frame(Opcode.CLOSE, struct.pack("!H", code))])[0][0] is Opcode.CLOSE


def test_a_long_reason_is_cut_between_letters() -> None:
    payload = closing(Code.POLICY, "ä" * 100)
    assert len(payload) == 2 + 122
    assert payload[2:].decode() == "ä" * 61


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masks_come_off_as_they_went_on(payload: bytes, key: bytes) -> None:
    masked = unmasked(payload, key)
    assert masked == bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    assert unmasked(masked, key) == payload
