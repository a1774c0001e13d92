"""Bytes of PostgreSQL's protocol as clients and servers write them, for the playbooks."""

import struct
from collections.abc import Mapping

from bodycam.protocols.postgres import frontend
from bodycam.protocols.postgres.reading import message, text

__all__ = ["message", "text"]


def startup(**parameters: str) -> bytes:
    return frontend.startup_message(parameters)


def startup_of(minor: int, parameters: Mapping[str, str], *, major: int = 3) -> bytes:
    """A startup message of another version than 3.0."""
    packet = frontend.startup_message(parameters)
    return packet[:4] + struct.pack(">HH", major, minor) + packet[8:]


def query(sql: str) -> bytes:
    return message(b"Q", text(sql))


def parse(sql: str, name: str = "", types: tuple[int, ...] = ()) -> bytes:
    oids = b"".join(struct.pack(">I", oid) for oid in types)
    return message(b"P", text(name), text(sql), struct.pack(">h", len(types)), oids)


def bind(
    *values: bytes | None, statement: str = "", portal: str = "", formats: tuple[int, ...] = ()
) -> bytes:
    parts = [text(portal), text(statement), struct.pack(">h", 0), struct.pack(">h", len(values))]
    for value in values:
        parts.append(struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value)
    parts.append(struct.pack(">h", len(formats)) + b"".join(struct.pack(">h", form) for form in formats))
    return message(b"B", *parts)


def describe(kind: str, name: str = "") -> bytes:
    return message(b"D", kind.encode(), text(name))


def execute(portal: str = "", rows: int = 0) -> bytes:
    return message(b"E", text(portal), struct.pack(">i", rows))


def close(kind: str, name: str = "") -> bytes:
    return message(b"C", kind.encode(), text(name))


SYNC, FLUSH, TERMINATE = message(b"S"), message(b"H"), message(b"X")
COPY_DONE = message(b"c")


def copy_data(data: bytes) -> bytes:
    return message(b"d", data)


def copy_in() -> bytes:
    return message(b"G", b"\0", struct.pack(">h", 1), struct.pack(">h", 0))


def copy_out() -> bytes:
    return message(b"H", b"\0", struct.pack(">h", 1), struct.pack(">h", 0))


PARSED, BOUND, CLOSED, NO_DATA = message(b"1"), message(b"2"), message(b"3"), message(b"n")


def described(*types: int) -> bytes:
    return message(b"t", struct.pack(">h", len(types)), b"".join(struct.pack(">I", oid) for oid in types))


def columns(*named: tuple[str, int], form: int = 0) -> bytes:
    parts = [struct.pack(">h", len(named))]
    parts += [text(name) + struct.pack(">IhIhih", 0, 0, oid, -1, -1, form) for name, oid in named]
    return message(b"T", *parts)


def row(*values: bytes | None) -> bytes:
    parts = [struct.pack(">h", len(values))]
    for value in values:
        parts.append(struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value)
    return message(b"D", *parts)


def complete(tag: str) -> bytes:
    return message(b"C", text(tag))


def ready(status: str = "I") -> bytes:
    return message(b"Z", status.encode())


def error(code: str = "42601", said: str = "syntax error", severity: str = "ERROR") -> bytes:
    return message(
        b"E", b"S" + text(severity), b"V" + text(severity), b"C" + text(code), b"M" + text(said), b"\0"
    )


def notice(said: str) -> bytes:
    return message(b"N", b"S" + text("NOTICE"), b"C" + text("00000"), b"M" + text(said), b"\0")


def notification(channel: str, payload: str) -> bytes:
    return message(b"A", struct.pack(">i", 4711), text(channel), text(payload))


def status(name: str, value: str) -> bytes:
    return message(b"S", text(name), text(value))


def key_data(key: bytes = b"\0\0\0\x2atkey") -> bytes:
    return message(b"K", key)


AUTH_OK = message(b"R", struct.pack(">i", 0))
AUTH_CLEARTEXT = message(b"R", struct.pack(">i", 3))
