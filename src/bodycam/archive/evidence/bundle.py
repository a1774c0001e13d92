"""The bundle's form, version 1: a tar file whose every byte is determined by names, sizes and contents.

Any program that knows tar unpacks it. What reads it here takes nothing but that form: regular files, names of
known letters, no owner, no time, no folder, no link, each name once. So there is nothing to be unpacked to an
odd place, nothing hidden between members, and nothing that becomes larger by being read.
"""

import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC_NAME, MAGIC = "bodycam-evidence", b"bodycam evidence v1\n"
RUN, SESSIONS, APPROVALS, TRAIL, KEYS = (
    "run.json",
    "sessions.jsonl",
    "approvals.jsonl",
    "trail.jsonl",
    "keys.jsonl",
)
SECTION, LEAVES, PROOFS = "ledger/section", "ledger/leaves.jsonl", "ledger/proofs.json"
SIGNING, COVER, MANIFEST = "signing.pem", "index.html", "manifest.json"
FIXED = (RUN, SESSIONS, APPROVALS, TRAIL, SECTION, LEAVES, PROOFS, KEYS, SIGNING, COVER, MANIFEST)
"""What every bundle has behind its sessions, in this order."""

BLOCK = 512
MODE = 0o600
END = bytes(2 * BLOCK)
MOST_MEMBERS = 200_000
MOST_META = 64 << 20
"""Bytes of a member that is read into memory as a whole."""
MOST_LINE = 4 << 20
"""Bytes of one line of a member of lines."""
READ = 1 << 18

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*){0,4}")
_NAME_MOST = 100


class BundleDamaged(Exception):
    """The file is not a bundle from `offset` on; the text says why."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"at offset {offset}: {what}")
        self.offset, self.what = offset, what


@dataclass(frozen=True, slots=True)
class Member:
    """A member's name, where its content begins in the file, and how many bytes it has."""

    name: str
    offset: int
    size: int


def recording_name(session: str) -> str:
    """The member with a session's recording; the bytes are those that lie in its container."""
    return f"sessions/{session}/recording.bcs"


def page_name(session: str, number: int) -> str:
    """The member with one page of a session's transcript, from 1."""
    return f"sessions/{session}/transcript-{number:05d}.html"


def sheet_name(session: str) -> str:
    """The member that says who and what a session was."""
    return f"sessions/{session}/session.json"


def header(name: str, size: int) -> bytes:
    """The block before a member's content.

    Raises:
        ValueError: no member can have that name.
    """
    if not _NAME.fullmatch(name) or len(name) > _NAME_MOST:
        raise ValueError(f"not a name of a member: {name!r}")
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, MODE
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def padding(size: int) -> bytes:
    """What fills the last block behind a content of that size."""
    return bytes(-size % BLOCK)


def whole(name: str, content: bytes) -> bytes:
    """A member with its header and padding."""
    return header(name, len(content)) + content + padding(len(content))


def members(stream: BinaryIO) -> Iterator[Member]:
    """The members of a bundle, in order; contents are passed over, but padding is looked at.

    Raises:
        BundleDamaged: something that no bundle has; where the next member begins is not known then.
    """
    size = stream.seek(0, 2)
    position, seen = 0, set[str]()
    while True:
        stream.seek(position)
        block = stream.read(BLOCK)
        if block == END[:BLOCK]:
            break
        member = _member(position, block)
        if member.name in seen:
            raise BundleDamaged(position, f"a second member named {member.name}")
        if len(seen) >= MOST_MEMBERS:
            raise BundleDamaged(position, f"more than {MOST_MEMBERS} members")
        seen.add(member.name)
        end = member.offset + member.size
        if end + len(padding(member.size)) > size:
            raise BundleDamaged(position, f"{member.name} goes on behind the end of the file")
        stream.seek(end)
        if any(stream.read(len(padding(member.size)))):
            raise BundleDamaged(end, f"bytes between {member.name} and the next member")
        yield member
        position = end + len(padding(member.size))
    stream.seek(position)
    if stream.read(len(END) + 1) != END:
        raise BundleDamaged(position, "the end is not that of a bundle: something is behind it, or missing")


def _member(position: int, block: bytes) -> Member:
    if len(block) < BLOCK:
        raise BundleDamaged(position, "the file ends where a member should begin")
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        fits = info.size >= 0 and header(info.name, info.size) == block
    except (tarfile.HeaderError, ValueError) as error:
        raise BundleDamaged(position, f"not the header of a member: {error}") from error
    if not fits:
        raise BundleDamaged(
            position, f"{info.name!a} is no plain file of a bundle, or its header was altered"
        )
    return Member(info.name, position + BLOCK, info.size)


def content(stream: BinaryIO, member: Member) -> Iterator[bytes]:
    """A member's content in pieces; shorter when the file was cut meanwhile."""
    stream.seek(member.offset)
    left = member.size
    while left and (data := stream.read(min(left, READ))):
        left -= len(data)
        yield data


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a content, without their ends.

    Raises:
        ValueError: one is longer than a line may be, or the last has no end.
    """
    rest = b""
    for piece in pieces:
        *done, rest = (rest + piece).split(b"\n")
        yield from done
        if len(rest) > MOST_LINE:
            raise ValueError(f"a line of more than {MOST_LINE} bytes")
    if rest:
        raise ValueError("the last line has no end")
