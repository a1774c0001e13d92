"""The first message of a TLS client, as far as it tells where it wants to get (RFC 8446, section 4.1.2).

Read from what is passed through, so strictly: what two servers could read in two ways is no ClientHello here.
"""

from typing import Final, final

HELLO_MOST: Final = 32 * 1024
"""Bytes of records that are held until it is whole; browsers send about 2,000."""

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_RECORD_MOST: Final = 1 << 14
# extensions
_SERVER_NAME: Final = 0
_ALPN: Final = 16
_VERSIONS: Final = 43
_ENCRYPTED: Final = 0xFE0D
_VERSIONS_KNOWN: Final = {0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}
_NAME_MOST: Final = 255


class NoHello(Exception):
    """What came is no ClientHello, and why, for people."""


@final
class Hello:
    """What a client says of itself. `server_name` is "" where it names none.

    `encrypted` is whether it may have another ClientHello within (RFC 9849); many just pretend to.
    """

    __slots__ = ("alpn", "encrypted", "server_name", "version")

    def __init__(self, server_name: str, alpn: tuple[str, ...], version: str, *, encrypted: bool) -> None:
        self.server_name, self.alpn, self.version, self.encrypted = server_name, alpn, version, encrypted


@final
class HelloReader:
    """Takes a client's first bytes until its ClientHello is whole. `raw` is all that was taken."""

    __slots__ = ("_message", "_position", "raw")

    def __init__(self) -> None:
        self.raw = b""
        self._position = 0
        self._message = b""

    def feed(self, data: bytes) -> Hello | None:
        """Take what came; what it says once all of it is there.

        Raises:
            NoHello: it is none, or too long.
        """
        self.raw += data
        while (fragment := self._record()) is not None:
            self._message += fragment
            if self._message[0] != _CLIENT_HELLO:
                raise NoHello("its first message is another than a ClientHello")
            size = 4 + int.from_bytes(self._message[1:4], "big")
            if len(self._message) >= 4 and size > HELLO_MOST:
                raise NoHello(f"its ClientHello is longer than {HELLO_MOST} bytes")
            if len(self._message) >= max(4, size):
                if len(self._message) > size:
                    raise NoHello("something stands behind its ClientHello, in the same record")
                return hello(self._message[4:])
        if len(self.raw) > HELLO_MOST:
            raise NoHello(f"its ClientHello is not whole after {HELLO_MOST} bytes")
        return None

    def _record(self) -> bytes | None:
        """The next record's content; None while it is not whole (RFC 8446, section 5.1)."""
        head = self.raw[self._position : self._position + 5]
        if (head and head[0] != _HANDSHAKE) or (len(head) > 1 and head[1] != 3):
            raise NoHello("what it sends is no TLS")
        if len(head) < 5:
            return None
        size = int.from_bytes(head[3:5], "big")
        if not 0 < size <= _RECORD_MOST:
            raise NoHello("a record of it is empty or too long")
        end = self._position + 5 + size
        if len(self.raw) < end:
            return None
        content = self.raw[self._position + 5 : end]
        self._position = end
        return content


@final
class _Reader:
    """Reads fields with a length before them."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def over(self) -> bool:
        return self._at == len(self._data)

    def number(self, width: int) -> int:
        return int.from_bytes(self.part(width), "big")

    def part(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise NoHello("a field of its ClientHello is longer than what it is in")
        found = self._data[self._at : end]
        self._at = end
        return found

    def sized(self, width: int) -> bytes:
        return self.part(self.number(width))

    def end(self) -> None:
        if not self.over:
            raise NoHello("something stands behind the fields of its ClientHello")


def hello(body: bytes) -> Hello:
    """What stands in a ClientHello, without the head of the message.

    Raises:
        NoHello: it is none.
    """
    reader = _Reader(body)
    version = reader.number(2)
    reader.part(32)
    reader.sized(1)
    reader.sized(2)
    reader.sized(1)
    extensions = _extensions(reader.sized(2)) if not reader.over else {}
    reader.end()
    name = _name(extensions[_SERVER_NAME]) if _SERVER_NAME in extensions else ""
    alpn = _protocols(extensions[_ALPN]) if _ALPN in extensions else ()
    if _VERSIONS in extensions:
        offered = _Reader(extensions[_VERSIONS]).sized(1)
        pairs = [int.from_bytes(offered[at : at + 2], "big") for at in range(0, len(offered), 2)]
        version = max([one for one in pairs if one in _VERSIONS_KNOWN], default=version)
    said = _VERSIONS_KNOWN.get(version, f"{version:#06x}")
    return Hello(name, alpn, said, encrypted=_ENCRYPTED in extensions)


def _extensions(data: bytes) -> dict[int, bytes]:
    reader, found = _Reader(data), dict[int, bytes]()
    while not reader.over:
        kind = reader.number(2)
        if kind in found:
            raise NoHello("an extension stands twice in its ClientHello")
        found[kind] = reader.sized(2)
    return found


def _name(data: bytes) -> str:
    """The one name in a server_name extension (RFC 6066, section 3)."""
    outer = _Reader(data)
    listed = _Reader(outer.sized(2))
    outer.end()
    kind, name = listed.number(1), listed.sized(2)
    listed.end()
    if kind != 0 or not 0 < len(name) <= _NAME_MOST or any(not 0x21 <= byte <= 0x7E for byte in name):
        raise NoHello("the server name in its ClientHello is none")
    return name.decode()


def _protocols(data: bytes) -> tuple[str, ...]:
    """The application protocols that are offered (RFC 7301)."""
    outer = _Reader(data)
    listed = _Reader(outer.sized(2))
    outer.end()
    found: list[str] = []
    while not listed.over:
        found.append(listed.sized(1).decode("ascii", "backslashreplace"))
    return tuple(found)
