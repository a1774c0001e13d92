"""The messages of SFTP version 3 (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL, section 4).

Versions 0 to 2 have no other messages, and later ones are never agreed on.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, final

from bodycam.protocols.ssh.files import codec
from bodycam.protocols.ssh.files.attributes import Attributes
from bodycam.protocols.ssh.files.codec import Malformed, Reader
from bodycam.protocols.ssh.files.extensions import FIELDS_OF

VERSION: Final = 3
"""The one version that is spoken."""

EXTENSIONS_MOST: Final = 200
NAMES_MOST: Final = 20_000


class Type(IntEnum):
    """What a packet is: its first byte."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Code(IntEnum):
    """What a STATUS says."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


class Flag(IntEnum):
    """For what a file is opened; they are or-ed."""

    READ = 0x01
    WRITE = 0x02
    APPEND = 0x04
    CREATE = 0x08
    TRUNCATE = 0x10
    EXCLUSIVE = 0x20


_Field = tuple[Callable[[Reader], Any], Callable[[Any], bytes]]

_FIELDS: Final[Mapping[str, _Field]] = {
    **dict.fromkeys(("path", "to", "handle", "to_handle", "data", "more"), (Reader.string, codec.string)),
    **dict.fromkeys(("offset", "to_offset", "span"), (Reader.long, codec.long)),
    **dict.fromkeys(("length", "flags"), (Reader.number, codec.number)),
    "attributes": (Attributes.read, Attributes.pack),
}
_REQUESTS: Final[Mapping[int, tuple[str, ...]]] = {
    Type.OPEN: ("path", "flags", "attributes"),
    Type.CLOSE: ("handle",),
    Type.READ: ("handle", "offset", "length"),
    Type.WRITE: ("handle", "offset", "data"),
    Type.LSTAT: ("path",),
    Type.FSTAT: ("handle",),
    Type.SETSTAT: ("path", "attributes"),
    Type.FSETSTAT: ("handle", "attributes"),
    Type.OPENDIR: ("path",),
    Type.READDIR: ("handle",),
    Type.REMOVE: ("path",),
    Type.MKDIR: ("path", "attributes"),
    Type.RMDIR: ("path",),
    Type.REALPATH: ("path",),
    Type.STAT: ("path",),
    Type.RENAME: ("path", "to"),
    Type.READLINK: ("path",),
    # in OpenSSH's order: first what the link says, then where it is
    Type.SYMLINK: ("path", "to"),
}
_TYPES: Final = frozenset(Type)


@final
class Hello:
    """INIT of the client or VERSION of the server, with the names and versions of extensions."""

    __slots__ = ("extensions", "kind", "version")

    def __init__(self, kind: Type, version: int, extensions: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.kind, self.version, self.extensions = kind, version, extensions

    def pack(self) -> bytes:
        """As a packet without its length."""
        said = [codec.string(part) for pair in self.extensions for part in pair]
        return bytes((self.kind,)) + codec.number(self.version) + b"".join(said)


@final
class Request:
    """What a client asks for. Which of its values are there depends on `kind`, and on `extension`.

    `path` and `to` are as sent; `offset`, `length` and `span` are in bytes. `known` is False for a type or an
    extension that nobody here knows, and then there is nothing but the id.
    """

    __slots__ = (
        "attributes", "data", "extension", "flags", "handle", "id", "kind", "known", "length", "more",
        "offset", "path", "span", "to", "to_handle", "to_offset",
    )  # fmt: skip

    def __init__(
        self, kind: int, number: int, *, extension: bytes = b"", known: bool = True, **values: Any
    ) -> None:
        self.kind, self.id, self.extension, self.known = kind, number, extension, known
        self.path: bytes = values.get("path", b"")
        self.to: bytes = values.get("to", b"")
        self.handle: bytes = values.get("handle", b"")
        self.to_handle: bytes = values.get("to_handle", b"")
        self.data: bytes = values.get("data", b"")
        self.more: bytes = values.get("more", b"")
        self.offset: int = values.get("offset", 0)
        self.to_offset: int = values.get("to_offset", 0)
        self.span: int = values.get("span", 0)
        self.length: int = values.get("length", 0)
        self.flags: int = values.get("flags", 0)
        self.attributes: Attributes = values.get("attributes", _NO_ATTRIBUTES)

    def pack(self) -> bytes:
        """As a packet without its length."""
        extended = self.kind == Type.EXTENDED
        named = codec.string(self.extension) if extended else b""
        fields = FIELDS_OF.get(self.extension, ()) if extended else _REQUESTS[self.kind]
        packed = b"".join([_FIELDS[field][1](getattr(self, field)) for field in fields])
        return bytes((self.kind,)) + codec.number(self.id) + named + packed


_NO_ATTRIBUTES: Final = Attributes()


@final
class Reply:
    """What a server answers: a status, a handle, data, names or attributes.

    `data` is the content, or all of an extended reply; `names` are each a name, how it is listed, and
    attributes.
    """

    __slots__ = ("attributes", "code", "data", "handle", "id", "kind", "message", "names")

    def __init__(
        self,
        kind: Type,
        number: int,
        *,
        code: int = 0,
        message: bytes = b"",
        handle: bytes = b"",
        data: bytes = b"",
        names: tuple[tuple[bytes, bytes, Attributes], ...] = (),
        attributes: Attributes = _NO_ATTRIBUTES,
    ) -> None:
        self.kind, self.id, self.code, self.message = kind, number, code, message
        self.handle, self.data, self.names, self.attributes = handle, data, names, attributes

    def pack(self) -> bytes:
        """As a packet without its length."""
        match self.kind:
            case Type.STATUS:
                said = codec.number(self.code) + codec.string(self.message) + codec.string(b"")
            case Type.HANDLE:
                said = codec.string(self.handle)
            case Type.DATA:
                said = codec.string(self.data)
            case Type.NAME:
                packed = [
                    codec.string(name) + codec.string(listed) + attributes.pack()
                    for name, listed, attributes in self.names
                ]
                said = codec.number(len(packed)) + b"".join(packed)
            case Type.ATTRS:
                said = self.attributes.pack()
            case _:
                said = self.data
        return bytes((self.kind,)) + codec.number(self.id) + said


def hello(packet: bytes, kind: Type) -> Hello:
    """The first packet of a side, which has to be of this type.

    Raises:
        Malformed: it is another, or makes no sense.
    """
    if packet[0] != kind:
        raise Malformed(f"a packet of type {packet[0]} came before {kind.name}")
    reader = Reader(packet)
    version = reader.number()
    extensions: list[tuple[bytes, bytes]] = []
    while reader.left:
        if len(extensions) >= EXTENSIONS_MOST:
            raise Malformed(f"more than {EXTENSIONS_MOST} extensions")
        extensions.append((reader.string(), reader.string()))
    return Hello(kind, version, tuple(extensions))


def identified(packet: bytes) -> int:
    """The id of a request or a reply, which stands in all of them at the same place.

    Raises:
        Malformed: there is none.
    """
    return Reader(packet).number()


def request(packet: bytes) -> Request:
    """What a client asks for.

    Raises:
        Malformed: a value is missing, or bytes are left over, which one server may read and another not.
    """
    reader = Reader(packet)
    kind, number = packet[0], reader.number()
    extension = b""
    if kind == Type.EXTENDED:
        extension = reader.string()
        fields = FIELDS_OF.get(extension)
    else:
        fields = _REQUESTS.get(kind)
    if fields is None:
        return Request(kind, number, extension=extension, known=False)
    values = {field: _FIELDS[field][0](reader) for field in fields}
    reader.end()
    return Request(kind, number, extension=extension, **values)


def reply(packet: bytes) -> Reply:
    """What a server answers. What is behind it is let pass: old servers leave out a status' message.

    Raises:
        Malformed: it is no answer, or a value is missing.
    """
    reader = Reader(packet)
    kind, number = packet[0], reader.number()
    match kind:
        case Type.STATUS:
            code = reader.number()
            return Reply(Type.STATUS, number, code=code, message=reader.string() if reader.left else b"")
        case Type.HANDLE:
            return Reply(Type.HANDLE, number, handle=reader.string())
        case Type.DATA:
            return Reply(Type.DATA, number, data=reader.string())
        case Type.NAME:
            count = reader.number()
            if count > NAMES_MOST:
                raise Malformed(f"{count} names in one packet")
            names = [(reader.string(), reader.string(), Attributes.read(reader)) for _ in range(count)]
            return Reply(Type.NAME, number, names=tuple(names))
        case Type.ATTRS:
            return Reply(Type.ATTRS, number, attributes=Attributes.read(reader))
        case Type.EXTENDED_REPLY:
            return Reply(Type.EXTENDED_REPLY, number, data=reader.rest())
        case _:
            raise Malformed(f"a packet of type {named(kind)} is no answer")


def status(number: int, code: Code, message: str) -> bytes:
    """A STATUS of ours, ready to be sent."""
    told = Reply(Type.STATUS, number, code=code, message=message.encode("utf-8", "backslashreplace"))
    return codec.framed(told.pack())


def named(kind: int) -> str:
    """A type for people."""
    return Type(kind).name if kind in _TYPES else str(kind)


REQUEST_TYPES: Final = MappingProxyType(dict(_REQUESTS))
