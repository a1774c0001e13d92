"""What was redacted, and why: the details behind the ledger's leaves of redactions.

As with deletions, a record is written before its leaf and counts only once a leaf with its hash is there.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cbor2

from bodycam.archive import frames
from bodycam.archive.frames import BadFrame
from bodycam.archive.leaf import HASH_BYTES, SESSION_BYTES, detail_text, new_salt, salted
from bodycam.model import ids

FILE = "redactions"
ACTION = "redacted"


@dataclass(frozen=True, slots=True)
class Redaction:
    """One recording that took another's place, or was about to.

    `old` and `new` are roots, the objects the containers; `fingerprint` is the value's, keyed; `values`
    counts what was masked.
    """

    session: bytes
    actor: str
    run: str
    reason: str
    fingerprint: str
    values: int
    old: bytes
    new: bytes
    old_object: str
    new_object: str
    salt: bytes = b""

    def salted(self) -> "Redaction":
        """The same with a new salt."""
        return replace(self, salt=new_salt())

    @property
    def detail(self) -> dict[str, Any]:
        """The details as the audit has them."""
        return {
            "run": self.run,
            "reason": self.reason,
            "fingerprint": self.fingerprint,
            "values": self.values,
            "old": self.old.hex(),
            "new": self.new.hex(),
            "old_object": self.old_object,
            "new_object": self.new_object,
        }

    @property
    def digest(self) -> bytes:
        """The salted hash that the ledger's leaf holds."""
        text = detail_text(self.detail)
        return salted(ACTION, self.actor, ids.session_id(self.session), text, salt=self.salt)


def add(folder: Path, one: Redaction) -> None:
    """Append a record to the file in the ledger's folder, durably; half a one at its end is cut off before.

    Raises:
        OSError: it can't be written.
    """
    file = folder / FILE
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        whole = 0
        try:
            for offset, data in frames.read(stream):
                whole = offset + frames.OVERHEAD + len(data)
        except BadFrame as error:
            if not error.torn:
                whole = stream.seek(0, os.SEEK_END)
        stream.seek(whole)
        stream.truncate()
        plain = [one.session, one.salt, one.actor, one.run, one.reason, one.fingerprint, one.values]
        stream.write(frames.encode(cbor2.dumps([*plain, one.old, one.new, one.old_object, one.new_object])))
        stream.flush()
        os.fsync(stream.fileno())


def read(folder: Path) -> Iterator[tuple[int, Redaction | str]]:
    """The records of the file, with their offsets; a text where one can't be read."""
    try:
        stream = (folder / FILE).open("rb")
    except FileNotFoundError:
        return
    with stream:
        start: int | None = 0
        while start is not None:
            try:
                for offset, data in frames.read(stream, start):
                    yield offset, _decode(data)
                start = None
            except BadFrame as error:
                if not error.torn:
                    yield error.offset, error.what
                start = error.behind


def _decode(data: bytes) -> Redaction | str:
    try:
        plain = cbor2.loads(data)
    except Exception as error:  # a decoder of what may be damaged: whatever it trips over, it is no record
        return f"not a record of a redaction: {error}"
    match plain:
        case [
            bytes(session),
            bytes(salt),
            str(actor),
            str(run),
            str(reason),
            str(fingerprint),
            int(values),
            bytes(old),
            bytes(new),
            str(old_object),
            str(new_object),
        ] if len(session) == SESSION_BYTES and len(old) == len(new) == HASH_BYTES:
            return Redaction(
                session, actor, run, reason, fingerprint, values, old, new, old_object, new_object, salt
            )
        case _:
            return "not a record of a redaction: it lacks a part"
