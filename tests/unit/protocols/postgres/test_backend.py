"""What servers send, as values and as bytes."""

from collections.abc import Callable
from typing import Any

import pytest

from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.backend import Auth, Field
from bodycam.protocols.postgres.codec import ProtocolViolation


def hexed(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


CASES: list[tuple[Callable[[bytes], Any], str, Any]] = [
    (backend.row_description, "54 00000006 0000", ()),
    (
        backend.row_description,
        "54 0000001b 0001 696400 00004002 0001 00000017 0004 ffffffff 0001",
        (Field("id", 16386, 1, 23, 4, -1, 1),),
    ),
    (backend.data_row, "44 00000006 0000", ()),
    (backend.data_row, "44 00000013 0003 ffffffff 00000000 00000001 61", (None, b"", b"a")),
    (backend.parameter_description, "74 0000000e 0002 00000017 ffffffff", (23, 4294967295)),
    (backend.command_complete, "43 0000000d 53454c454354203100", "SELECT 1"),
    (backend.ready_for_query, "5a 00000005 49", ord("I")),
    (backend.error_fields, "45 0000000b 43 303000 4d 00 00", [("C", "00"), ("M", "")]),
    (backend.notification, "41 0000000f 0000002a 6a6f627300 3700", (42, "jobs", "7")),
    (backend.parameter_status, "53 00000008 6100 6200", ("a", "b")),
    (backend.backend_key, "4b 0000000c 0000002a 6b657921", b"\0\0\0*key!"),
    (backend.authentication, "52 00000008 00000000", (Auth.OK, b"")),
    (backend.authentication, "52 0000000c 00000005 01020304", (Auth.MD5, b"\1\2\3\4")),
]


@pytest.mark.parametrize(("read", "data", "value"), CASES)
def test_a_message_by_its_bytes(read: Callable[[bytes], Any], data: str, value: Any) -> None:
    raw = hexed(data)

    assert len(raw) == 1 + int.from_bytes(raw[1:5], "big"), "the case itself is wrong"
    assert read(raw) == value


@pytest.mark.parametrize(
    ("read", "data", "value"), [case for case in CASES if case[0] is not backend.authentication]
)
def test_a_message_cut_short_is_refused(read: Callable[[bytes], Any], data: str, value: Any) -> None:
    raw = hexed(data)
    for end in range(5, len(raw)):
        with pytest.raises(ProtocolViolation):
            read(raw[:end])


@pytest.mark.parametrize("read", [backend.row_description, backend.data_row, backend.parameter_description])
def test_bytes_too_many_are_refused(read: Callable[[bytes], Any]) -> None:
    with pytest.raises(ProtocolViolation, match="too many"):
        read(b"T\0\0\0\7\0\0\0")


BUILT = [
    (backend.authentication_ok(), "52 00000008 00000000"),
    (backend.authentication_cleartext(), "52 00000008 00000003"),
    (backend.authentication_sasl(["A", "B"]), "52 0000000d 0000000a 4100 4200 00"),
    (backend.authentication_sasl_continue(b"r=1"), "52 0000000b 0000000b 723d31"),
    (backend.authentication_sasl_final(b"v=1"), "52 0000000b 0000000c 763d31"),
    (backend.backend_key_data(b"\0\0\0*key!"), "4b 0000000c 0000002a 6b657921"),
    (backend.ready_for_query_message(ord("I")), "5a 00000005 49"),
    (backend.negotiate_protocol_version(0, ["_pq_.x"]), "76 00000013 00030000 00000001 5f70715f2e7800"),
    (backend.negotiate_protocol_version(0, []), "76 0000000c 00030000 00000000"),
    (
        backend.error_response("FATAL", "28000", "no"),
        "45 0000001e 53 464154414c00 56 464154414c00 43 323830303000 4d 6e6f00 00",
    ),
    (
        backend.notice_response("INFO", "00000", "x", detail="d", hint="h"),
        "4e 00000021 53 494e464f00 56 494e464f00 43 303030303000 4d 7800 44 6400 48 6800 00",
    ),
]


@pytest.mark.parametrize(("raw", "data"), BUILT)
def test_what_the_gateway_itself_sends_as_a_server(raw: bytes, data: str) -> None:
    assert raw == hexed(data)


def test_an_error_says_what_it_says_by_name() -> None:
    raw = backend.error_response("FATAL", "42501", "not\0allowed", detail="d", hint="h")

    assert backend.error_map(raw) == {
        "severity": "FATAL",
        "code": "42501",
        "message": "notallowed",
        "detail": "d",
        "hint": "h",
    }


def test_an_error_without_the_usual_fields_is_still_an_error() -> None:
    assert backend.error_map(hexed("45 00000005 00")) == {"severity": "ERROR", "code": "XX000", "message": ""}


def test_a_description_takes_the_formats_of_a_bind() -> None:
    plain = (Field("a", 0, 0, 23, 4, -1, 0), Field("b", 0, 0, 25, -1, -1, 0))
    raw = b"T" + hexed("0000002c 0002 6100 00000000 0000 00000017 0004 ffffffff 0000"
                       "6200 00000000 0000 00000019 ffff ffffffff 0000")  # fmt: skip
    raw = raw[:1] + (len(raw) - 1).to_bytes(4, "big") + raw[5:]

    def formats(*asked: int) -> list[int]:
        return [field.format for field in backend.row_description(backend.with_formats(raw, asked))]

    assert backend.row_description(raw) == plain
    assert backend.with_formats(raw, ()) == raw
    assert (formats(1), formats(0, 1), formats(1, 0)) == ([1, 1], [0, 1], [1, 0])


def test_every_text_of_what_is_said_can_be_rewritten() -> None:
    error = backend.error_response("ERROR", "22P02", "bad hunter2", detail="in hunter2")
    rewritten = backend.rewritten(ord("E"), error, lambda text: text.replace("hunter2", "*"))

    assert backend.error_map(rewritten)["message"] == "bad *"
    assert backend.error_map(rewritten)["detail"] == "in *"
    notified = backend.rewritten(ord("A"), hexed("41 0000000f 0000002a 6a6f627300 3700"), lambda _: "*")
    assert backend.notification(notified) == (42, "jobs", "*")


def test_the_mechanisms_that_a_server_offers() -> None:
    assert backend.sasl_mechanisms(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0") == [
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-256",
    ]
