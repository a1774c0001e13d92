"""Verification of the journals: with the archivist's key all that they hold, without it their form."""

from pathlib import Path
from typing import Any

from bodycam.archive.builder import duplicate_id
from bodycam.archive.findings import Findings
from bodycam.archive.format import v1
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.journalwalk import JournalWalk
from bodycam.archive.story import Story
from bodycam.journal.entry import Entry
from bodycam.journal.folder import SPENT, UNBORN, incarnation_of
from bodycam.journal.wrapping import Opener
from bodycam.model import ids
from bodycam.model.event import Kind


class JournalCheck:
    """Reads every journal under `root`; what is added meanwhile is read by the next `advance`.

    With the key every record's tag is checked, and the story hears which sessions are opened. Without it
    headers, lengths, numbers and marks are. `torn` hears of what writers that died did not finish, which is
    no fault. Memory holds one event of a journal and a note for each folder.
    """

    def __init__(
        self,
        root: Path,
        key: Opener | None,
        story: Story,
        findings: Findings,
        torn: Findings,
    ) -> None:
        self._root, self._key, self._story = root, key, story
        self._findings, self._torn = findings, torn
        self._walks: dict[bytes, JournalWalk] = {}
        self._strangers: set[str] = set()
        self._unreadable: set[str] = set()
        self._segments = self._records = 0

    def advance(self) -> None:
        """Read all that is there and was not read yet."""
        try:
            paths = sorted(self._root.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            self._unread(self._root, error)
            return
        for path in paths:
            incarnation = incarnation_of(path)
            if path.name.endswith((UNBORN, SPENT)):
                continue  # a worker or the archivist is at it, or died there; it holds nothing that counts
            if incarnation is None:
                self._stranger(path)
                continue
            walk = self._walks.get(incarnation)
            if walk is None:
                walk = self._walks[incarnation] = JournalWalk(path, incarnation, self._key, self)
            try:
                walk.advance()
            except FileNotFoundError:
                continue  # all of it is sealed, and it was removed meanwhile
            except NotADirectoryError:
                self._stranger(path)
            except OSError as error:
                self._unread(path, error)

    def holds(self, worker: bytes, opening: int, session: bytes) -> bool:
        """Whether a session that is not sealed is in its worker's journal.

        Without the key the journal has to hold records, of whatever they are.
        """
        if self._key is not None:
            if session == duplicate_id((worker, opening)):
                return self._story.holds(worker, opening)
            return self._story.holds(worker, opening, session)
        walk = self._walks.get(worker)
        return walk is not None and walk.records > 0

    def to_plain(self) -> dict[str, Any]:
        """What was looked at, and how, as JSON."""
        return {
            "folders": len(self._walks),
            "segments": self._segments,
            "records": self._records,
            "checked": "structure" if self._key is None else "contents",
        }

    # -- what a walk tells -----------------------------------------------------------------------------

    def fault(self, where: str, what: str) -> None:
        """Damage."""
        self._findings.add(where, what)

    def torn(self, where: str, what: str) -> None:
        """What a dead writer did not finish."""
        self._torn.add(where, what)

    def segment(self) -> None:
        """A segment is looked at."""
        self._segments += 1

    def record(self) -> None:
        """A record is whole."""
        self._records += 1

    def entry(self, incarnation: bytes, entry: Entry) -> None:
        """An event is whole: of openings it is kept whose they are."""
        if entry.kind != Kind.OPENED:
            return
        try:
            session = ids.raw(v1.load(entry.body, "opening")["session"])
        except (FormatDamaged, TypeError, LookupError, ValueError, AttributeError):
            return  # no honest worker's: the ledger never has it as opened
        self._story.hold(incarnation, entry.session, session)

    # -- small things ----------------------------------------------------------------------------------

    def _stranger(self, path: Path) -> None:
        if path.name not in self._strangers:
            self._strangers.add(path.name)
            self.fault(str(path), "is no journal")

    def _unread(self, path: Path, error: OSError) -> None:
        if path.name not in self._unreadable:
            self._unreadable.add(path.name)
            self.fault(str(path), f"can't be read: {error.strerror}")
