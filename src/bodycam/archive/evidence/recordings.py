"""Verification of a bundle's sessions: each recording is as it was sealed, and its pages say what it says."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bodycam.archive.containercheck import sealed_bytes
from bodycam.archive.deletions import ACTION, SALT_BYTES
from bodycam.archive.evidence import bundle
from bodycam.archive.evidence.opened import OpenedBundle
from bodycam.archive.evidence.pages import Pages
from bodycam.archive.evidence.proofs import LedgerPart
from bodycam.archive.evidence.sheet import Sheet
from bodycam.archive.evidence.signers import Signers
from bodycam.archive.findings import Findings
from bodycam.archive.format import v1
from bodycam.archive.format.container import SessionReader
from bodycam.archive.leaf import SESSION_BYTES, detail_text, salted
from bodycam.archive.story import Story
from bodycam.model import ids
from bodycam.model.transcript import Transcript

_KEPT = ("rule", "deleted", "actor", "salt", "detail", "what")
_SHOWN = 200
"""Characters of what a bundle says that a finding repeats."""

Differing = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Told:
    """A session that the bundle tells of, and what of its line is looked at again."""

    session: str
    state: str
    line: Mapping[str, Any]


def read_told(opened: OpenedBundle, findings: Findings) -> dict[bytes, Told]:
    """The lines of `sessions.jsonl` by the session's raw id."""
    found: dict[bytes, Told] = {}
    if opened.too_large(bundle.SESSIONS):
        return found
    for number, one in enumerate(opened.lines(bundle.SESSIONS), 1):
        where, session = f"{bundle.SESSIONS}: line {number}", one.get("session")
        try:
            raw = ids.raw(session) if isinstance(session, str) else b""
        except ValueError:
            raw = b""
        if len(raw) != SESSION_BYTES or session != ids.session_id(raw):
            findings.add(where, "names no session")
        elif raw in found:
            findings.add(where, f"{session} is told of twice")
        elif len(found) >= bundle.MOST_MEMBERS:
            findings.add(where, "more sessions than a bundle can have")
            break
        else:
            kept = {name: one[name] for name in _KEPT if name in one}
            found[raw] = Told(str(session), str(one.get("state"))[:_SHOWN], kept)
    return found


