"""Messages that a server sends: read for the proxy, and built where the gateway is itself the server.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.reading import Body, message, text

KEY_LEAST, KEY_MOST = 4 + 4, 4 + 256
"""The lengths of a process number and its secret; protocol 3.0 has secrets of 4 bytes only."""

_ROWS_MOST: Final = 2**63 - 1

# https://www.postgresql.org/docs/current/protocol-error-fields.html
_FIELDS = {"V": "severity", "C": "code", "M": "message", "D": "detail", "H": "hint"}


class Auth(IntEnum):
    """The kinds of Authentication message."""

    OK = 0
    KERBEROS = 2
    CLEARTEXT = 3
    MD5 = 5
    GSS = 7
    GSS_CONTINUE = 8
    SSPI = 9
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a RowDescription; `table` and `attribute` are 0 where the column's origin is lost."""

    name: str
    table: int
    attribute: int
    type: int
    size: int
    modifier: int
    format: int


def row_description(raw: bytes) -> tuple[Field, ...]:
    """The columns of a RowDescription."""
    body = Body(raw)
    fields = tuple(
        Field(
            body.text(), body.uint32(), body.int16(), body.uint32(), body.int16(), body.int32(), body.int16()
        )
        for _ in range(body.count())
    )
    body.end()
    return fields


def with_formats(raw: bytes, formats: Sequence[int]) -> bytes:
    """A RowDescription with the result formats that a Bind asked for: none, one for all, or one each."""
    fields = row_description(raw)
    parts = [struct.pack(">H", len(fields))]
    for place, field in enumerate(fields):
        if len(formats) == 1:
            form = formats[0]
        else:
            form = formats[place] if place < len(formats) else 0
        parts.append(text(field.name))
        parts.append(
            struct.pack(">IhIhih", field.table, field.attribute, field.type, field.size, field.modifier, form)
        )
    return message(b"T", *parts)


def renamed(raw: bytes, change: Callable[[str], str]) -> bytes:
    """A RowDescription with the name of each column changed; the same object where none is."""
    fields = row_description(raw)
    names = [change(field.name) for field in fields]
    if all(name == field.name for name, field in zip(names, fields, strict=True)):
        return raw
    parts = [struct.pack(">H", len(fields))]
    for name, field in zip(names, fields, strict=True):
        rest = (field.table, field.attribute, field.type, field.size, field.modifier, field.format)
        parts += [text(name), struct.pack(">IhIhih", *rest)]
    return message(b"T", *parts)


def data_row(raw: bytes) -> tuple[bytes | None, ...]:
    """The values of a DataRow."""
    body = Body(raw)
    values = tuple(body.value() for _ in range(body.count()))
    body.end()
    return values


def parameter_description(raw: bytes) -> tuple[int, ...]:
    """The OIDs of a ParameterDescription."""
    body = Body(raw)
    types = tuple(body.uint32() for _ in range(body.count()))
    body.end()
    return types


def command_complete(raw: bytes) -> str:
    """The tag of a CommandComplete, such as `INSERT 0 5`."""
    return Body(raw).text()


def rows_of(tags: str) -> int:
    """How many rows the command tags report, `; ` between them: `INSERT 0 5` is 5."""
    total = 0
    for tag in tags.split("; "):
        count = tag[tag.rfind(" ") + 1 :]
        # no server counts further than 64 bits, and no record holds more
        if len(count) < 20 and count.isascii() and count.isdigit():
            total += int(count)
    return min(total, _ROWS_MOST)


def ready_for_query(raw: bytes) -> int:
    """The transaction status: `I` idle, `T` in a transaction, `E` in a failed one."""
    return Body(raw).byte()


def error_fields(raw: bytes) -> list[tuple[str, str]]:
    """The fields of an ErrorResponse or NoticeResponse, in order, by their letters."""
    body = Body(raw)
    fields = []
    while letter := body.byte():
        fields.append((chr(letter), body.text()))
    return fields


def error_map(raw: bytes) -> dict[str, str]:
    """What an ErrorResponse says, by the names severity, code, message, detail and hint."""
    found = {_FIELDS[letter]: value for letter, value in error_fields(raw) if letter in _FIELDS}
    return {"severity": "ERROR", "code": "XX000", "message": "", **found}


