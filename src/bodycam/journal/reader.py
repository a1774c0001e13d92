"""Reading one segment file, record by record, while its writer may still be filling it."""

from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bodycam.journal import layout, wrapping
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.form import MAX_CIPHER, MIN_CIPHER, Sealed, SegmentForm, Unready

__all__ = ["SegmentReader", "Unready"]

_HEAD = layout.RECORD_HEAD.size
_NONCE, _NUMBER, _UNPACK = layout.NONCE.pack, layout.SEQUENCE.pack, layout.RECORD_HEAD.unpack_from


class SegmentReader(SegmentForm):
    """Reads one segment from its start, with the archivist's private key.

    Attributes:
        sequence: the number of the record that was read last.
    """

    def __init__(self, path: Path, generation: int, incarnation: bytes, private: wrapping.Opener) -> None:
        """Open the segment and its data key.

        Raises:
            JournalDamaged: there is no such segment here, or its header is bad or not for this key.
            OSError: it can't be read.
        """
        super().__init__(path, generation, incarnation)
        self.sequence = 0
        try:
            self._decrypt = AESGCM(self._open_key(incarnation, private)).decrypt
        except ValueError as error:
            self.close()
            raise JournalDamaged(path, 0, str(error)) from error
        self._additional = layout.additional_data(incarnation, generation)

    def _open_key(self, incarnation: bytes, private: wrapping.Opener) -> bytes:
        header = self.header
        own = wrapping.opener(private, header.recipient)
        if own is None:
            raise ValueError("the segment was written for another archivist key")
        context = layout.header_context(incarnation, self.generation, header.recipient)
        return wrapping.unwrap(header.sealed_key, own, context)

    def read(self, expected: int | None) -> bytes | Unready:
        """Take the record at `offset`: its plaintext, its type in front.

        It must have the number `expected` unless that is None.
        """
        # nearly every record is whole in what was read ahead; whatever is odd about one is found out below
        chunk, start = self._chunk, self.offset - self._base + _HEAD
        if _HEAD <= start <= len(chunk):
            length, sequence = _UNPACK(chunk, start - _HEAD)
            end = start + length
            if sequence == expected and MIN_CIPHER <= length <= MAX_CIPHER and end <= len(chunk):
                try:
                    plain = self._decrypt(
                        _NONCE(sequence), chunk[start:end], self._additional + _NUMBER(sequence)
                    )
                except InvalidTag:
                    pass
                else:
                    self.offset += _HEAD + length + 7 & ~7
                    self.sequence = sequence
                    return plain
        sealed = self.record(expected)
        if isinstance(sealed, Unready):
            return sealed
        try:
            plain = self.open(sealed)
        except InvalidTag:
            return Unready(sealed.offset, f"record {sealed.sequence} does not verify")
        self.offset, self.sequence = sealed.end, sealed.sequence
        return plain

    def open(self, sealed: Sealed) -> bytes:
        """The plaintext of a record.

        Raises:
            InvalidTag: it is not what its writer wrote there.
        """
        number = _NUMBER(sealed.sequence)
        return self._decrypt(_NONCE(sealed.sequence), sealed.cipher, self._additional + number)

    def _sound(self, found: Sealed, expected: int | None) -> bool:
        try:
            self.open(found)
        except InvalidTag:
            return False
        return True
