"""Verification of a bundle by itself: no gateway, no settings, no secret but what lies in the bundle.

Nothing in the file is believed. Its form is read first, then hashes and signatures, then what is in it;
memory is bounded whatever a file claims.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam import __version__
from bodycam.archive.evidence import bundle, dsse, statement
from bodycam.archive.evidence.acts import ActsCheck
from bodycam.archive.evidence.cover import Cover
from bodycam.archive.evidence.opened import OpenedBundle
from bodycam.archive.evidence.proofs import Fit, LedgerPart
from bodycam.archive.evidence.recordings import RecordingsCheck, Told, read_told
from bodycam.archive.evidence.report import BundleReport
from bodycam.archive.evidence.signers import Signers, words_in
from bodycam.archive.evidence.statement import Statement, bounded_json
from bodycam.archive.findings import MOST_FINDINGS, Findings, Verified
from bodycam.archive.kept import KeptHead
from bodycam.archive.story import Story
from bodycam.model.transcript import Transcript

Progress = Callable[[int, int], None]
"""`(bytes done, bytes in all)`."""


class BundleVerifier:
    """One verification of one file.

    `key` is a key that came from elsewhere than the bundle; without it the bundle's own is taken, which
    proves only that all fits together. `kept` are heads that were kept elsewhere.
    """

    def __init__(
        self,
        file: Path,
        *,
        key: Ed25519PublicKey | None,
        kept: Sequence[KeptHead],
        transcripts: Mapping[str, Transcript],
    ) -> None:
        self._file, self._pinned, self._kept, self._transcripts = file, key, kept, transcripts
        self._findings = Findings()
        self._notes: list[str] = []

    def run(self, progress: Progress | None = None) -> BundleReport:
        """Check all of it; never raises for what it finds.

        Raises:
            OSError: the file can't be read.
        """
        story = Story()
        try:
            with self._file.open("rb") as stream:
                return self._run(stream, story, progress)
        finally:
            story.close()

    def _run(self, stream: BinaryIO, story: Story, progress: Progress | None) -> BundleReport:
        findings = self._findings
        opened = OpenedBundle(stream, findings)
        total, done = 2 * sum(one.size for one in opened.members.values()), 0

        def went_by(size: int) -> None:
            nonlocal done
            done += size
            if progress is not None:
                progress(min(done, total), total)

        if next(iter(opened.members), None) != bundle.MAGIC_NAME or opened.first_piece() != bundle.MAGIC:
            findings.add("the bundle", "is no bundle of evidence of this version")
            return self._report(None, {"members": len(opened.members)}, {}, {}, [])
        opened.hash_all(went_by)
        signers = self._signers(opened)
        if signers is None:
            return self._report(None, {"members": len(opened.members)}, {}, {}, [])
        said = self._manifest(opened, signers)
        told = read_told(opened, findings)
        acts = ActsCheck(opened, findings)
        ledger = LedgerPart(opened, signers, self._kept, told, acts.leaves(), story, findings)
        ledger.check()
        run = self._same_run(opened, said, ledger)
        same = said is not None and said.predicate.get("version") == __version__
        recordings = RecordingsCheck(
            opened, signers, self._transcripts, ledger, story, findings, run.get("id", "")
        )
        differing = list(recordings.check(told, went_by))
        acts.check(ledger, told)
        differing += self._cover(opened, run, said)
        self._differ(differing, said, same=same)
        self._notes += acts.notes
        counts = {
            "members": len(opened.members),
            "bytes": sum(one.size for one in opened.members.values()),
            "sessions": len(told),
            "sealed": sum(one.state == "sealed" for one in told.values()),
            "open": sum(one.state == "open" for one in told.values()),
            "deleted": sum(one.state == "deleted" for one in told.values()),
            "acts": acts.count,
            "leaves": ledger.leaves,
        }
        return self._report(signers.anchor, counts, run, told, list(ledger.fits()), ledger)

    # -- key and manifest --------------------------------------------------------------------------------

    def _signers(self, opened: OpenedBundle) -> Signers | None:
        own: Any = None
        try:
            own = serialization.load_pem_public_key(opened.whole(bundle.SIGNING)[:4096])
        except ValueError as error:
            self._findings.add(bundle.SIGNING, f"is no public key: {error}")
        if self._pinned is None:
            return Signers(own, words_in(opened)) if isinstance(own, Ed25519PublicKey) else None
        signers = Signers(self._pinned, words_in(opened))
        if own is not None and not (isinstance(own, Ed25519PublicKey) and signers.has(own)):
            self._findings.add(
                bundle.SIGNING,
                "is another key than the pinned one, and none that it or its heirs vouched for",
            )
        return signers

    def _manifest(self, opened: OpenedBundle, signers: Signers) -> Statement | None:
        """What was signed; hashes and order of the members are held against it."""
        add = self._findings.add
        try:
            envelope = dsse.read(opened.whole(bundle.MANIFEST))
            if envelope.kind != dsse.IN_TOTO:
                raise ValueError(f"is no in-toto statement, but {envelope.kind[:100]!a}")
            if not signers.signed_envelope(envelope):
                add(bundle.MANIFEST, f"is not signed by {'the pinned' if self._pinned else 'its own'} key")
            said = statement.decode(envelope.payload)
        except ValueError as error:
            add(bundle.MANIFEST, str(error))
            return None
        named = dict(said.members)
        for name, digest in said.members:
            if name not in opened:
                add(name, "is missing")
            elif opened.digests[name] != digest:
                add(name, "is not what was signed")
        for name in opened.members:
            if name not in named and name != bundle.MANIFEST:
                add(name, "was added: the manifest does not name it")
        here = [name for name in opened.members if name in named]
        there = [name for name, _ in said.members if name in opened]
        if len(named) != len(said.members):
            add(bundle.MANIFEST, "names a member twice")
        elif here != there:
            name = next(a for a, b in zip(here, there, strict=True) if a != b)
            add(name, "is not in its place: the members were put into another order")
        elif opened.members and list(opened.members)[-1] != bundle.MANIFEST:
            add(bundle.MANIFEST, "is not the last member")
        return said

    def _same_run(
        self, opened: OpenedBundle, said: Statement | None, ledger: LedgerPart
    ) -> Mapping[str, Any]:
        """The run of `run.json`, once manifest and ledger are of the same."""
        try:
            run = bounded_json(opened.whole(bundle.RUN))
            if not isinstance(run, dict) or not isinstance(run.get("id"), str):
                raise ValueError("is no run")
        except ValueError as error:
            self._findings.add(bundle.RUN, str(error))
            return {}
        if said is not None:
            predicate, proofs = said.predicate, ledger.proofs
            if predicate.get("run") != run["id"]:
                self._findings.add(bundle.RUN, "is another run than the manifest's")
            heads = predicate.get("log"), predicate.get("size")
            if proofs is not None and heads != (proofs.head.log.hex(), proofs.head.size):
                self._findings.add(bundle.PROOFS, "has another head than the manifest says")
        return run

    # -- what is made again ------------------------------------------------------------------------------

    def _cover(
        self, opened: OpenedBundle, run: Mapping[str, Any], said: Statement | None
    ) -> Iterator[tuple[str, str]]:
        if not run:
            return  # which is a finding already
        cover = Cover()
        made = said.predicate.get("made") if said is not None else None
        version = said.predicate.get("version") if said is not None else None
        try:
            for one in opened.lines(bundle.SESSIONS):
                cover.session(one)
            for one in opened.lines(bundle.APPROVALS):
                cover.approval(one)
            for one in opened.lines(bundle.TRAIL):
                cover.act(one)
            page = cover.page(run, made if isinstance(made, int) else 0, str(version))
            if page != opened.whole(bundle.COVER):
                yield bundle.COVER, "does not say what the other members say"
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self._findings.add(bundle.COVER, f"can't be compared: {error!r}")

    def _differ(self, found: list[tuple[str, str]], said: Statement | None, *, same: bool) -> None:
        """Pages that another version wrote may differ and be right: that they do is said, and no fault."""
        if same:
            for where, what in found:
                self._findings.add(where, what)
        elif found and said is not None:
            version = str(said.predicate.get("version"))[:60]
            self._notes.append(
                f"{len(found)} pages and sheets are not those that this version ({__version__}) makes of the "
                f"recordings; compare them with the version that made them, {version!a}"
            )

    def _report(
        self,
        key: Ed25519PublicKey | None,
        counts: Mapping[str, int],
        run: Mapping[str, Any],
        told: Mapping[bytes, Told],
        fits: Sequence[Fit],
        ledger: LedgerPart | None = None,
    ) -> BundleReport:
        for fit in fits:
            if fit.ok is False:
                self._findings.add(f"the head kept outside, {fit.kept.where}", fit.what)
        deletions = [
            {"session": one.session, "rule": one.line.get("rule"), "deleted": one.line.get("deleted")}
            for one in told.values()
            if one.state == "deleted"
        ]
        proofs = None if ledger is None else ledger.proofs
        return BundleReport(
            self._state(fits, ledger),
            tuple(self._findings.kept),
            {**counts, "findings": self._findings.count},
            run,
            tuple(one.session for one in told.values() if one.state == "open")[:MOST_FINDINGS],
            deletions[:MOST_FINDINGS],
            tuple(
                {"file": fit.kept.where, "size": fit.kept.head.size, "ok": fit.ok, "what": fit.what}
                for fit in fits[:MOST_FINDINGS]
            ),
            tuple(self._notes),
            None if proofs is None else proofs.head.to_plain(),
            "" if key is None else dsse.key_id(key),
        )

    def _state(self, fits: Sequence[Fit], ledger: LedgerPart | None) -> Verified:
        if self._findings.count:
            return Verified.BROKEN
        newest = max((fit.kept.head.size for fit in fits if fit.ok), default=None)
        if self._pinned is None or newest is None or ledger is None:
            return Verified.SELF_CONSISTENT
        end = 0 if ledger.proofs is None else ledger.proofs.end
        last = max((index for index, _ in ledger.sealed.values()), default=end - 1)
        if newest <= last:
            self._notes.append(
                f"the newest head kept outside that fits is over {newest} leaves, and a recording of this "
                f"run was sealed by leaf {last}: only a head from behind that can prove all of it"
            )
            return Verified.SELF_CONSISTENT
        return Verified.AUTHENTIC
