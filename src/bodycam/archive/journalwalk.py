"""Verification of one incarnation's journal, beside a writer and an archivist that go on.

Nothing is locked but for the blink in which `is_live` looks; what a live writer has not finished is no fault.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bodycam.archive.journalfolder import BLOCK, JournalFolder, Last, is_blank
from bodycam.journal import layout
from bodycam.journal.assembly import Assembly
from bodycam.journal.entry import Entry
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.folder import LOCK
from bodycam.journal.form import Sealed, SegmentForm, Unready
from bodycam.journal.layout import RecordType
from bodycam.journal.wrapping import Opener

PAUSES = (0.0, 0.01, 0.05)
"""Seconds before each look at a bad record of a live writer behind which sound ones were seen: on some
processors they may be seen before it."""

_PADDING = 4  # of the header
_Tell = Callable[[str, str], None]


class Notes(Protocol):
    """Who hears of what a walk finds."""

    def fault(self, where: str, what: str) -> None:
        """Damage."""

    def torn(self, where: str, what: str) -> None:
        """What a writer that died never finished, or what a loss of power took: no damage."""

    def segment(self) -> None:
        """A segment is looked at."""

    def record(self) -> None:
        """A record is whole."""

    def entry(self, incarnation: bytes, entry: Entry) -> None:
        """An event is whole; only told where there is the key."""


@dataclass(slots=True)
class _Place:
    """Where reading goes on.

    `expected` is the number of the next record where it is known; `promised` says that the generation must be
    there and sound, because the one before says so.
    """

    generation: int
    offset: int = layout.HEADER_BYTES
    expected: int | None = None
    promised: bool = False


class JournalWalk:
    """Reads one incarnation's folder from its oldest segment on; `advance` again reads what came meanwhile.

    Attributes:
        records: how many records are whole, by their form, or with the key by their content.
    """

    def __init__(self, folder: Path, incarnation: bytes, key: Opener | None, notes: Notes) -> None:
        self._folder, self._notes = JournalFolder(folder, incarnation, key), notes
        self._place: _Place | None = None
        self._assembly = Assembly()
        self._size: int | None = None  # of a segment that was not trimmed
        self._counted = 0  # the highest generation that was looked at
        self._last = Last()
        self._looked = self._ended = False
        self.records = 0

    def advance(self) -> None:
        """Read all that is there.

        Raises:
            OSError: the folder can't be read.
        """
        present = self._folder.present()
        if not self._looked:
            self._looked = True
            self._look_around(present)
        if not present or self._ended:
            return
        if self._place is None:
            lowest = min(present)
            self._place = _Place(lowest, expected=1 if lowest == 1 else None)
        # to the one that the last may promise; a writer that is faster than we are would keep us for ever
        last = max(present) + 1
        while self._place.generation <= last:
            if not self._segment(self._place):
                return

    # -- segments ------------------------------------------------------------------------------------

    def _segment(self, place: _Place) -> bool:
        """Read a segment from a place on; False when there is nothing more for now."""
        path = self._folder.segment(place.generation)
        try:
            form = self._folder.open(place.generation)
        except JournalDamaged as error:
            return self._unopened(path, place, error.reason)
        except OSError as error:
            self._notes.fault(str(path), f"can't be read: {error.strerror}")
            return self._go(_Place(place.generation + 1))
        try:
            self._begin(form)
            form.offset = place.offset
            return self._records(form, place)
        except OSError as error:
            self._notes.fault(f"{path}: at offset {form.offset}", f"can't be read: {error.strerror}")
            return self._go(_Place(place.generation + 1))
        finally:
            form.close()

    def _unopened(self, path: Path, place: _Place, reason: str) -> bool:
        generation = place.generation
        present = self._folder.present()
        higher = [one for one in present if one > generation]
        if generation not in present:
            if present and min(present) > generation:
                return self._go(_Place(min(present)))  # it was sealed, and removed, while we read
            if not present or not (place.promised or higher):
                return False
            self._notes.fault(str(path), "the segment is missing")
        else:
            ahead = not higher and not (place.promised and self._folder.keyed)
            if ahead and (is_blank(path) or (not place.promised and self._folder.live)):
                return False  # its writer makes it, or died as it did
            self._notes.fault(f"{path}: at offset 0", reason)
        return self._go(_Place(generation + 1))

    def _go(self, place: _Place) -> bool:
        """Go on where what comes next is not what came before."""
        self._assembly.drop()
        self._last = Last()
        self._place = place
        return True

    # -- records -------------------------------------------------------------------------------------

    def _records(self, form: SegmentForm, place: _Place) -> bool:
        while True:
            found = self._folder.next(form, place.expected)
            if isinstance(found, Unready):
                if not self._judge(form, place, found):
                    return False
                if self._place is not place:
                    return True
                continue
            sealed, plain = found
            self._check_padding(form)
            form.offset = place.offset = sealed.end
            place.expected = sealed.sequence + 1
            self._last = Last(sealed.offset, sealed.end, sealed.padding)
            self.records += 1
            self._notes.record()
            if plain is not None:
                self._check_padding(form)  # that its length is right is sure
            if self._is_last(form, sealed, plain):
                return not self._ended

    def _is_last(self, form: SegmentForm, sealed: Sealed, plain: bytes | None) -> bool:
        """Take a whole record; says whether its segment ends with it."""
        kind = self._folder.kind(form, sealed) if plain is None else plain[0]
        match kind:
            case RecordType.SEGMENT_END:
                self._check_blank(form)
                self._size = form.size
                self._last = Last()
                self._place = _Place(form.generation + 1, expected=sealed.sequence + 1, promised=True)
                return True
            case RecordType.CLOSED:
                self._check_blank(form)
                if plain is None:
                    self._check_trimmed(form)
                self._finish(form.generation, self._notes.fault)
                return True
            case RecordType.ENTRIES:
                if plain is not None:
                    self._entries(form, sealed, plain)
            case _:
                self._fault(form, sealed.offset, f"record {sealed.sequence} is of the unknown type {kind}")
        return False

    def _entries(self, form: SegmentForm, sealed: Sealed, plain: bytes) -> None:
        try:
            batch = self._assembly.add(form.generation, plain)
        except ValueError as error:
            self._fault(form, sealed.offset, f"record {sealed.sequence} makes no sense: {error}")
            return
        for entry in batch or ():
            self._notes.entry(self._folder.incarnation, Entry(*entry))

    # -- where no whole record is --------------------------------------------------------------------

    def _judge(self, form: SegmentForm, place: _Place, unready: Unready) -> bool:
        """What a place without a whole record means. True: there is more to read. False: not for now."""
        live = self._folder.live
        behind = self._folder.sound_behind(form, place.expected, self._last)
        for pause in PAUSES if live and behind is not None else PAUSES[:1]:
            if pause:
                time.sleep(pause)
            form.forget()
            again = self._folder.next(form, place.expected)
            if not isinstance(again, Unready):
                return True  # the writer went on between our look and now
            unready = again
        if behind is not None and behind.before is not None:
            unready = behind.before
        else:
            self._check_padding(form)
        if behind is not None:
            name = layout.segment_name(behind.generation)
            self._fault(form, unready.offset, f"{unready.reason}, and sound records follow in {name}")
            if behind.generation > form.generation:
                return self._go(_Place(form.generation + 1, promised=True))
            return self._go(_Place(form.generation, behind.offset, behind.sequence))
        if not live:
            self._dead_end(form, unready)
        return False

    def _dead_end(self, form: SegmentForm, unready: Unready) -> None:
        """The end of a writer that died. The last mark is on the disk before a file is trimmed."""
        if form.size % BLOCK or form.size != (self._size or form.size):
            what = f"{unready.reason}; the file has {form.size} bytes and lacks the mark of the journal's end"
            self._fault(form, unready.offset, what)
        elif not unready.empty or form.first_byte(unready.offset) is not None:
            self._notes.torn(f"{form.path}: at offset {unready.offset}", unready.reason)
        elif self._assembly.open:
            self._notes.torn(f"{form.path}: at offset {unready.offset}", "the end of an event is missing")
        self._finish(form.generation, self._notes.torn)

    def _finish(self, generation: int, tell: _Tell) -> None:
        """Nothing more can come; a segment that was made ahead is left, and has to be unused."""
        self._ended = True
        for later in sorted(one for one in self._folder.present() if one > generation):
            path = self._folder.segment(later)
            try:
                form = SegmentForm(path, later, self._folder.incarnation)
            except JournalDamaged as error:
                if path.exists() and not is_blank(path):
                    self._notes.fault(f"{path}: at offset 0", error.reason)
                continue
            except OSError as error:
                self._notes.fault(str(path), f"can't be read: {error.strerror}")
                continue
            try:
                self._begin(form)
                if (at := form.first_byte(layout.HEADER_BYTES)) is not None:
                    tell(f"{path}: at offset {at}", "bytes stand behind the end of the journal")
            finally:
                form.close()

    # -- small things --------------------------------------------------------------------------------

    def _check_padding(self, form: SegmentForm) -> None:
        """Say once when the last record's padding is not blank."""
        begin, end, padding = self._last.begin, self._last.end, self._last.padding
        if any(padding):
            self._fault(form, end - len(padding.lstrip(b"\0")), "bytes stand in a record's padding")
            self._last = Last(begin, end)

    def _check_blank(self, form: SegmentForm) -> None:
        self._check_padding(form)
        if (at := form.first_byte(form.offset)) is not None:
            self._fault(form, at, "bytes stand behind the mark of the segment's end")

    def _check_trimmed(self, form: SegmentForm) -> None:
        if form.size > form.offset and not self._folder.live:
            what = "the last mark is here: the writer died as it closed, or the next segment is missing"
            self._notes.torn(f"{form.path}: at offset {form.offset - layout.MARK_BYTES}", what)

    def _begin(self, form: SegmentForm) -> None:
        """Count a segment once, and look at what its own checksum leaves out."""
        if form.generation <= self._counted:
            return
        self._counted = form.generation
        self._notes.segment()
        at = form.first_byte(layout.HEADER_BYTES - _PADDING, layout.HEADER_BYTES)
        if at is not None:
            self._fault(form, at, "bytes stand in the header's padding")

    def _fault(self, form: SegmentForm, offset: int, what: str) -> None:
        self._notes.fault(f"{form.path}: at offset {offset}", what)

    def _look_around(self, present: list[int]) -> None:
        """What is in the folder and is no segment."""
        for name in sorted(self._folder.strangers()):
            self._notes.fault(str(self._folder.path / name), "is no segment of a journal")
        if present and self._folder.lacks_lock():
            what = f"lacks the file {LOCK}, without which the archivist takes it for no journal"
            self._notes.fault(str(self._folder.path), what)
