"""What was redacted, and why: the details behind the ledger's leaves of redactions, in a `recordfile`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cbor2

from bodycam.archive import recordfile
from bodycam.archive.leaf import HASH_BYTES, SESSION_BYTES, detail_text, new_salt, salted
from bodycam.archive.recordfile import RecordFile
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
    """Append a record to the file in the ledger's folder, durably.

    Raises:
        OSError: it can't be written.
    """
    file = RecordFile(folder / FILE, _encode)
    try:
        file.add([one])
    finally:
        file.close()


def read(folder: Path) -> Iterator[tuple[int, Redaction | str]]:
    """The records of the file, with their offsets; a text where one can't be read."""
    return recordfile.read(folder / FILE, _decode)


def _encode(one: Redaction) -> bytes:
    plain = [one.session, one.salt, one.actor, one.run, one.reason, one.fingerprint, one.values]
    return cbor2.dumps([*plain, one.old, one.new, one.old_object, one.new_object])


def _decode(data: bytes) -> Redaction:
    """A record of the file.

    Raises:
        ValueError: it is none.
    """
    try:
        plain = cbor2.loads(data)
    except Exception as error:  # a decoder of what may be damaged: whatever it trips over, it is no record
        raise ValueError(f"not a record of a redaction: {error}") from error
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
            raise ValueError("not a record of a redaction: it lacks a part")
