"""What the gateway itself says: bytes before a login, and lines beside a program's output."""

import pytest

from bodycam.protocols.ssh.answers import aside, refusal


@pytest.mark.parametrize("message", ["", "no", "the gateway has too many connections", "ü" * 300])
def test_a_refusal_is_a_greeting_and_a_disconnect_in_whole_blocks(message: str) -> None:
    greeting, packet = refusal(message, "Wait.").split(b"\r\n", 1)
    assert greeting == b"SSH-2.0-bodycam"
    size, padding = int.from_bytes(packet[:4], "big"), packet[4]
    assert (len(packet), len(packet) % 8, padding >= 4) == (4 + size, 0, True)
    content = packet[5 : len(packet) - padding]
    length = int.from_bytes(content[5:9], "big")
    said = content[9 : 9 + length].decode()
    assert (content[0], int.from_bytes(content[1:5], "big"), said) == (1, 11, f"{message}. Wait.")
    assert content[9 + length :] == bytes(4)


@pytest.mark.parametrize(
    ("text", "terminal", "said"),
    [
        ("one\ntwo", False, b"bodycam: one\nbodycam: two\n"),
        ("one\ntwo", True, b"bodycam: one\r\nbodycam: two\r\n"),
        ("\x1b]0;title\x07", False, b"bodycam: \\x1b]0;title\\x07\n"),
        ("over\rwritten", False, b"bodycam: over\nbodycam: written\n"),
        ("", False, b"bodycam: \n"),
    ],
)
def test_lines_of_the_gateways_own_move_no_cursor(text: str, terminal: bool, said: bytes) -> None:
    assert aside(text, terminal=terminal) == said
