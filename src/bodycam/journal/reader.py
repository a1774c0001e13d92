"""Reading one segment file, record by record, while its writer may still be filling it."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bodycam.journal import layout, wrapping
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.form import Sealed, SegmentForm, Unready

__all__ = ["Record", "SegmentReader", "Unready"]


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record: its number, and its plaintext with the record type in front."""

    sequence: int
    plain: bytes


class SegmentReader(SegmentForm):
    """Reads one segment from its start, with the archivist's private key."""

    def __init__(self, path: Path, generation: int, incarnation: bytes, private: X25519PrivateKey) -> None:
        """Open the segment and its data key.

        Raises:
            JournalDamaged: there is no such segment here, or its header is bad or not for this key.
            OSError: it can't be read.
        """
        super().__init__(path, generation, incarnation)
        try:
            self._decrypt = AESGCM(self._open_key(incarnation, private)).decrypt
        except ValueError as error:
            self.close()
            raise JournalDamaged(path, 0, str(error)) from error
        self._additional = layout.additional_data(incarnation, generation)

    def _open_key(self, incarnation: bytes, private: X25519PrivateKey) -> bytes:
        header = self.header
        if header.recipient != wrapping.fingerprint(private.public_key()):
            raise ValueError("the segment was written for another archivist key")
        context = layout.header_context(incarnation, self.generation, header.recipient)
        return wrapping.unwrap(header.sealed_key, private, context)

    def read(self, expected: int | None) -> Record | Unready:
        """Take the record at `offset`, which must have the number `expected` unless that is None."""
        sealed = self.record(expected)
        if isinstance(sealed, Unready):
            return sealed
        try:
            plain = self.open(sealed)
        except InvalidTag:
            return Unready(sealed.offset, f"record {sealed.sequence} does not verify")
        self.offset = sealed.end
        return Record(sealed.sequence, plain)

    def open(self, sealed: Sealed) -> bytes:
        """The plaintext of a record.

        Raises:
            InvalidTag: it is not what its writer wrote there.
        """
        number = layout.SEQUENCE.pack(sealed.sequence)
        return self._decrypt(layout.NONCE.pack(sealed.sequence), sealed.cipher, self._additional + number)

    def _sound(self, found: Sealed, expected: int | None) -> bool:
        try:
            self.open(found)
        except InvalidTag:
            return False
        return True