class RecordingsCheck:
    """Checks what is told of each session against ledger and recording."""

    def __init__(
        self,
        opened: OpenedBundle,
        signers: Signers,
        transcripts: Mapping[str, Transcript],
        ledger: LedgerPart,
        story: Story,
        findings: Findings,
        run: str,
    ) -> None:
        self._opened, self._signers, self._transcripts = opened, signers, transcripts
        self._ledger, self._story, self._findings, self._run = ledger, story, findings, run
        self._data_keys: dict[str, bytes] = {}
        self._used = set[str]()

    def check(self, told: Mapping[bytes, Told], progress: Callable[[int], None]) -> Differing:
        """Check all; gives the pages and sheets that are not what this version makes of their recordings."""
        self._read_keys()
        for raw, one in told.items():
            label = f"session {one.session}"
            if one.state == "unattributed":
                self._findings.add(label, "was opened in the run's time, and of which run is not known")
                continue
            if raw not in self._ledger.openings:
                self._findings.add(label, "has no opening in the ledger")
            match one.state:
                case "sealed":
                    yield from self._sealed(raw, one, label)
                case "open" if raw in self._ledger.sealed:
                    self._findings.add(label, "is said to be open, and the ledger has it as sealed")
                case "open":
                    pass
                case "deleted":
                    self._deleted(raw, one, label)
                case "unreadable":
                    self._findings.add(
                        label, f"its recording could not be read: {_cut(one.line.get('what'))}"
                    )
                case _:
                    self._findings.add(label, f"is in no known state: {one.state!a}")
            member = self._opened.members.get(bundle.recording_name(one.session))
            progress(0 if member is None else member.size)
        for name in self._opened.members:
            if name.startswith("sessions/") and name not in self._used:
                self._findings.add(name, "is of no session that was sealed, as far as the bundle tells")

    def _read_keys(self) -> None:
        if self._opened.too_large(bundle.KEYS):
            return
        for one in self._opened.lines(bundle.KEYS):
            try:
                key = bytes.fromhex(one["key"])
                if len(key) != v1.KEY_BYTES:
                    raise ValueError("of another length")
                self._data_keys[str(one["session"])[:_SHOWN]] = key
            except (KeyError, TypeError, ValueError):
                self._findings.add(bundle.KEYS, f"no key of a session: {_cut(one.get('session'))}")

    def _deleted(self, raw: bytes, one: Told, label: str) -> None:
        digest, line = self._ledger.deleted.get(raw), one.line
        if digest is None:
            self._findings.add(label, "is said to be deleted, and the ledger has no tombstone of it")
            return
        if line.get("rule") is None:
            return  # nothing tells the rule any more; the tombstone stands
        try:
            salt = bytes.fromhex(line["salt"])
            said = salted(ACTION, line["actor"], one.session, detail_text(line["detail"]), salt=salt)
            fits = said == digest and len(salt) == SALT_BYTES and line["detail"]["rule"] == line["rule"]
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            self._findings.add(label, "what is told of its deletion is not what its tombstone is the hash of")

    def _sealed(self, raw: bytes, one: Told, label: str) -> Differing:
        ledger = self._ledger
        if raw in ledger.deleted:
            self._findings.add(label, "is said to be sealed, and the ledger has it as deleted")
        name = bundle.recording_name(one.session)
        self._used.add(name)
        if name not in self._opened:
            self._findings.add(label, "its recording is missing")
            return
        try:
            read, size = self._opened.reader(name), self._opened.members[name].size
            session, encoded = sealed_bytes(
                read,
                0,
                size,
                self._signers.signed_manifest,
                self._story.chain(raw),
                self._story.is_redacted,
            )
            manifest = v1.decode_manifest(encoded)
        except v1.FormatDamaged as error:
            self._findings.add(name, str(error))
            self._used |= {
                other for other in self._opened.members if other.startswith(f"sessions/{one.session}/")
            }
            return
        if session != raw:
            self._findings.add(name, f"is the recording of {ids.session_id(session)}")
        root = v1.session_root(encoded)
        if raw not in ledger.sealed:
            self._findings.add(label, "has no sealing in the ledger")
        elif ledger.sealed[raw][1] != root:
            self._findings.add(name, "has another root than the one in the ledger")
        if ledger.openings.get(raw, (manifest.worker, manifest.opening)) != (
            manifest.worker,
            manifest.opening,
        ):
            self._findings.add(name, "names another worker or opening number than the ledger")
        yield from self._decoded(one, label, name, manifest, root)

    def _decoded(self, one: Told, label: str, name: str, manifest: v1.Manifest, root: bytes) -> Differing:
        key = self._data_keys.get(one.session)
        if key is None:
            self._findings.add(label, f"has no key in {bundle.KEYS}, so its pages can't be compared")
            return
        size = self._opened.members[name].size
        pages, sheet, number = Pages(one.session, self._transcripts), Sheet(), 0
        try:
            for event in SessionReader(self._opened.reader(name), 0, size).events(key):
                sheet.feed(event)
                for page in pages.feed(event):
                    number += 1
                    yield from self._compared(bundle.page_name(one.session, number), page)
        except v1.FormatDamaged as error:
            self._findings.add(name, f"does not open with the key in {bundle.KEYS}: {error}")
            return
        except Exception as error:  # what is sealed may be hostile: whatever it trips over, the rest goes on
            self._findings.add(name, f"can't be decoded: {error!r}"[:_SHOWN])
            return
        yield from self._compared(bundle.page_name(one.session, number + 1), pages.finish())
        yield from self._compared(bundle.sheet_name(one.session), sheet.encode(manifest, root))
        if sheet.run != self._run:
            self._findings.add(name, f"is of another run, {_cut(sheet.run)}")

    def _compared(self, name: str, made: bytes) -> Differing:
        self._used.add(name)
        if self._opened.digests.get(name) != hashlib.sha256(made).hexdigest():
            yield name, "is missing" if name not in self._opened else "is not what the recording says"


def _cut(value: object) -> str:
    return ascii(value)[:_SHOWN] if isinstance(value, str) else "nothing"
