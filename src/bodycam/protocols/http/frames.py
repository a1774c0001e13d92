"""The frames of WebSocket (RFC 6455, section 5), read strictly, and the messages that they carry.

Nothing is mended: a frame with a reserved bit, a length in a longer form than it needs, a control frame in
pieces or a text that is no UTF-8 ends the connection, by the code that section 7.4 has for it.
"""

import struct
from enum import IntEnum
from typing import Final, final

CONTROL_MOST: Final = 125
"""Bytes of a control frame's payload (section 5.5)."""

PIECES_MOST: Final = 16 * 1024
"""Frames of one message; each costs more memory than its bytes."""


class Opcode(IntEnum):
    """What a frame carries."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES: Final = {int(one): one for one in Opcode}


class Code(IntEnum):
    """Why a connection is closed (section 7.4.1), as far as the gateway itself says so."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL = 1002
    NO_UTF8 = 1007
    POLICY = 1008
    TOO_BIG = 1009


class BadFrame(Exception):
    """What came is no frame, or none that may come here; the connection ends with `code`."""

    def __init__(self, reason: str, code: Code = Code.PROTOCOL) -> None:
        super().__init__(reason)
        self.reason, self.code = reason, code


@final
class Message:
    """A message, or a control frame: what it says, unmasked, and all its bytes as they came."""

    __slots__ = ("opcode", "payload", "raw")

    def __init__(self, opcode: Opcode, payload: bytes, raw: bytes) -> None:
        self.opcode, self.payload, self.raw = opcode, payload, raw

    @property
    def control(self) -> bool:
        """Whether it is about the connection, and no message of an application's."""
        return self.opcode >= Opcode.CLOSE


@final
class Messages:
    """The frames of one side put together: messages as soon as they are whole, control frames at once.

    A client's frames are `masked`, a server's are not. `most` bytes of a message are taken. Of what comes
    behind a Close nothing is taken any more.
    """

    __slots__ = ("_data", "_masked", "_most", "_opcode", "_payloads", "_position", "_raws", "_size", "closed")

    def __init__(self, *, masked: bool, most: int) -> None:
        self._masked, self._most = masked, most
        self._data, self._position = bytearray(), 0
        self._opcode: Opcode | None = None
        self._payloads: list[bytes] = []
        self._raws: list[bytes] = []
        self._size = 0
        self.closed = False

    def add(self, data: bytes) -> None:
        """More has come."""
        if self.closed:
            return
        if self._position:
            del self._data[: self._position]
            self._position = 0
        self._data += data

    def take(self) -> Message | None:
        """The next message or control frame; None while none is whole.

        Raises:
            BadFrame: what came is not what RFC 6455 says.
        """
        while not self.closed:
            header = self._header()
            if header is None:
                return None
            final, opcode, start, size = header
            end = start + size
            if len(self._data) < end:
                return None
            raw, payload = bytes(self._data[self._position : end]), bytes(self._data[start:end])
            if self._masked:
                payload = unmasked(payload, bytes(self._data[start - 4 : start]))
            self._position = end
            if opcode >= Opcode.CLOSE:
                self.closed = opcode is Opcode.CLOSE
                return Message(opcode, payload, raw)
            if (message := self._joined(final, opcode, payload, raw)) is not None:
                return message
        return None

    def _header(self) -> tuple[bool, Opcode, int, int] | None:
        """Whether it is the last frame of its message, what it is, and where its payload begins and how long.

        Looked at as soon as it is there, so that nothing is held which is refused in the end.
        """
        data, at = self._data, self._position
        there = len(data) - at
        if there < 2:
            return None
        first, second = data[at], data[at + 1]
        opcode = _OPCODES.get(first & 0x0F)
        if first & 0x70:
            raise BadFrame("a frame has a reserved bit, and no extension was agreed on")
        if opcode is None:
            raise BadFrame(f"a frame has the opcode {first & 0x0F}, which has no meaning")
        if bool(second & 0x80) is not self._masked:
            raise BadFrame("a client's frame is not masked" if self._masked else "a server's frame is masked")
        final, size, start = bool(first & 0x80), second & 0x7F, at + 2
        if opcode >= Opcode.CLOSE:
            if not final:
                raise BadFrame("a control frame is only a piece")
            if size > CONTROL_MOST:
                raise BadFrame("a control frame is longer than 125 bytes")
        elif (opcode is Opcode.CONTINUATION) is (self._opcode is None):
            raise BadFrame("a message begins within another, or goes on where none began")
        if size >= 126:
            width, least = (2, 126) if size == 126 else (8, 0x1_0000)
            if there < 2 + width:
                return None
            size = int.from_bytes(data[start : start + width], "big")
            if size < least or size >> 63:
                raise BadFrame("a frame's length is not written in its shortest form")
            start += width
        if self._size + size > self._most:
            raise BadFrame(f"a message is longer than {self._most} bytes", Code.TOO_BIG)
        return final, opcode, start + 4 if self._masked else start, size

    def _joined(self, final: bool, opcode: Opcode, payload: bytes, raw: bytes) -> Message | None:
        if opcode is not Opcode.CONTINUATION:
            if final:
                return Message(opcode, payload, raw)
            self._opcode = opcode
        self._payloads.append(payload)
        self._raws.append(raw)
        self._size += len(payload)
        if not final:
            if len(self._raws) > PIECES_MOST:
                raise BadFrame(f"a message is in more than {PIECES_MOST} pieces", Code.TOO_BIG)
            return None
        assert self._opcode is not None
        message = Message(self._opcode, b"".join(self._payloads), b"".join(self._raws))
        self._opcode, self._size = None, 0
        self._payloads.clear()
        self._raws.clear()
        return message


def checked(message: Message) -> Message:
    """The same message.

    Raises:
        BadFrame: a text is no UTF-8, or a Close says what none may say.
    """
    if message.opcode is Opcode.TEXT:
        _utf8(message.payload)
    elif message.opcode is Opcode.CLOSE and message.payload:
        if len(message.payload) == 1:
            raise BadFrame("a Close has half a code")
        code = close_code(message.payload)
        if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
            raise BadFrame(f"a Close says {code}, which none may say")
        _utf8(message.payload[2:])
    return message


def close_code(payload: bytes) -> int:
    """The code that a Close says; 1005 for none (section 7.1.5)."""
    return struct.unpack_from("!H", payload)[0] if len(payload) >= 2 else 1005


def frame(opcode: Opcode, payload: bytes, key: bytes = b"") -> bytes:
    """A whole message in one frame, masked with a `key` of four bytes where there is one."""
    size, bit = len(payload), 0x80 if key else 0
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 0x1_0000:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, size)
    return head + key + unmasked(payload, key) if key else head + payload


def closing(code: Code, reason: str) -> bytes:
    """The payload of a Close, its reason as long as may be."""
    said = reason.encode("utf-8", "replace")[: CONTROL_MOST - 2]
    return struct.pack("!H", code) + said.decode("utf-8", "ignore").encode()


def unmasked(payload: bytes, key: bytes) -> bytes:
    """A payload with its mask taken off, or put on (section 5.3)."""
    size = len(payload)
    if not size or key == b"\x00\x00\x00\x00":
        return payload
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def _utf8(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise BadFrame("a text is no UTF-8", Code.NO_UTF8) from None
