"""A transport that has no socket: what is written to it goes to whoever carries the bytes."""

import asyncio
from collections.abc import Callable
from typing import Any, final


@final
class MemoryTransport(asyncio.Transport):
    """One end of an SSH connection whose bytes a link carries. `write` gets what goes out, `closed` its end.

    It is never full: what is sent is bounded by the windows of the channels that it carries.
    """

    def __init__(
        self, write: Callable[[bytes], None], closed: Callable[[], None], peer: tuple[str, int]
    ) -> None:
        super().__init__({"peername": peer, "sockname": ("", 0)})
        self._write, self._closed = write, closed
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand on what goes out."""
        if not self._closing:
            self._write(bytes(data))

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._closing

    def close(self) -> None:
        """End it, once."""
        if not self._closing:
            self._closing = True
            self._closed()

    def abort(self) -> None:
        """End it: nothing is kept that could still go out."""
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The peer's name; there is no socket."""
        return super().get_extra_info(name, default)
