"""Every message against its bytes, both ways."""

from collections.abc import Callable
from typing import Any

import pytest

from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.backend import Field
from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.frontend import (
    CancelRequest,
    GssEncRequest,
    SslRequest,
    Startup,
)

READ: list[tuple[Callable[[bytes], Any], str, Any]] = [
    (frontend.startup, "00000008 04d2162f", SslRequest()),
    (frontend.startup, "00000008 04d21630", GssEncRequest()),
    (
        frontend.startup,
        "00000010 04d2162e 0000002a 01020304",
        CancelRequest(bytes.fromhex("0000002a01020304")),
    ),
    (frontend.startup, "00000010 00030000 7573657200 6100 00", Startup(3, 0, {"user": "a"})),
    (frontend.startup, "00000008 00020000", Startup(2, 0, {})),
    (frontend.query, "51 0000000d 73656c656374203100", "select 1"),
    (frontend.query, "51 00000006 ff00", "\udcff"),
    (frontend.parse, "50 0000000f 7300 713100 0001 00000017", ("s", "q1", (23,))),
    (
        frontend.bind,
        "42 0000001d 7000 7300 0001 0001 0002 00000002 0102 ffffffff 0001 0001",
        ("p", "s", (1,), (b"\1\2", None), (1,)),
    ),
    (frontend.describe, "44 00000007 53 7300", ("S", "s")),
    (frontend.describe, "43 00000006 50 00", ("P", "")),
    (frontend.execute, "45 0000000a 7000 00000064", ("p", 100)),
    (frontend.execute, "45 00000009 00 ffffffff", ("", 0)),
    (
        frontend.function_call,
        "46 00000017 0000002a 0001 0001 0001 00000003 616263 0000",
        (42, ((0, 1, b"abc"),)),
    ),
    (frontend.password, "70 00000006 7000", b"p"),
    (frontend.sasl_initial_response, "70 0000000c 5300 00000002 6e2c", ("S", b"n,")),
    (frontend.sasl_initial_response, "70 0000000a 5300 ffffffff", ("S", b"")),
    (frontend.sasl_response, "70 00000007 633d62", b"c=b"),
    (
        backend.row_description,
        "54 0000001a 0001 6100 00004001 0002 00000017 0004 ffffffff 0001",
        (Field("a", 16385, 2, 23, 4, -1, 1),),
    ),
    (backend.data_row, "44 0000000f 0002 00000001 78 ffffffff", (b"x", None)),
    (backend.parameter_description, "74 0000000e 0002 00000017 00000019", (23, 25)),
    (backend.command_complete, "43 0000000f 494e53455254203020 3500", "INSERT 0 5"),
    (backend.ready_for_query, "5a 00000005 54", ord("T")),
    (backend.error_fields, "45 0000000f 43343236303100 4d6e00 00", [("C", "42601"), ("M", "n")]),
    (backend.notification, "41 0000000c 0000002a 6300 7000", (42, "c", "p")),
    (backend.parameter_status, "53 00000008 6100 6200", ("a", "b")),
    (backend.backend_key, "4b 0000000c 0000002a 01020304", bytes.fromhex("0000002a01020304")),
    (backend.authentication, "52 0000000c 00000005 01020304", (5, b"\1\2\3\4")),
]

BUILT: list[tuple[bytes, str]] = [
    (frontend.startup_message({"user": "a"}), "00000010 00030000 7573657200 6100 00"),
    (frontend.cancel_request(bytes.fromhex("0000002a01020304")), "00000010 04d2162e 0000002a 01020304"),
    (frontend.password_message("p"), "70 00000006 7000"),
    (frontend.sasl_initial_message("S", b"n,"), "70 0000000c 5300 00000002 6e2c"),
    (frontend.sasl_message(b"c=b"), "70 00000007 633d62"),
    (frontend.terminate(), "58 00000004"),
    (backend.authentication_ok(), "52 00000008 00000000"),
    (backend.authentication_cleartext(), "52 00000008 00000003"),
    (backend.authentication_sasl(["S"]), "52 0000000b 0000000a 5300 00"),
    (backend.authentication_sasl_continue(b"r"), "52 00000009 0000000b 72"),
    (backend.authentication_sasl_final(b"v"), "52 00000009 0000000c 76"),
    (backend.backend_key_data(bytes(8)), "4b 0000000c 0000000000000000"),
    (backend.ready_for_query_message(ord("I")), "5a 00000005 49"),
    (backend.negotiate_protocol_version(0, ["_pq_.a"]), "76 00000013 00030000 00000001 5f70715f2e6100"),
    (
        backend.error_response("ERROR", "42601", "n", detail="d", hint="h"),
        "45 00000023 534552524f5200 564552524f5200 43343236303100 4d6e00 446400 486800 00",
    ),
    (
        backend.notice_response("NOTICE", "00000", "n"),
        "4e 0000001f 534e4f5449434500 564e4f5449434500 43303030303000 4d6e00 00",
    ),
]


@pytest.mark.parametrize(("read", "hexadecimal", "value"), READ, ids=lambda one: getattr(one, "__name__", ""))
def test_read(read: Callable[[bytes], Any], hexadecimal: str, value: object) -> None:
    assert read(bytes.fromhex(hexadecimal)) == value


@pytest.mark.parametrize(("built", "hexadecimal"), BUILT)
def test_built(built: bytes, hexadecimal: str) -> None:
    assert built.hex() == hexadecimal.replace(" ", "")


FREE_ENDS = (frontend.startup, frontend.sasl_response, backend.authentication, backend.backend_key)


@pytest.mark.parametrize(("read", "hexadecimal"), [row[:2] for row in READ if row[0] not in FREE_ENDS])
def test_every_cut_of_a_message_is_a_violation(read: Callable[[bytes], Any], hexadecimal: str) -> None:
    raw = bytes.fromhex(hexadecimal)
    for end in range(5, len(raw)):
        with pytest.raises(ProtocolViolation):
            read(raw[:end])


@pytest.mark.parametrize(
    ("asked", "given"), [((), [0, 0]), ((1,), [1, 1]), ((0, 1), [0, 1]), ((1, 0, 1), [1, 0])]
)
def test_result_formats_are_filled_into_a_description(asked: tuple[int, ...], given: list[int]) -> None:
    column = "00000000 0000 00000017 0004 ffffffff 0000"
    raw = bytes.fromhex(f"54 0000002e 0002 6100 {column} 6200 {column}")
    patched = backend.with_formats(raw, asked)
    assert [field.format for field in backend.row_description(patched)] == given
    assert len(patched) == len(raw)


def test_values_take_the_types_that_are_known() -> None:
    typed = frontend.typed((b"a", b"b", None), (0, 1), (25, 23))
    assert typed == ((25, 0, b"a"), (23, 1, b"b"), (0, 0, None))


def test_an_error_is_rewritten_field_by_field() -> None:
    raw = backend.error_response("ERROR", "42601", "secret", detail="secret")
    changed = backend.rewritten(ord("E"), raw, lambda text: text.replace("secret", "***"))
    assert backend.error_map(changed) == {
        "severity": "ERROR", "code": "42601", "message": "***", "detail": "***",
    }  # fmt: skip


def test_a_notification_is_rewritten_in_its_payload_only() -> None:
    raw = bytes.fromhex("41 0000000c 0000002a 6300 7000")
    assert backend.notification(backend.rewritten(ord("A"), raw, str.upper)) == (42, "c", "P")
