"""Which answers fit which requests, and what a record says of them."""

from collections.abc import Mapping
from typing import Final

from bodycam.protocols.ssh.files import extensions
from bodycam.protocols.ssh.files.codec import Malformed
from bodycam.protocols.ssh.files.messages import Reply, Request, Type
from bodycam.protocols.ssh.files.paths import shown
from bodycam.session.session import Exchange, Session

_FITTING: Final[Mapping[int, Type]] = {
    Type.OPEN: Type.HANDLE,
    Type.OPENDIR: Type.HANDLE,
    Type.READ: Type.DATA,
    Type.READDIR: Type.NAME,
    Type.REALPATH: Type.NAME,
    Type.READLINK: Type.NAME,
    Type.STAT: Type.ATTRS,
    Type.LSTAT: Type.ATTRS,
    Type.FSTAT: Type.ATTRS,
}
_FITTING_EXTENDED: Final[Mapping[bytes, Type]] = {
    extensions.STATVFS: Type.EXTENDED_REPLY,
    extensions.FSTATVFS: Type.EXTENDED_REPLY,
    extensions.LIMITS: Type.EXTENDED_REPLY,
    extensions.USERS_GROUPS: Type.EXTENDED_REPLY,
    extensions.EXPAND_PATH: Type.NAME,
    extensions.HOME_DIRECTORY: Type.NAME,
}


def fits(request: Request, reply: Reply) -> bool:
    """Whether a request may be answered so: by a status, always."""
    if reply.kind == Type.STATUS:
        return True
    if request.kind == Type.EXTENDED:
        return _FITTING_EXTENDED.get(request.extension) == reply.kind
    return _FITTING.get(request.kind) == reply.kind


def told(request: Request, reply: Reply) -> str:
    """What an answer shows, in lines, for the record; empty for one that shows nothing.

    Raises:
        Malformed: it is not what was asked for.
    """
    match reply.kind:
        case Type.NAME:
            listed = request.kind == Type.READDIR
            return "".join([f"{shown(long if listed and long else name)}\n" for name, long, _ in reply.names])
        case Type.ATTRS:
            return f"{reply.attributes}\n"
        case Type.EXTENDED_REPLY:
            return f"{extensions.told(request.extension, reply.data)}\n"
        case Type.STATUS:
            return ""
        case _:
            raise Malformed("an answer without words")


def show(session: Session, exchange: Exchange, text: str) -> None:
    """Record what an answer shows, masked; the client gets it as it is."""
    kept, masks = text, session.masks
    if masks is not None:
        kept = masks.said(text)
    exchange.recorded_to_client(
        text.encode("utf-8", "surrogateescape"), recorded=kept.encode("utf-8", "surrogateescape")
    )
    if kept is not text:
        exchange.masked()
