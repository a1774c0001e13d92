"""Messages that a client sends: read for the proxy, and built where the gateway is itself a client.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bodycam.model.operation import Parameter
from bodycam.protocols.postgres.backend import KEY_LEAST, KEY_MOST
from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.reading import Body, message, text

SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSSENC_REQUEST = struct.pack(">II", 8, 80877104)
_CANCEL_CODE = 80877102
_SSL_CODE, _GSS_CODE = 80877103, 80877104
_HEADER: Final = 5


@dataclass(frozen=True, slots=True)
class Startup:
    """The startup message: protocol version and parameters."""

    major: int
    minor: int
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SslRequest:
    """The client asks for TLS."""


@dataclass(frozen=True, slots=True)
class GssEncRequest:
    """The client asks for GSSAPI encryption."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """The client asks to cancel what runs on another connection; `key` is process number and secret."""

    key: bytes


Parse = tuple[str, str, tuple[int, ...]]
"""A statement to prepare: `(name, text, types)`, with the OIDs of the types that the client declared."""

Bind = tuple[str, str, tuple[int, ...], tuple[bytes | None, ...], tuple[int, ...]]
"""Values for a statement: `(portal, statement, formats, values, result formats)`; formats are 0 for text and
1 for binary: none for all text, one for all, or one each."""

Execute = tuple[str, int]
"""Run a portal: `(portal, most rows)`, 0 for all."""

FunctionCall = tuple[int, tuple[Parameter, ...]]
"""The fast-path call of one function: `(oid, arguments)`."""


def startup(packet: bytes) -> Startup | SslRequest | GssEncRequest | CancelRequest:
    """Read the first packet of a connection, its length included.

    Raises:
        ProtocolViolation: it is none of the four.
    """
    body = Body(packet, 4)
    code = body.uint32()
    if code == _CANCEL_CODE:
        key = body.rest()
        if not KEY_LEAST <= len(key) <= KEY_MOST:
            raise ProtocolViolation("08P01", "a cancel request with a key of a length that no server gives")
        return CancelRequest(key)
    if code in (_SSL_CODE, _GSS_CODE):
        body.end()
        return SslRequest() if code == _SSL_CODE else GssEncRequest()
    parameters: dict[str, str] = {}
    if code >> 16 == 3:
        while name := body.text():
            parameters[name] = body.text()
        body.end()
    return Startup(code >> 16, code & 0xFFFF, parameters)


def query(raw: bytes) -> str:
    """The text of a Query."""
    body = Body(raw)
    value = body.text()
    body.end()
    return value


def parse(raw: bytes) -> Parse:
    """Read a Parse."""
    body = Body(raw)
    name, statement = body.text(), body.text()
    types = tuple([body.uint32() for _ in range(body.count())])
    body.end()
    return name, statement, types


def bind(raw: bytes) -> Bind:
    """Read a Bind."""
    body = Body(raw)
    portal, statement = body.text(), body.text()
    formats = body.int16s()
    values = tuple([body.value() for _ in range(body.count())])
    result_formats = body.int16s()
    body.end()
    return portal, statement, formats, values, result_formats


def typed(
    values: tuple[bytes | None, ...], formats: tuple[int, ...], types: tuple[int, ...]
) -> tuple[Parameter, ...]:
    """Each value of a Bind with its type's OID (0 where unknown) and its format."""
    known, given = len(types), len(formats)
    found: list[Parameter] = []
    for place, value in enumerate(values):
        if given == 1:
            form = formats[0]
        else:
            form = formats[place] if place < given else 0
        found.append((types[place] if place < known else 0, form, value))
    return tuple(found)


def nothing(raw: bytes) -> None:
    """A message that has no body: Sync, Flush, Terminate, CopyDone.

    Raises:
        ProtocolViolation: it has one.
    """
    if len(raw) != _HEADER:
        raise ProtocolViolation("08P01", f"a message of type {chr(raw[0])!r} with a body")


def describe(raw: bytes) -> tuple[str, str]:
    """Read a Describe or a Close: `S` for a statement or `P` for a portal, and its name."""
    body = Body(raw)
    kind, name = chr(body.byte()), body.text()
    body.end()
    if kind not in "SP":
        raise ProtocolViolation("08P01", f"neither a statement nor a portal: {kind!r}")
    return kind, name


def execute(raw: bytes) -> Execute:
    """Read an Execute."""
    body = Body(raw)
    portal, max_rows = body.text(), body.int32()
    body.end()
    return portal, max(0, max_rows)


def function_call(raw: bytes) -> FunctionCall:
    """Read a FunctionCall."""
    body = Body(raw)
    oid = body.uint32()
    formats = body.int16s()
    values = tuple([body.value() for _ in range(body.count())])
    body.int16()
    body.end()
    return oid, typed(values, formats, ())


def password(raw: bytes) -> bytes:
    """The password of a PasswordMessage, as the client typed it."""
    body = Body(raw)
    value = body.text()
    body.end()
    return value.encode("utf-8", "surrogateescape")


def sasl_initial_response(raw: bytes) -> tuple[str, bytes]:
    """The mechanism and the first message of a SASLInitialResponse."""
    body = Body(raw)
    mechanism, first = body.text(), body.value()
    body.end()
    return mechanism, first or b""


def sasl_response(raw: bytes) -> bytes:
    """The message of a SASLResponse."""
    return raw[5:]


def startup_message(parameters: Mapping[str, str]) -> bytes:
    """A startup message of protocol 3.0."""
    body = struct.pack(">I", 3 << 16)
    for name, value in parameters.items():
        body += text(name) + text(value)
    body += b"\0"
    return struct.pack(">I", len(body) + 4) + body


def cancel_request(key: bytes) -> bytes:
    """A cancel request for the connection whose process number and secret are `key`."""
    return struct.pack(">II", 8 + len(key), _CANCEL_CODE) + key


def query_message(statements: str) -> bytes:
    """A simple Query."""
    return message(b"Q", text(statements))


def password_message(value: str) -> bytes:
    """A PasswordMessage."""
    return message(b"p", text(value))


def sasl_initial_message(mechanism: str, first: bytes) -> bytes:
    """A SASLInitialResponse."""
    return message(b"p", text(mechanism), struct.pack(">i", len(first)), first)


def sasl_message(data: bytes) -> bytes:
    """A SASLResponse."""
    return message(b"p", data)


def copy_data(payload: bytes) -> bytes:
    """A CopyData."""
    return message(b"d", payload)


def terminate() -> bytes:
    """A Terminate."""
    return message(b"X")
