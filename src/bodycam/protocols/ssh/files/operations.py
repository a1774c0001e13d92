"""What a client asks for over SFTP, as an operation."""

from collections.abc import Mapping
from typing import Final

from bodycam.model.operation import Operation, Weight
from bodycam.protocols.ssh.files import extensions
from bodycam.protocols.ssh.files.facts import EXPANDED, NO_TEXT, START_UNKNOWN, facts
from bodycam.protocols.ssh.files.messages import Flag, Request, Type
from bodycam.protocols.ssh.files.paths import is_text, resolved, shown

_WRITES: Final = Flag.WRITE | Flag.APPEND | Flag.CREATE | Flag.TRUNCATE | Flag.EXCLUSIVE
_ALL: Final = Flag.READ | _WRITES
_PLAIN: Final[Mapping[int, str]] = {
    Type.LSTAT: "stat",
    Type.FSTAT: "stat",
    Type.STAT: "stat",
    Type.READLINK: "stat",
    Type.SETSTAT: "attributes",
    Type.FSETSTAT: "attributes",
    Type.OPENDIR: "list",
    Type.REMOVE: "remove",
    Type.MKDIR: "mkdir",
    Type.RMDIR: "rmdir",
    Type.REALPATH: "realpath",
    Type.RENAME: "rename",
    Type.SYMLINK: "link",
}
_EXTENDED: Final[Mapping[bytes, str]] = {
    extensions.POSIX_RENAME: "rename",
    extensions.STATVFS: "stat",
    extensions.FSTATVFS: "stat",
    extensions.HARDLINK: "link",
    extensions.LSETSTAT: "attributes",
    extensions.EXPAND_PATH: "realpath",
    extensions.HOME_DIRECTORY: "realpath",
}
_ASIDE: Final = frozenset({"stat", "realpath"})
_ASIDE_EXTENSIONS: Final = frozenset({extensions.LIMITS, extensions.USERS_GROUPS, extensions.FSYNC})
_PATHS: Final = frozenset(_PLAIN.values()) | {"read", "write"}
_NAMES: Final = frozenset({extensions.EXPAND_PATH, extensions.HOME_DIRECTORY})


def mode(flags: int) -> tuple[str, ...]:
    """For what a file is opened, in words; flags of none mean reading, as servers take them."""
    said = [flag.name.lower() for flag in Flag if flags & flag]
    if flags & ~_ALL:
        said.append("unknown")
    return tuple(said) or ("read",)


def writes(flags: int) -> bool:
    """Whether opening a file so may change it."""
    return bool(flags & _WRITES or flags & ~_ALL)


def operation(request: Request, path: bytes, to: bytes, home: bytes, account: str) -> Operation:
    """What a request that is known asks for.

    `path` and `to` are those of the request, or of the handles that it names; `home` is where relative ones
    begin. Rules read them in `file.path` and `file.to`, and people as they were sent.

    What else an approval is bound to is in the parameters: the mode, the other path, the attributes.
    """
    verb = _verb(request)
    unknown = ""
    if request.extension in _NAMES:
        unknown = EXPANDED
    elif not home and any(one and not one.startswith(b"/") for one in (path, to)):
        unknown = START_UNKNOWN
    elif not is_text(path) or not is_text(to):
        unknown = NO_TEXT
    words = mode(request.flags) if request.kind == Type.OPEN else ()
    attributes = str(request.attributes)
    bound = (to, " ".join(words).encode(), attributes.encode())
    parameters = tuple([(0, 0, one) for one in bound if one])
    if request.attributes.size is not None and verb == "attributes":
        words = ("truncate",)
    told = facts(
        "sftp",
        account,
        verb,
        _resolved(request, verb, path, home),
        to=resolved(to, home) if to else "",
        mode=words,
        attributes=attributes,
        extension=shown(request.extension),
        unknown=unknown,
    )
    aside = verb in _ASIDE or request.extension in _ASIDE_EXTENSIONS
    weight = Weight.ASIDE if aside else Weight.STATEMENT
    return Operation(verb, shown(path), parameters, told, weight)


def _resolved(request: Request, verb: str, path: bytes, home: bytes) -> str:
    if request.extension in _NAMES:
        return shown(path)
    if request.kind == Type.SYMLINK and not path.startswith(b"/"):
        # what a link says begins where the link is
        folder, slash, _ = request.to.rpartition(b"/")
        path = (folder or slash) + b"/" + path if slash else path
    return resolved(path, home) if path or verb in _PATHS else ""


def refused(what: str, extension: bytes, account: str) -> Operation:
    """What the gateway itself refuses, for the record."""
    told = facts("sftp", account, "extended", "", extension=shown(extension[:256]), unknown=what)
    return Operation("extended", what, (), told)


def _verb(request: Request) -> str:
    if request.kind == Type.OPEN:
        return "write" if writes(request.flags) else "read"
    if request.kind == Type.EXTENDED:
        return _EXTENDED.get(request.extension, "extended")
    return _PLAIN[request.kind]
