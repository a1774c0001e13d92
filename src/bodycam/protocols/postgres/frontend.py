"""Messages that a client sends: read for the proxy, and built where the gateway is itself a client.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.reading import Body, message, text

SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSSENC_REQUEST = struct.pack(">II", 8, 80877104)
_CANCEL_CODE = 80877102
_SSL_CODE, _GSS_CODE = 80877103, 80877104


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


@dataclass(frozen=True, slots=True)
class Parse:
    """A statement to prepare, with the OIDs of the parameter types that the client declared."""

    name: str
    text: str
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bind:
    """Values for a statement; formats are 0 for text and 1 for binary."""

    portal: str
    statement: str
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]

    def with_types(self, types: tuple[int, ...]) -> Iterator[tuple[int, int, bytes | None]]:
        """Each value with its type's OID (0 where unknown) and its format."""
        for place, value in enumerate(self.values):
            if len(self.formats) == 1:
                form = self.formats[0]
            else:
                form = self.formats[place] if place < len(self.formats) else 0
            yield types[place] if place < len(types) else 0, form, value


@dataclass(frozen=True, slots=True)
class Execute:
    """Run a portal; at most `max_rows` rows, 0 for all."""

    portal: str
    max_rows: int


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The fast-path call of one function: each argument with its format."""

    oid: int
    arguments: tuple[tuple[int, bytes | None], ...]


def startup(packet: bytes) -> Startup | SslRequest | GssEncRequest | CancelRequest:
    """Read the first packet of a connection, its length included.

    Raises:
        ProtocolViolation: it is none of the four.
    """
    body = Body(packet, 4)
    code = body.uint32()
    if code == _CANCEL_CODE:
        key = body.rest()
        if not 8 <= len(key) <= 260:
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
    types = tuple(body.uint32() for _ in range(body.count()))
    body.end()
    return Parse(name, statement, types)


def bind(raw: bytes) -> Bind:
    """Read a Bind."""
    body = Body(raw)
    portal, statement = body.text(), body.text()
    formats = tuple(body.int16() for _ in range(body.count()))
    values = tuple(body.value() for _ in range(body.count()))
    result_formats = tuple(body.int16() for _ in range(body.count()))
    body.end()
    return Bind(portal, statement, formats, values, result_formats)


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
    return Execute(portal, max(0, max_rows))


def function_call(raw: bytes) -> FunctionCall:
    """Read a FunctionCall."""
    body = Body(raw)
    oid = body.uint32()
    formats = tuple(body.int16() for _ in range(body.count()))
    values = tuple(body.value() for _ in range(body.count()))
    body.int16()
    body.end()
    known = Bind("", "", formats, values, ())
    return FunctionCall(oid, tuple((form, value) for _, form, value in known.with_types(())))


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


def password_message(value: str) -> bytes:
    """A PasswordMessage."""
    return message(b"p", text(value))


def sasl_initial_message(mechanism: str, first: bytes) -> bytes:
    """A SASLInitialResponse."""
    return message(b"p", text(mechanism), struct.pack(">i", len(first)), first)


def sasl_message(data: bytes) -> bytes:
    """A SASLResponse."""
    return message(b"p", data)


def terminate() -> bytes:
    """A Terminate."""
    return message(b"X")
