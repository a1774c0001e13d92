"""A bundle that is open for verification: its members, never more than a piece of them at a time."""

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from bodycam.archive.evidence import bundle
from bodycam.archive.evidence.bundle import BundleDamaged, Member
from bodycam.archive.evidence.statement import bounded_json
from bodycam.archive.findings import Findings
from bodycam.archive.format.container import Read

MOST_LINES = 1_000_000
"""Lines of one member that are taken."""


class OpenedBundle:
    """The members of a file by their names, as far as they can be found; what is odd is a finding."""

    def __init__(self, stream: BinaryIO, findings: Findings) -> None:
        self._stream, self._findings = stream, findings
        self.members: dict[str, Member] = {}
        self.digests: dict[str, str] = {}
        self._told = set[str]()
        try:
            for member in bundle.members(stream):
                self.members[member.name] = member
        except BundleDamaged as error:
            findings.add("the bundle", str(error))

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def hash_all(self, progress: Callable[[int], None]) -> None:
        """Hash every member; `progress` is told of bytes as they go by."""
        for name, member in self.members.items():
            digest = hashlib.sha256()
            for piece in bundle.content(self._stream, member):
                digest.update(piece)
                progress(len(piece))
            self.digests[name] = digest.hexdigest()

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member's content in pieces; nothing where there is no such member."""
        member = self.members.get(name)
        if member is not None:
            yield from bundle.content(self._stream, member)

    def first_piece(self) -> bytes:
        """What the first member begins with."""
        return next((piece for name in self.members for piece in self.pieces(name)), b"")

    def whole(self, name: str) -> bytes:
        """A member's content, for those that are small.

        Raises:
            ValueError: it is missing, or larger than such a member may be.
        """
        member = self.members.get(name)
        if member is None:
            raise ValueError("is missing")
        if member.size > bundle.MOST_META:
            raise ValueError(f"has {member.size} bytes, more than it may")
        return b"".join(self.pieces(name))

    def too_large(self, name: str) -> bool:
        """Whether a member is larger than one that is kept in memory may be, which is a finding."""
        member = self.members.get(name)
        if member is None or member.size <= bundle.MOST_META:
            return False
        self._findings.add(name, f"has {member.size} bytes, more than it may")
        return True

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The lines of a member of lines, each a map; what is none is a finding, once, and ends it."""
        try:
            for number, line in enumerate(bundle.lines(self.pieces(name)), 1):
                if number > MOST_LINES:
                    raise ValueError(f"has more than {MOST_LINES} lines")
                one = bounded_json(line)
                if not isinstance(one, dict):
                    raise ValueError(f"line {number} is no map")
                yield one
        except ValueError as error:
            if name not in self._told:
                self._told.add(name)
                self._findings.add(name, str(error))

    def reader(self, name: str) -> Read:
        """Reads of a member by offset and length."""
        member, descriptor = self.members[name], self._stream.fileno()

        def read(offset: int, length: int) -> bytes:
            length = max(0, min(length, member.size - offset))
            return os.pread(descriptor, length, member.offset + offset)

        return read
