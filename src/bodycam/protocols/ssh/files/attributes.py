"""A file's attributes (draft-ietf-secsh-filexfer-02, section 5)."""

from typing import Final, final

from bodycam.protocols.ssh.files.codec import Malformed, Reader, long, number, string

_SIZE: Final = 0x1
_OWNER: Final = 0x2
_MODE: Final = 0x4
_TIMES: Final = 0x8
_EXTENDED: Final = 0x80000000
_KNOWN: Final = _SIZE | _OWNER | _MODE | _TIMES | _EXTENDED
_EXTENDED_MOST: Final = 64


@final
class Attributes:
    """Those that are said; None, or nothing, is not said.

    `size` is in bytes, `owner` user and group, `mode` type and permissions, `times` access and modification
    in seconds since 1970.
    """

    __slots__ = ("extended", "mode", "owner", "size", "times")

    def __init__(
        self,
        size: int | None = None,
        owner: tuple[int, int] | None = None,
        mode: int | None = None,
        times: tuple[int, int] | None = None,
        extended: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.size, self.owner, self.mode, self.times, self.extended = size, owner, mode, times, extended

    @classmethod
    def read(cls, reader: Reader) -> "Attributes":
        """Take them from a packet.

        Raises:
            Malformed: they are not whole, or have what version 3 doesn't know.
        """
        flags = reader.number()
        if flags & ~_KNOWN:
            raise Malformed(f"attributes that version 3 doesn't know: {flags & ~_KNOWN:#x}")
        size = reader.long() if flags & _SIZE else None
        owner = (reader.number(), reader.number()) if flags & _OWNER else None
        mode = reader.number() if flags & _MODE else None
        times = (reader.number(), reader.number()) if flags & _TIMES else None
        count = reader.number() if flags & _EXTENDED else 0
        if count > _EXTENDED_MOST:
            raise Malformed(f"{count} extended attributes")
        extended = tuple([(reader.string(), reader.string()) for _ in range(count)])
        return cls(size, owner, mode, times, extended)

    def pack(self) -> bytes:
        """As they go over the wire."""
        flags, parts = 0, list[bytes]()
        if self.size is not None:
            flags |= _SIZE
            parts.append(long(self.size))
        if self.owner is not None:
            flags |= _OWNER
            parts += map(number, self.owner)
        if self.mode is not None:
            flags |= _MODE
            parts.append(number(self.mode))
        if self.times is not None:
            flags |= _TIMES
            parts += map(number, self.times)
        if self.extended:
            flags |= _EXTENDED
            parts.append(number(len(self.extended)))
            parts += [string(part) for pair in self.extended for part in pair]
        return number(flags) + b"".join(parts)

    def __str__(self) -> str:
        """In words, as a record shows them."""
        said: list[str] = []
        if self.size is not None:
            said.append(f"size {self.size}")
        if self.owner is not None:
            said.append("owner {}:{}".format(*self.owner))
        if self.mode is not None:
            said.append(f"mode {self.mode:o}")
        if self.times is not None:
            said.append("times {} {}".format(*self.times))
        said += [f"{name.decode('utf-8', 'backslashreplace')}" for name, _ in self.extended]
        return " ".join(said)
