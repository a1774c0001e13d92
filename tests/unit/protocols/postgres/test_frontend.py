"""What clients send, as values and as bytes."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from bodycam.protocols.postgres import frontend
from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.frontend import CancelRequest, Startup


def hexed(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


@pytest.mark.parametrize(
    ("packet", "value"),
    [
        ("00000008 04d2162f", frontend.SslRequest()),
        ("00000008 04d21630", frontend.GssEncRequest()),
        ("00000010 04d2162e 0000002a 00000007", CancelRequest(hexed("0000002a 00000007"))),
        ("00000012 00030000 75736572 00 61707000 00", Startup(3, 0, {"user": "app"})),
        ("00000009 00030002 00", Startup(3, 2, {})),
        ("00000008 00020000", Startup(2, 0, {})),
    ],
)
def test_the_first_packet(packet: str, value: object) -> None:
    assert frontend.startup(hexed(packet)) == value


@pytest.mark.parametrize(
    "packet",
    [
        "00000009 04d2162f 00",  # an SSLRequest with something in it
        "0000000c 04d2162e 0000002a",  # a cancel key of four bytes
        "0000000c 00030000 75736572",  # a name without its end
        "0000000d 00030000 7573657200",  # a name without a value
        "0000000a 00030000 00 00",  # bytes behind the last parameter
        "00000008 00030000",  # no parameters and no end of them
    ],
)
def test_a_first_packet_that_is_none(packet: str) -> None:
    with pytest.raises(ProtocolViolation):
        frontend.startup(hexed(packet))


CASES: list[tuple[Callable[[bytes], Any], str, Any]] = [
    (frontend.query, "51 0000000d 73656c656374203100", "select 1"),
    (frontend.query, "51 00000005 00", ""),
    (frontend.query, "51 00000006 ff00", "\udcff"),
    (frontend.parse, "50 00000008 00 00 0000", ("", "", ())),
    (
        frontend.parse,
        "50 00000015 733100 78797a00 0002 00000017 ffffffff",
        ("s1", "xyz", (23, 4294967295)),
    ),
    (frontend.bind, "42 0000000c 00 00 0000 0000 0000", ("", "", (), (), ())),
    (
        frontend.bind,
        "42 00000021 7000 7300 0002 0000 0001 0003 ffffffff 00000000 00000001 61 0001 0001",
        ("p", "s", (0, 1), (None, b"", b"a"), (1,)),
    ),
    (frontend.describe, "44 00000006 53 00", ("S", "")),
    (frontend.describe, "44 00000008 50 703100", ("P", "p1")),
    (frontend.execute, "45 00000009 00 00000000", ("", 0)),
    (frontend.execute, "45 0000000a 7000 00000005", ("p", 5)),
    (frontend.execute, "45 00000009 00 ffffffff", ("", 0)),
    (
        frontend.function_call,
        "46 00000019 00000101 0001 0001 0002 00000001 07 ffffffff 0000",
        (257, ((0, 1, b"\7"), (0, 1, None))),
    ),
    (frontend.password, "70 0000000c 68756e7465723200", b"hunter2"),
    (frontend.sasl_initial_response, "70 0000000a 4100 ffffffff", ("A", b"")),
    (frontend.sasl_initial_response, "70 0000000d 4100 00000003 6e2c2c", ("A", b"n,,")),
    (frontend.sasl_response, "70 00000007 632c2c", b"c,,"),
]


@pytest.mark.parametrize(("read", "data", "value"), CASES)
def test_a_message_by_its_bytes(read: Callable[[bytes], Any], data: str, value: Any) -> None:
    raw = hexed(data)

    assert len(raw) == 1 + int.from_bytes(raw[1:5], "big"), "the case itself is wrong"
    assert read(raw) == value


@pytest.mark.parametrize(
    ("read", "data", "value"), [case for case in CASES if case[0] is not frontend.sasl_response]
)
def test_a_message_cut_short_or_with_bytes_too_many_is_refused(
    read: Callable[[bytes], Any], data: str, value: Any
) -> None:
    raw = hexed(data)
    for end in range(5, len(raw)):
        with pytest.raises(ProtocolViolation):
            read(raw[:end])
    with pytest.raises(ProtocolViolation, match="too many"):
        read(raw + b"\0")


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (frontend.describe, "44 00000006 58 00"),  # neither a statement nor a portal
        (frontend.bind, "42 00000010 00 00 0000 0001 fffffffe 0000"),  # a value of length -2
        (frontend.bind, "42 00000010 00 00 0000 ffff 00000000 0000"),  # 65,535 values
        (frontend.parse, "50 00000008 00 00 ffff"),  # 65,535 types
    ],
)
def test_a_message_that_makes_no_sense_is_refused(read: Callable[[bytes], Any], data: str) -> None:
    with pytest.raises(ProtocolViolation):
        read(hexed(data))


def test_one_format_holds_for_all_values_and_none_means_text() -> None:
    values = (b"a", b"b")

    assert frontend.typed(values, (1,), (23,)) == ((23, 1, b"a"), (0, 1, b"b"))
    assert frontend.typed(values, (), ()) == ((0, 0, b"a"), (0, 0, b"b"))
    assert frontend.typed(values, (0, 1), (25, 23)) == ((25, 0, b"a"), (23, 1, b"b"))


def test_what_the_gateway_itself_sends_as_a_client() -> None:
    assert frontend.startup_message({"user": "app"}) == hexed("00000012 00030000 75736572 00 61707000 00")
    assert hexed("00000008 04d2162f") == frontend.SSL_REQUEST
    assert frontend.cancel_request(b"\0\0\0*key!") == hexed("00000010 04d2162e 0000002a 6b657921")
    assert frontend.password_message("pw") == hexed("70 00000007 707700")
    assert frontend.sasl_initial_message("A", b"n,,") == hexed("70 0000000d 4100 00000003 6e2c2c")
    assert frontend.sasl_message(b"c") == hexed("70 00000005 63")
    assert frontend.terminate() == hexed("58 00000004")


@pytest.mark.parametrize("size", [8, 36, 260])
def test_cancel_keys_of_every_length_that_a_server_may_give(size: int) -> None:
    key = bytes(size - 4) + struct.pack(">I", size)

    assert frontend.startup(frontend.cancel_request(key)) == CancelRequest(key)


def test_a_nul_can_not_be_sent_inside_a_string() -> None:
    with pytest.raises(ValueError, match="NUL"):
        frontend.password_message("a\0b")


@pytest.mark.parametrize("tag", ["53", "48", "58", "63"])
def test_a_message_without_a_body_must_have_none(tag: str) -> None:
    frontend.nothing(hexed(tag + "00000004"))
    with pytest.raises(ProtocolViolation, match="with a body"):
        frontend.nothing(hexed(tag + "00000005 00"))
