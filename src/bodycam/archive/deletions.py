"""What retention deleted, and why: the details behind the ledger's tombstones.

A tombstone has a session's random id and a salted hash; the file `deletions` beside the ledger has what was
hashed (a `recordfile`), so that verification can say which rule deleted a recording, offline and without the
catalog.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cbor2

from bodycam.archive import recordfile
from bodycam.archive.leaf import SESSION_BYTES, detail_text, new_salt, salted
from bodycam.archive.recordfile import RecordFile
from bodycam.model import ids

FILE = "deletions"
ACTION = "deleted"
SALT_BYTES = 16

Source = Callable[[], Iterator[tuple[int, "Deletion | str"]]]
"""Reads all records there are, with their offsets; a text stands for one that can't be read."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One recording that was deleted, or was about to be.

    Attributes:
        actor: `retention`, or who applied the rules by hand, as subject@issuer.
        run: the run that the session was of.
        rule: the name of the rule that gave the maximum age.
        keep: that age, in seconds.
        sealed: Unix milliseconds; its age counts from then.
        object: the container that it was in.
    """

    session: bytes
    salt: bytes
    actor: str
    run: str
    rule: str
    keep: float
    sealed: int
    object: str

    @classmethod
    def fresh(
        cls, session: bytes, actor: str, run: str, rule: str, keep: float, sealed: int, name: str
    ) -> Self:
        """One with a new salt."""
        return cls(session, new_salt(), actor, run, rule, keep, sealed, name)

    @property
    def detail(self) -> dict[str, Any]:
        """The details as the audit has them."""
        return {
            "run": self.run,
            "rule": self.rule,
            "keep": self.keep,
            "sealed": self.sealed,
            "object": self.object,
        }

    @property
    def digest(self) -> bytes:
        """The salted hash that the ledger's leaf holds."""
        text = detail_text(self.detail)
        return salted(ACTION, self.actor, ids.session_id(self.session), text, salt=self.salt)


def _encode(one: Deletion) -> bytes:
    plain = [one.session, one.salt, one.actor, one.run, one.rule, one.keep, one.sealed, one.object]
    return cbor2.dumps(plain)


def _decode(data: bytes) -> Deletion:
    """A record of the file.

    Raises:
        ValueError: it is none.
    """
    try:
        plain = cbor2.loads(data)
    except Exception as error:  # a decoder of what may be damaged: whatever it trips over, it is no record
        raise ValueError(f"not a record of a deletion: {error}") from error
    match plain:
        case [
            bytes(session),
            bytes(salt),
            str(actor),
            str(run),
            str(rule),
            int() | float() as keep,
            int(sealed),
            str(name),
        ] if len(session) == SESSION_BYTES and len(salt) == SALT_BYTES:
            return Deletion(session, salt, actor, run, rule, float(keep), sealed, name)
        case _:
            raise ValueError("not a record of a deletion: it lacks a part")


class DeletionFile(RecordFile[Deletion]):
    """The file, for its one writer."""

    def __init__(self, folder: Path) -> None:
        """Open the file in the ledger's folder, or begin one.

        Raises:
            OSError: it can't be.
        """
        super().__init__(folder / FILE, _encode)


def read(folder: Path) -> Iterator[tuple[int, Deletion | str]]:
    """The records of the file in a ledger's folder, with their offsets; a text where one can't be read."""
    return recordfile.read(folder / FILE, _decode)
