"""The extensions of SFTP that are understood (OpenSSH's PROTOCOL, section 4), and what their answers say.

A server's others are taken out of what it announces: nobody could say what they do.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from bodycam.protocols.ssh.files.codec import CONTENT_MOST, Malformed, Reader, long

POSIX_RENAME: Final = b"posix-rename@openssh.com"
STATVFS: Final = b"statvfs@openssh.com"
FSTATVFS: Final = b"fstatvfs@openssh.com"
HARDLINK: Final = b"hardlink@openssh.com"
FSYNC: Final = b"fsync@openssh.com"
LSETSTAT: Final = b"lsetstat@openssh.com"
LIMITS: Final = b"limits@openssh.com"
EXPAND_PATH: Final = b"expand-path@openssh.com"
COPY_DATA: Final = b"copy-data"
HOME_DIRECTORY: Final = b"home-directory"
USERS_GROUPS: Final = b"users-groups-by-id@openssh.com"

FIELDS_OF: Final[Mapping[bytes, tuple[str, ...]]] = {
    POSIX_RENAME: ("path", "to"),
    STATVFS: ("path",),
    FSTATVFS: ("handle",),
    HARDLINK: ("path", "to"),
    FSYNC: ("handle",),
    LSETSTAT: ("path", "attributes"),
    LIMITS: (),
    EXPAND_PATH: ("path",),
    COPY_DATA: ("handle", "offset", "span", "to_handle", "to_offset"),
    # a user's name
    HOME_DIRECTORY: ("path",),
    USERS_GROUPS: ("data", "more"),
}
"""For each the values of its request, as `messages.Request` names them."""

VERSIONS: Final[Mapping[bytes, bytes]] = dict.fromkeys(FIELDS_OF, b"1") | {STATVFS: b"2", FSTATVFS: b"2"}
"""Which version of each is understood."""

_OVERHEAD: Final = 1 << 10
_COUNTED: Final[Mapping[bytes, Sequence[str]]] = {
    STATVFS: (
        "bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail", "fsid", "flag", "namemax",
    ),
    LIMITS: ("packet", "read", "write", "handles"),
}  # fmt: skip


def understood(announced: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Those of a server's extensions that a client may know of."""
    return tuple([(name, version) for name, version in announced if VERSIONS.get(name) == version])


def told(extension: bytes, answer: bytes) -> str:
    """What an extended reply says, for the record.

    Raises:
        Malformed: it is not whole.
    """
    reader = Reader(answer, 0)
    names = _COUNTED.get(STATVFS if extension == FSTATVFS else extension)
    if names is not None:
        return " ".join([f"{name} {reader.long()}" for name in names])
    if extension == USERS_GROUPS:
        said: list[str] = []
        for _ in range(2):
            listed = Reader(reader.string(), 0)
            found: list[str] = []
            while listed.left:
                found.append(listed.string().decode("utf-8", "backslashreplace"))
            said.append(",".join(found))
        return f"users {said[0]} groups {said[1]}"
    raise Malformed("an extended reply to what has none")


def limited(answer: bytes, handles: int) -> bytes:
    """The answer to `limits@openssh.com` with our bounds too; zero means that a server has none.

    Raises:
        Malformed: it is not whole.
    """
    reader = Reader(answer, 0)
    ours = (CONTENT_MOST, CONTENT_MOST - _OVERHEAD, CONTENT_MOST - _OVERHEAD, handles)
    return b"".join([long(min(reader.long() or own, own)) for own in ours])
