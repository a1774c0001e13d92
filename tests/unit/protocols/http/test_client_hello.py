"""A TLS client's first message: what real ones say, at every split and in every fragment, and what is none."""

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.protocols.http.client_hello import HELLO_MOST, Hello, HelloReader, NoHello


def real(name: str | None, alpn: list[str], version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """The first bytes of OpenSSL's client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def records(message: bytes, size: int) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(one)) + one for one in pieces)


def said(found: Hello | None) -> tuple[str, tuple[str, ...], str, bool]:
    assert found is not None
    return found.server_name, found.alpn, found.version, found.encrypted


REAL = real("api.example", ["h2", "http/1.1"])
MESSAGE = REAL[5:]
SAID = ("api.example", ("h2", "http/1.1"), "1.3", False)


def test_what_openssl_says() -> None:
    assert said(HelloReader().feed(REAL)) == SAID
    assert said(HelloReader().feed(real(None, []))) == ("", (), "1.3", False)
    assert said(HelloReader().feed(real("a.example", [], ssl.TLSVersion.TLSv1_2))) == (
        "a.example",
        (),
        "1.2",
        False,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100, 10_000])
def test_in_any_fragments_and_any_pieces(size: int) -> None:
    wire = records(MESSAGE, size) + b"what follows"
    for step in (1, 7, len(wire)):
        reader, found = HelloReader(), None
        for at in range(0, len(wire), step):
            found = found or reader.feed(wire[at : at + step])
        assert said(found) == SAID
        # nothing of it is lost
        assert reader.raw.startswith(records(MESSAGE, size))


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack("!HH", kind, len(data)) + data


def name(*names: bytes, kind: int = 0) -> bytes:
    listed = b"".join(bytes((kind,)) + struct.pack("!H", len(one)) + one for one in names)
    return extension(0, struct.pack("!H", len(listed)) + listed)


def made(*extensions: bytes, behind: bytes = b"") -> bytes:
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    if extensions:
        body += struct.pack("!H", len(b"".join(extensions))) + b"".join(extensions)
    body += behind
    return records(b"\x01" + len(body).to_bytes(3, "big") + body, 1 << 14)


def test_what_is_made_by_hand() -> None:
    assert said(HelloReader().feed(made())) == ("", (), "1.2", False)
    assert said(HelloReader().feed(made(name(b"A.b"), extension(0xFE0D, b"x")))) == ("A.b", (), "1.2", True)


BAD = {
    "a request of HTTP": b"GET / HTTP/1.1\r\n",
    "SSH": b"SSH-2.0-x\r\n",
    "an alert": b"\x15\x03\x01\x00\x02\x02\x00",
    "TLS of another version": b"\x16\x02\x00\x00\x05",
    "an empty record": b"\x16\x03\x01\x00\x00",
    "a record that is too long": b"\x16\x03\x01\x40\x01",
    "another message": records(b"\x02" + MESSAGE[1:], 1 << 14),
    "a message that is too long": records(b"\x01\x01\x00\x00", 10),
    "two messages in a record": records(MESSAGE + b"\x01", 1 << 14),
    "a name twice": made(name(b"a.b"), name(b"c.d")),
    "two names": made(name(b"a.b", b"c.d")),
    "no name": made(name()),
    "an empty name": made(name(b"")),
    "a name of another kind": made(name(b"a.b", kind=1)),
    "a name with a blank": made(name(b"a b")),
    "a name with a zero": made(name(b"a.b\x00.c")),
    "a name that is too long": made(name(b"a" * 256)),
    "something behind it": made(name(b"a.b"), behind=b"x"),
    "an extension that is cut": made(name(b"a.b")[:-1]),
    "without end": records(b"\x01\x00\x7f\x00" + bytes(HELLO_MOST), 1000),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("size", [1, 100_000])
def test_what_is_none_is_refused(what: str, size: int) -> None:
    reader = HelloReader()
    with pytest.raises(NoHello):
        for at in range(0, len(BAD[what]), size):
            assert reader.feed(BAD[what][at : at + size]) is None
        assert len(reader.raw) > HELLO_MOST


@given(st.integers(0, len(REAL) - 1), st.binary(max_size=4), st.integers(1, 50))
def test_any_damage_is_a_hello_or_none(at: int, put: bytes, size: int) -> None:
    wire = REAL[:at] + put + REAL[at + len(put) :]

    def read(step: int) -> object:
        reader = HelloReader()
        try:
            for start in range(0, len(wire), step):
                if (found := reader.feed(wire[start : start + step])) is not None:
                    return said(found)
        except NoHello as error:
            return str(error)
        return None

    first = read(len(wire))
    assert first is None or isinstance(first, str | tuple)
    second = read(size)
    # who cuts it chooses at most which fault is seen first
    assert first == second or (isinstance(first, str) and isinstance(second, str))


@given(st.binary(max_size=80))
def test_any_bytes_are_none(data: bytes) -> None:
    for wire in (data, b"\x16\x03\x01" + data, records(b"\x01" + data, 1 << 14)):
        try:
            HelloReader().feed(wire)
        except NoHello:
            continue
