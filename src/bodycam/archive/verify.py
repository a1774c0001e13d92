"""Verification, offline and without secrets: ledger, heads, recordings and journals must tell one story.

The ledger is read first, then the recordings, then what the ledger got meanwhile, then the journals: an
archivist and workers may go on writing. Memory is bounded, whatever the sizes.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive import deletions, redactions
from bodycam.archive.containercheck import MARKERS, ContainerCheck
from bodycam.archive.findings import MOST_FINDINGS, Finding, Findings, Report, Verified
from bodycam.archive.format import v1
from bodycam.archive.journalcheck import JournalCheck
from bodycam.archive.kept import KeptHead
from bodycam.archive.ledgercheck import LedgerCheck
from bodycam.archive.stagingcheck import StagingCheck
from bodycam.archive.store import ObjectMissing, Store, StoreUnavailable
from bodycam.archive.story import Story
from bodycam.archive.succession import KeyChain
from bodycam.journal.wrapping import Opener
from bodycam.model import ids

Progress = Callable[[int, int], None]
"""`(bytes done, bytes in all)`."""

_ROUNDS = 5


class Verifier:
    """One verification of one data folder.

    `pinned` says that the key came from elsewhere than the gateway that is verified; `kept` are heads that
    were kept elsewhere. Sessions that were opened and not sealed are in order as long as the journals (in
    `journals`, by default `journal` beside the ledger) or the staging files (in `staging`) hold them. With
    `journal_key`, the archivist's, the contents of journals are checked, else their structure.
    """

    def __init__(
        self,
        ledger: Path,
        store: Store,
        key: Ed25519PublicKey,
        *,
        pinned: bool,
        kept: Sequence[KeptHead] = (),
        journals: Path | None = None,
        staging: Path | None = None,
        journal_key: Opener | None = None,
    ) -> None:
        self._ledger, self._store, self._key = ledger, store, key
        self._pinned, self._kept = pinned, kept
        self._journals = journals or ledger.parent / "journal"
        self._staging = staging or ledger.parent / "staging"
        self._journal_key = journal_key

    def run(self, progress: Progress | None = None) -> Report:
        """Read everything; never raises for what it finds. Takes as long as hashing all of it takes."""
        findings, story = Findings(), Story()
        try:
            return self._run(findings, story, progress)
        finally:
            story.close()

    def _run(self, findings: Findings, story: Story, progress: Progress | None) -> Report:
        ledger = LedgerCheck(self._ledger, self._key, self._kept, story, findings)
        ledger.advance()
        before = ledger.leaves
        self._list(story, findings)

        def signed(signature: bytes, manifest: bytes) -> bool:
            if _signed(ledger.chain, signature, manifest):
                return True
            ledger.advance()  # another key may have come into use since
            return _signed(ledger.chain, signature, manifest)

        check = ContainerCheck(self._store, signed, story.chain, story.is_redacted, findings)
        containers, sessions, size = self._containers(check, story, findings, progress)
        torn = Findings()
        journals = JournalCheck(self._journals, self._journal_key, story, findings, torn)
        staging = StagingCheck(self._staging, story, findings, torn)
        faults: list[Finding] = []
        open_sessions: list[bytes] = []
        for _ in range(_ROUNDS):
            ledger.advance()
            opened = ledger.leaves
            # what moves goes from the journal into staging and then into the ledger as sealed; so do we
            journals.advance()
            staging.advance()
            ledger.advance()
            read = ledger.leaves
            open_sessions.clear()
            faults = list(self._compare(story, before))
            for session, worker, opening, container in story.unsealed(opened):
                if story.holds(worker, opening, session) or journals.holds(worker, opening, session):
                    open_sessions.append(session)
                else:
                    faults.append(_lost(session, container))
            ledger.advance()
            if not faults or ledger.leaves == read:
                break  # nothing was written while we compared
        ledger.finish()
        for fault in faults:
            findings.add(fault.where, fault.what)
        deleted = self._deletions(story, findings)
        redacted = self._redactions(story, findings)
        counts = {
            "sessions": sessions,
            "containers": containers,
            "bytes": size,
            "leaves": ledger.leaves,
            "heads": ledger.heads,
            "sealed": story.count("sealed"),
            "deleted": story.count("deleted"),
            "open": len(open_sessions),
            "torn": torn.count,
            "findings": findings.count,
        }
        names = tuple(ids.session_id(session) for session in open_sessions[:MOST_FINDINGS])
        head = None if ledger.newest is None else ledger.newest.to_plain()
        return Report(
            self._state(findings),
            tuple(findings.kept),
            counts,
            names,
            journals.to_plain(),
            tuple(torn.kept),
            _marked(story),
            deleted,
            head,
            fingerprint(self._key),
            tuple(word.to_plain() for word in ledger.chain.words),
            redacted,
        )

    def _state(self, findings: Findings) -> Verified:
        if findings.count:
            return Verified.BROKEN
        if self._pinned and self._kept:
            return Verified.AUTHENTIC
        return Verified.SELF_CONSISTENT

    def _list(self, story: Story, findings: Findings) -> None:
        try:
            for name in self._store.list():
                try:
                    story.object(name, self._store.size(name))
                except ObjectMissing:
                    continue  # deleted meanwhile; if that was not in order, its sessions are missed
                except (StoreUnavailable, ValueError) as error:
                    findings.add(f"recording {name!a}", f"can't be read: {error}")
        except (StoreUnavailable, OSError) as error:
            findings.add("the store", f"can't be listed: {error}")

    def _containers(
        self, check: ContainerCheck, story: Story, findings: Findings, progress: Progress | None
    ) -> tuple[int, int, int]:
        total, containers, sessions, done = story.objects_total(), 0, 0, 0
        for name, size in story.objects():
            containers += 1
            try:
                for seen in check.sessions(name, size):
                    sessions += 1
                    story.see(seen)
            except ObjectMissing:
                containers -= 1
            except (StoreUnavailable, OSError) as error:
                findings.add(f"recording {name}", f"can't be read: {error}")
            done += size
            if progress is not None:
                progress(done, total)
        return containers, sessions, done

    def _deletions(self, story: Story, findings: Findings) -> dict[str, Any]:
        """What is told of deletions, held against the tombstones."""
        file = self._ledger / deletions.FILE
        try:
            for offset, one in deletions.read(self._ledger):
                if isinstance(one, str):
                    findings.add(f"{file}: at offset {offset}", one)
                else:
                    story.explain(one.session, one.digest, one.rule)
        except OSError as error:
            findings.add(str(file), f"can't be read: {error.strerror}")
        for session in story.unexplained():
            findings.add(
                str(file), f"session {ids.session_id(session)}: not what its tombstone is the hash of"
            )
        by_rule = story.deletions()
        unknown = by_rule.pop(None, 0)
        return {"by_rule": by_rule, "unknown": unknown}

    def _redactions(self, story: Story, findings: Findings) -> dict[str, Any]:
        """What is told of redactions, held against their leaves."""
        file, shown = self._ledger / redactions.FILE, list[dict[str, Any]]()
        try:
            for offset, one in redactions.read(self._ledger):
                if isinstance(one, str):
                    findings.add(f"{file}: at offset {offset}", one)
                    continue
                story.explain_redaction(one.session, one.digest)
                if story.is_redacted(one.session, one.new) and len(shown) < MOST_FINDINGS:
                    told = {"session": ids.session_id(one.session), "actor": one.actor, **one.detail}
                    shown.append(told)
        except OSError as error:
            findings.add(str(file), f"can't be read: {error.strerror}")
        for session in story.odd_redactions():
            findings.add(
                str(file), f"session {ids.session_id(session)}: not what its redaction's leaf is the hash of"
            )
        count, unknown = story.redactions()
        return {"count": count, "unknown": unknown, "told": shown}

    def _compare(self, story: Story, before: int) -> Iterator[Finding]:
        """What ledger and recordings say of each session, against each other."""
        for session in story.missing(before):
            yield _finding(session, "is sealed in the ledger, and its recording is missing")
        for session in story.never_opened():
            yield _finding(session, "is sealed or deleted in the ledger, and was never opened there")
        for session, name in story.foreign():
            yield _finding(session, "is not in the ledger", name)
        for session, name, other in story.twice():
            yield _finding(session, f"is in {other} too", name)
        for session, name, what in story.different():
            yield _finding(session, what, name)
        for worker, count, highest in story.gaps():
            yield self._gap(story, worker, count, highest)

    def _gap(self, story: Story, worker: bytes, count: int, highest: int) -> Finding:
        where = f"{self._ledger / 'entries'}: worker {worker.hex()}"
        expected = 1
        for number in story.openings(worker):
            if number < expected:
                return Finding(where, f"has two openings numbered {number}")
            if number > expected:
                break
            expected += 1
        return Finding(where, f"lacks the opening numbered {expected}: {count} of {highest} are there")


def _signed(chain: KeyChain, signature: bytes, manifest: bytes) -> bool:
    # the ledger holds the manifest's hash, under heads of the newest key: an older key's signature is enough
    return any(v1.holds(signature, manifest, key) for key in reversed(chain.keys))


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, in hexadecimal: what people compare."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()


def _lost(session: bytes, container: str | None) -> Finding:
    """A session that is not sealed, and that nothing holds on its way to that."""
    if container is None:
        return _finding(session, "was opened, and neither a recording nor a journal has it")
    return _finding(session, "is not in the ledger as sealed", container)


def _marked(story: Story) -> dict[str, Any]:
    """The sealed recordings that say that something of them is lost, by marker."""
    marked = {}
    for marker in MARKERS:
        count, sessions = story.marked(marker, MOST_FINDINGS)
        marked[marker] = {"count": count, "sessions": [ids.session_id(session) for session in sessions]}
    return marked


def _finding(session: bytes, what: str, name: str | None = None) -> Finding:
    label = f"session {ids.session_id(session)}"
    return Finding(label if name is None else f"recording {name}: {label}", what)
