"""Frames of HTTP/2 told apart, before the library reads them one by one.

https://www.rfc-editor.org/rfc/rfc9113#section-4
"""

import struct
from enum import IntEnum
from typing import Final, final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client begins with."""

FRAME_MOST: Final = 16384
"""Bytes of one frame's content; more is never announced (SETTINGS_MAX_FRAME_SIZE)."""

_HEADER: Final = 9
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4


class Kind(IntEnum):
    """The frames that mean something here."""

    DATA = 0
    HEADERS = 1
    PUSH_PROMISE = 5
    GOAWAY = 7
    CONTINUATION = 9


class Broken(Exception):
    """A peer has broken the protocol, or does what nobody has to bear: its connection is over.

    `code` is the error that it is told (RFC 9113, section 7).
    """

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.reason, self.code = reason, code


@final
class Frame:
    """One frame; `raw` is all of it as it came."""

    __slots__ = ("flags", "kind", "raw")

    def __init__(self, kind: int, flags: int, raw: bytes) -> None:
        self.kind, self.flags, self.raw = kind, flags, raw

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return len(self.raw) - _HEADER

    @property
    def content(self) -> bytes:
        """What is in it."""
        return self.raw[_HEADER:]


@final
class Frames:
    """One peer's frames out of its bytes; what is kept is less than a frame.

    `opened` is whether the client's preface has come, which only a server waits for.
    """

    def __init__(self, *, preface: bool) -> None:
        self._data = bytearray()
        self.opened = not preface

    def add(self, data: bytes) -> None:
        """More has come."""
        self._data += data

    @property
    def begun(self) -> bool:
        """Whether the beginning of something is here whose rest is not."""
        return bool(self._data)

    def preface(self) -> bool:
        """Whether the preface has come by now.

        Raises:
            Broken: it is something else.
        """
        if not self.opened:
            begun = bytes(self._data[: len(PREFACE)])
            if not PREFACE.startswith(begun):
                raise Broken("it did not begin with HTTP/2's preface", 1)
            if len(begun) < len(PREFACE):
                return False
            del self._data[: len(PREFACE)]
            self.opened = True
        return True

    def next(self) -> Frame | None:
        """The next frame, once it is whole.

        Raises:
            Broken: it is longer than a frame may be.
        """
        data = self._data
        if len(data) < _HEADER:
            return None
        size = data[0] << 16 | data[1] << 8 | data[2]
        if size > FRAME_MOST:
            raise Broken(f"a frame of {size} bytes; at most {FRAME_MOST} may be in one", 6)
        if len(data) < _HEADER + size:
            return None
        raw = bytes(data[: _HEADER + size])
        del data[: _HEADER + size]
        return Frame(raw[3], raw[4], raw)


def goaway(last: int, code: int, reason: str = "") -> bytes:
    """The frame that says that no stream above `last` is going to be answered.

    Written here since a connection goes on with what it has begun, which the library's doesn't.
    """
    said = reason.encode()[:200]
    size = 8 + len(said)
    return struct.pack("!BHBBIII", size >> 16, size & 0xFFFF, Kind.GOAWAY, 0, 0, last, code) + said


def left(frame: Frame) -> tuple[int, int]:
    """A GOAWAY's last stream and its error.

    Raises:
        Broken: it is none.
    """
    if frame.size < 8 or frame.raw[5:9] != b"\0\0\0\0":
        raise Broken("a GOAWAY that is none", 1)
    last, code = struct.unpack_from("!II", frame.content)
    return last & 0x7FFFFFFF, code