def notification(raw: bytes) -> tuple[int, str, str]:
    """The process number, channel and payload of a NotificationResponse."""
    body = Body(raw)
    return body.int32(), body.text(), body.text()


def rewritten(tag: int, raw: bytes, change: Callable[[str], str]) -> bytes:
    """An ErrorResponse, NoticeResponse or NotificationResponse with every text of it changed.

    Of a ParameterStatus it is the value alone.
    """
    if tag == ord("S"):
        name, value = parameter_status(raw)
        return message(b"S", text(name), text(change(value)))
    if tag == ord("A"):
        process, channel, payload = notification(raw)
        return message(b"A", struct.pack(">i", process), text(channel), text(change(payload)))
    parts = [letter.encode("latin-1") + text(change(value)) for letter, value in error_fields(raw)]
    return message(bytes((tag,)), *parts, b"\0")


def parameter_status(raw: bytes) -> tuple[str, str]:
    """The name and value of a ParameterStatus."""
    body = Body(raw)
    return body.text(), body.text()


def backend_key(raw: bytes) -> bytes:
    """The key of a BackendKeyData: four bytes of process number, then the secret, of 4 to 256 bytes."""
    key = Body(raw).rest()
    if not KEY_LEAST <= len(key) <= KEY_MOST:
        raise ProtocolViolation("08P01", f"a cancel key of {len(key)} bytes, which no server gives")
    return key


def authentication(raw: bytes) -> tuple[int, bytes]:
    """The kind of an Authentication message, and what it carries."""
    body = Body(raw)
    return body.int32(), body.rest()


def sasl_mechanisms(data: bytes) -> list[str]:
    """The mechanisms that an AuthenticationSASL offers."""
    return [name.decode("ascii", "replace") for name in data.split(b"\0") if name]


def error_response(severity: str, sqlstate: str, said: str, *, detail: str = "", hint: str = "") -> bytes:
    """An ErrorResponse; severities are ERROR, FATAL and PANIC."""
    return _said(b"E", severity, sqlstate, said, detail, hint)


def notice_response(severity: str, sqlstate: str, said: str, *, detail: str = "", hint: str = "") -> bytes:
    """A NoticeResponse; severities are WARNING, NOTICE, DEBUG, INFO and LOG."""
    return _said(b"N", severity, sqlstate, said, detail, hint)


def _said(tag: bytes, severity: str, sqlstate: str, said: str, detail: str, hint: str) -> bytes:
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": said, "D": detail, "H": hint}
    parts = [letter.encode() + text(value.replace("\0", "")) for letter, value in fields.items() if value]
    return message(tag, *parts, b"\0")


def authentication_ok() -> bytes:
    """AuthenticationOk."""
    return message(b"R", struct.pack(">i", Auth.OK))


def authentication_cleartext() -> bytes:
    """AuthenticationCleartextPassword."""
    return message(b"R", struct.pack(">i", Auth.CLEARTEXT))


def authentication_sasl(mechanisms: Sequence[str]) -> bytes:
    """AuthenticationSASL with these mechanisms, the preferred first."""
    return message(b"R", struct.pack(">i", Auth.SASL), *(text(name) for name in mechanisms), b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    """AuthenticationSASLContinue."""
    return message(b"R", struct.pack(">i", Auth.SASL_CONTINUE), data)


def authentication_sasl_final(data: bytes) -> bytes:
    """AuthenticationSASLFinal."""
    return message(b"R", struct.pack(">i", Auth.SASL_FINAL), data)


def backend_key_data(key: bytes) -> bytes:
    """BackendKeyData: process number and secret."""
    return message(b"K", key)


def ready_for_query_message(status: int) -> bytes:
    """ReadyForQuery with this transaction status."""
    return message(b"Z", bytes((status,)))


def negotiate_protocol_version(minor: int, unknown: Sequence[str]) -> bytes:
    """NegotiateProtocolVersion: the minor version of protocol 3 that is spoken, and the options not known.

    The version has its major half as well, as every server sends it and libpq reads it.
    """
    version = 3 << 16 | minor
    return message(b"v", struct.pack(">ii", version, len(unknown)), *(text(name) for name in unknown))
