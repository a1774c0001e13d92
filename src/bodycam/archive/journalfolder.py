"""One incarnation's journal as verification sees it: by content with the archivist's key, else by form."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag

from bodycam.journal import layout
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.folder import LOCK, is_live, segments_of
from bodycam.journal.form import Sealed, SegmentForm, Unready
from bodycam.journal.layout import RecordType
from bodycam.journal.reader import SegmentReader
from bodycam.journal.wrapping import Opener

BLOCK = 4096
"""What the size of a segment is a multiple of, until it is trimmed."""
_MARK = 1 + layout.TAG_BYTES  # bytes of ciphertext
_SHORTEST = _MARK + layout.ENTRY_HEAD.size


@dataclass(frozen=True, slots=True)
class Last:
    """Where the last whole record of a segment stands, and what padding it has that was not looked at yet."""

    begin: int = 0
    end: int = 0
    padding: bytes = b""


@dataclass(frozen=True, slots=True)
class Behind:
    """A sound record behind a bad place; `before` is where and what is bad when that is before the place."""

    generation: int
    offset: int = layout.HEADER_BYTES
    sequence: int | None = None
    before: Unready | None = None


class JournalFolder:
    """The segments of one incarnation."""

    def __init__(self, path: Path, incarnation: bytes, key: Opener | None) -> None:
        self.path, self.incarnation, self._key = path, incarnation, key

    @property
    def keyed(self) -> bool:
        """Whether contents can be read."""
        return self._key is not None

    @property
    def live(self) -> bool:
        """Whether its writer lives."""
        return is_live(self.path)

    def present(self) -> list[int]:
        """The generations that are there; none when the folder is gone."""
        try:
            segments = segments_of(self.path)
        except FileNotFoundError:
            return []
        return [number for number, path in segments if path.name == layout.segment_name(number)]

    def segment(self, generation: int) -> Path:
        """The file of a generation."""
        return self.path / layout.segment_name(generation)

    def strangers(self) -> Iterator[str]:
        """The names of what a journal has no use for."""
        for path in self.path.iterdir():
            generation = layout.segment_generation(path.name)
            if path.name != LOCK and (generation is None or path.name != layout.segment_name(generation)):
                yield path.name

    def lacks_lock(self) -> bool:
        """Whether the writer's lock is missing; the archivist takes such a folder for no journal."""
        return not (self.path / LOCK).exists() and self.path.exists()

    def open(self, generation: int) -> SegmentForm:
        """A segment. Raises as `SegmentReader` does."""
        path = self.segment(generation)
        if self._key is None:
            return SegmentForm(path, generation, self.incarnation)
        return SegmentReader(path, generation, self.incarnation, self._key)

    def next(self, form: SegmentForm, expected: int | None) -> tuple[Sealed, bytes | None] | Unready:
        """The record at the segment's offset, with its plaintext where there is the key."""
        sealed = form.record(expected)
        if isinstance(sealed, Unready):
            return sealed
        if isinstance(form, SegmentReader):
            try:
                return sealed, form.open(sealed)
            except InvalidTag:
                return Unready(sealed.offset, f"record {sealed.sequence} does not verify")
        if not any(sealed.cipher[-layout.TAG_BYTES :]) or _MARK < len(sealed.cipher) < _SHORTEST:
            # a tag is never zeros, and no entry is that short: the length is not what was written
            return Unready(sealed.offset, f"record {sealed.sequence} claims {len(sealed.cipher)} bytes")
        return sealed, None

    def kind(self, form: SegmentForm, sealed: Sealed) -> int:
        """What a record is by its form. Of the two marks one promises a next segment, and one has none."""
        if not sealed.is_mark:
            return RecordType.ENTRIES
        if form.size == sealed.end and form.size % BLOCK:
            return RecordType.CLOSED
        present = self.present()
        goes_on = any(one > form.generation for one in present) or form.generation not in present
        return RecordType.SEGMENT_END if goes_on else RecordType.CLOSED

    def sound_behind(self, form: SegmentForm, expected: int | None, last: Last) -> Behind | None:
        """The next sound record behind the segment's offset, where none is."""
        if (misled := self._misled(form, expected, last)) is not None:
            return misled
        later = form.later(expected)
        if later is not None:
            return Behind(form.generation, *later)
        for generation in sorted(self.present()):
            if generation > form.generation and self._holds_a_record(generation):
                return Behind(generation)
        return None

    def _misled(self, form: SegmentForm, expected: int | None, last: Last) -> Behind | None:
        """A wrong length leads astray who has no key: the next record stands elsewhere behind the last."""
        offset = form.offset
        if self.keyed or last.end != offset or expected is None:
            return None
        form.offset = last.begin
        later = form.later(expected)
        form.offset = offset
        if later is None or later[1] != expected:
            return None
        what = f"the length of record {expected - 1} does not lead to the next record"
        return Behind(form.generation, *later, Unready(last.begin, what))

    def _holds_a_record(self, generation: int) -> bool:
        try:
            form = self.open(generation)
        except (JournalDamaged, OSError):
            return False
        try:
            return not isinstance(self.next(form, None), Unready)
        except OSError:
            return False
        finally:
            form.close()


def is_blank(path: Path) -> bool:
    """Whether a file has nothing but zeros; one that is gone or can't be read has nothing."""
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 18):
                if chunk.strip(b"\0"):
                    return False
    except OSError:
        return True
    return True
