"""Paths of a server's files: as rules read them, and as people do.

A path is bytes. For rules it is text, in which bytes that are no UTF-8 are escaped, and said to be. What a
server makes of links in it nobody here can know: a rule about paths is about names.
"""

import re
from typing import Final

PATH_MOST: Final = 32 << 10
"""Bytes of one path at most; systems take 4 KiB."""

_ODD: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]")


def is_text(path: bytes) -> bool:
    """Whether a path is UTF-8."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def unfit(path: bytes) -> str:
    """Why a path is refused; empty if it may go on."""
    if b"\x00" in path:
        return "a path with a NUL, at which one server ends it and another does not"
    if len(path) > PATH_MOST:
        return f"a path of {len(path)} bytes; {PATH_MOST} are the most"
    return ""


def shown(path: bytes) -> str:
    """A path on one line, and no other looks like it: what can't be shown and backslashes are escaped."""
    text = path.decode("utf-8", "surrogateescape")
    if _ODD.search(text):
        text = _ODD.sub(lambda odd: _escape(odd[0]), text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _escape(odd: str) -> str:
    return "\\\\" if odd == "\\" else "".join([f"\\x{byte:02x}" for byte in odd.encode()])


def resolved(path: bytes, home: bytes = b"") -> str:
    """A path as rules read it: from the root where `home` is known, without `//`, `.` and `..`.

    `home` is where a relative path begins, empty if that is not known.
    """
    if not path.startswith(b"/") and home:
        path = home + b"/" + path
    rooted = path.startswith(b"/")
    steps: list[bytes] = []
    for step in path.split(b"/"):
        if step in (b"", b"."):
            continue
        if step != b"..":
            steps.append(step)
        elif steps and steps[-1] != b"..":
            steps.pop()
        elif not rooted:
            steps.append(step)
    plain = (b"/" if rooted else b"") + b"/".join(steps)
    return (plain or b".").decode("utf-8", "backslashreplace")


def joined(folder: bytes, name: bytes) -> bytes:
    """A name in a folder."""
    if not folder or folder == b".":
        return name
    return folder + name if folder.endswith(b"/") else folder + b"/" + name
