import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive import frames
from bodycam.archive.findings import Verified
from bodycam.archive.head import Head
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.archive.verify import Verifier
from bodycam.model import ids
from tests.unit.archive.journals import Journal
from tests.unit.archive.recordings import WORKER, Archive, Recorded, blocks_of, container, record

FIRST, SECOND = "2026/01/02/rec_a.bcr", "2026/01/02/rec_b.bcr"


class Sealed(Archive):
    """Three sessions in two containers, the ledger closed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.recorded = self.seal(FIRST, [5, 3]) + self.seal(SECOND, [4])
        self.kept = self.ledger.head()
        self.ledger.close()

    def path(self, name: str) -> Path:
        return self.folder / "recordings" / name


@pytest.fixture
def archive(tmp_path: Path) -> Sealed:
    return Sealed(tmp_path)


def told(archive: Archive, **how: object) -> list[str]:
    report = archive.verify(**how)  # type: ignore[arg-type]
    assert report.state is Verified.BROKEN
    assert report.counts["findings"] == len(report.findings)
    return [f"{finding.where}: {finding.what}" for finding in report.findings]


def named(archive: Archive, *words: str, **how: object) -> None:
    """Verification finds it broken, and one finding says all these words."""
    findings = told(archive, **how)
    assert any(all(word in finding for word in words) for finding in findings), findings


class TestWhole:
    def test_is_authentic_with_a_pinned_key_and_a_kept_head(self, archive: Sealed) -> None:
        report = archive.verify(kept=archive.kept)
        assert (report.state, report.findings, report.open) == (Verified.AUTHENTIC, (), ())
        assert report.counts["sessions"] == report.counts["sealed"] == 3
        assert report.counts["containers"] == 2
        assert report.counts["bytes"] == sum(archive.path(n).stat().st_size for n in (FIRST, SECOND))
        assert report.head == archive.kept.to_plain()

    @pytest.mark.parametrize(("pinned", "with_head"), [(True, False), (False, True), (False, False)])
    def test_is_self_consistent_without_either(self, archive: Sealed, pinned: bool, with_head: bool) -> None:
        report = archive.verify(pinned=pinned, kept=archive.kept if with_head else None)
        assert report.state is Verified.SELF_CONSISTENT

    def test_an_empty_archive_holds(self, tmp_path: Path) -> None:
        empty = Archive(tmp_path)
        empty.ledger.close()
        assert empty.verify(kept=empty.ledger.head()).state is Verified.AUTHENTIC

    def test_progress_counts_bytes(self, archive: Sealed) -> None:
        calls: list[tuple[int, int]] = []
        Verifier(archive.folder / "ledger", archive.store, archive.signing.public_key(), pinned=True).run(
            lambda done, total: calls.append((done, total))
        )
        assert calls[-1][0] == calls[-1][1] > 0
        assert len(calls) == 2


class TestAlteredBytes:
    """Whatever byte is altered, verification is broken and names the file."""

    def flipped(self, path: Path, check: Callable[[int], None]) -> None:
        data = path.read_bytes()
        try:
            for offset in range(len(data)):
                altered = bytearray(data)
                altered[offset] ^= 1 << (offset % 8)
                path.write_bytes(altered)
                check(offset)
        finally:
            path.write_bytes(data)

    def test_any_byte_of_a_recording(self, archive: Sealed) -> None:
        def check(offset: int) -> None:
            named(archive, f"recording {FIRST}", "")

        self.flipped(archive.path(FIRST), check)
        assert archive.verify(kept=archive.kept).state is Verified.AUTHENTIC

    @pytest.mark.parametrize("file", ["entries", "heads"])
    def test_any_byte_of_the_ledger(self, archive: Sealed, file: str) -> None:
        path = archive.folder / "ledger" / file

        def check(offset: int) -> None:
            named(archive, str(path), "offset")

        self.flipped(path, check)
        assert archive.verify(kept=archive.kept).state is Verified.AUTHENTIC

    def test_a_block_is_named_with_its_offset(self, archive: Sealed) -> None:
        path, one = archive.path(FIRST), archive.recorded[0]
        begin = path.read_bytes().index(one.data)
        data = bytearray(path.read_bytes())
        data[begin + one.entries[1].offset + 60] ^= 1
        path.write_bytes(data)
        (finding,) = told(archive)
        assert f"at offset {begin + one.entries[1].offset}: block 1 is not what was sealed" in finding
        assert ids.session_id(one.session) in finding

    def test_one_byte_of_the_entries_is_one_finding(self, archive: Sealed) -> None:
        path = archive.folder / "ledger" / "entries"
        data = bytearray(path.read_bytes())
        data[40] ^= 1
        path.write_bytes(data)
        assert len([one for one in told(archive) if f"{path}: at offset" in one]) == 1

    def test_a_leaf_altered_with_its_checksum_is_named_by_its_head(self, archive: Sealed) -> None:
        path = archive.folder / "ledger" / "entries"
        with path.open("rb") as stream:
            leaves = [data for _, data in frames.read(stream)]
        leaves[0] = leaves[0][:-1] + bytes([leaves[0][-1] ^ 2])
        path.write_bytes(b"".join(map(frames.encode, leaves)))
        named(archive, str(path), "do not have the root that was signed")


class TestLeftOut:
    @pytest.mark.parametrize("name", [FIRST, SECOND])
    def test_a_recording(self, archive: Sealed, name: str) -> None:
        archive.path(name).unlink()
        sessions = archive.recorded[:2] if name == FIRST else archive.recorded[2:]
        findings = told(archive)
        assert len(findings) == len(sessions)
        for one in sessions:
            named(archive, ids.session_id(one.session), "its recording is missing")

    def test_a_session_of_a_container(self, archive: Sealed) -> None:
        archive.path(FIRST).write_bytes(container(archive.recorded[:1]))
        named(archive, ids.session_id(archive.recorded[1].session), "its recording is missing")

    def test_a_block(self, archive: Sealed) -> None:
        one = archive.recorded[0]
        entry = one.entries[1]
        cut = one.data[: entry.offset] + one.data[entry.offset + entry.length :]
        altered = Recorded(one.session, one.key, cut, one.root, one.entries)
        archive.path(FIRST).write_bytes(container([altered, archive.recorded[1]]))
        named(archive, FIRST, ids.session_id(one.session), "block 1 is not what was sealed")

    @pytest.mark.parametrize("keep", [0, 10, 21, 200, -1, -20])
    def test_the_end_of_a_container(self, archive: Sealed, keep: int) -> None:
        path = archive.path(FIRST)
        path.write_bytes(path.read_bytes()[:keep])
        named(archive, f"recording {FIRST}")

    def test_the_end_of_the_entries(self, archive: Sealed) -> None:
        path = archive.folder / "ledger" / "entries"
        for keep in range(path.stat().st_size - 1, 0, -29):
            path.write_bytes(path.read_bytes()[:keep])
            named(archive, str(path), "signed over")

    def test_the_end_of_the_heads(self, archive: Sealed) -> None:
        path = archive.folder / "ledger" / "heads"
        for keep in range(path.stat().st_size - 1, 0, -29):
            path.write_bytes(path.read_bytes()[:keep])
            named(archive, "ledger/heads" if keep < 150 else "ledger/", "")

    def test_entries_and_heads_together_only_against_a_kept_head(self, archive: Sealed) -> None:
        folder = archive.folder / "ledger"
        with (folder / "heads").open("rb") as stream:
            ends = [offset for offset, _ in frames.read(stream)]
        with (folder / "entries").open("rb") as stream:
            leaf_ends = [offset for offset, _ in frames.read(stream)]
        (folder / "heads").write_bytes((folder / "heads").read_bytes()[: ends[3]])
        # the second container's three leaves are gone with the two heads over them
        (folder / "entries").write_bytes((folder / "entries").read_bytes()[: leaf_ends[6]])
        archive.path(SECOND).unlink()
        assert archive.verify().state is Verified.SELF_CONSISTENT
        named(archive, "the ledger was cut", kept=archive.kept)

    @pytest.mark.parametrize("file", ["entries", "heads"])
    def test_a_file_of_the_ledger(self, archive: Sealed, file: str) -> None:
        (archive.folder / "ledger" / file).unlink()
        named(archive, f"ledger/{file}", "can't be read")


class TestAddedAndMoved:
    def test_a_foreign_container(self, archive: Sealed) -> None:
        foreign = record(Ed25519PrivateKey.generate(), 1, blocks_of(2))
        archive.store.put("2026/01/02/rec_c.bcr", [container([foreign])])
        named(archive, "rec_c.bcr", ids.session_id(foreign.session), "signature")
        named(archive, "rec_c.bcr", ids.session_id(foreign.session), "is not in the ledger")

    def test_a_foreign_session_under_our_key(self, archive: Sealed) -> None:
        foreign = record(archive.signing, 7, blocks_of(2))
        archive.path(FIRST).write_bytes(container([*archive.recorded[:2], foreign]))
        named(archive, FIRST, ids.session_id(foreign.session), "is not in the ledger")

    def test_a_recording_twice(self, archive: Sealed) -> None:
        shutil.copy(archive.path(FIRST), archive.path("2026/01/02/rec_c.bcr"))
        named(archive, "rec_c.bcr", f"is in {FIRST} too")

    def test_an_empty_container(self, archive: Sealed) -> None:
        archive.store.put("2026/01/02/rec_c.bcr", [container([])])
        named(archive, "rec_c.bcr", "holds no session")

    @pytest.mark.parametrize("name", ["notes.txt", "2026/Bad Name.bcr", "x" * 200])
    def test_another_file(self, archive: Sealed, name: str) -> None:
        archive.path(name).write_bytes(b"hello")
        named(archive, f"recording {name}" if " " not in name else "Bad Name")

    def test_blocks_reordered(self, archive: Sealed) -> None:
        one = archive.recorded[0]
        first, second = one.entries[:2]
        parts = [
            one.data[: first.offset],
            one.data[second.offset : second.offset + second.length],
            one.data[first.offset : first.offset + first.length],
            one.data[second.offset + second.length :],
        ]
        altered = Recorded(one.session, one.key, b"".join(parts), one.root, one.entries)
        archive.path(FIRST).write_bytes(container([altered, archive.recorded[1]]))
        named(archive, FIRST, "block 0 is not what was sealed")

    def test_leaves_reordered(self, archive: Sealed) -> None:
        path = archive.folder / "ledger" / "entries"
        with path.open("rb") as stream:
            leaves = [data for _, data in frames.read(stream)]
        leaves[0], leaves[2] = leaves[2], leaves[0]
        path.write_bytes(b"".join(map(frames.encode, leaves)))
        named(archive, str(path), "root that was signed")

    def test_a_session_sealed_anew(self, archive: Sealed) -> None:
        one = archive.recorded[2]
        again = record(archive.signing, 3, blocks_of(1))
        swapped = Recorded(again.session, again.key, again.data, again.root, again.entries)
        archive.path(SECOND).write_bytes(container([swapped]))
        named(archive, ids.session_id(one.session), "its recording is missing")

    def test_bytes_behind_the_ledger(self, archive: Sealed) -> None:
        for file in ("entries", "heads"):
            path = archive.folder / "ledger" / file
            data = path.read_bytes()
            path.write_bytes(data + b"\0" * 5)
            named(archive, f"{path}: at offset {len(data)}", "no signed head covers")
            path.write_bytes(data)


class TestWhatTheLedgerSays:
    def grown(self, archive: Sealed, *leaves: list[object]) -> None:
        ledger = Ledger(archive.folder / "ledger", archive.signing)
        for leaf in leaves:
            ledger.append(leaf)
        ledger.close()

    def test_an_open_session_is_open_while_a_journal_holds_it(self, archive: Sealed) -> None:
        session = secrets.token_bytes(16)
        self.grown(archive, [Leaf.OPENED, session, WORKER, 4])
        named(archive, ids.session_id(session), "neither a recording nor a journal")
        journal = Journal(archive.folder / "journal", incarnation=WORKER)
        journal.open(4, session)
        journal.die()
        for key in (None, journal.private):
            report = archive.verify(kept=archive.kept, journal_key=key)
            assert (report.state, report.open) == (Verified.AUTHENTIC, (ids.session_id(session),))

    def test_a_gap_in_a_workers_openings(self, archive: Sealed) -> None:
        self.grown(archive, [Leaf.OPENED, secrets.token_bytes(16), WORKER, 6])
        named(archive, WORKER.hex(), "lacks the opening numbered 4: 4 of 6")

    def test_a_number_given_twice(self, archive: Sealed) -> None:
        self.grown(archive, [Leaf.OPENED, secrets.token_bytes(16), WORKER, 3])
        named(archive, WORKER.hex(), "two openings numbered 3")

    @pytest.mark.parametrize("kind", [Leaf.OPENED, Leaf.SEALED])
    def test_a_session_told_of_twice(self, archive: Sealed, kind: Leaf) -> None:
        session = archive.recorded[0].session
        rest = [WORKER, 4] if kind is Leaf.OPENED else [bytes(32)]
        self.grown(archive, [kind, session, *rest])
        named(archive, "ledger/entries", ids.session_id(session), f"is {kind.name.lower()} twice")

    def test_sealed_and_never_opened(self, archive: Sealed) -> None:
        one = record(archive.signing, 4, blocks_of(1))
        archive.store.put("2026/01/02/rec_c.bcr", [container([one])])
        self.grown(archive, [Leaf.SEALED, one.session, one.root])
        named(archive, ids.session_id(one.session), "never opened")

    def test_a_container_that_the_ledger_does_not_have_as_sealed(self, archive: Sealed) -> None:
        one = record(archive.signing, 4, blocks_of(1))
        archive.store.put("2026/01/02/rec_c.bcr", [container([one])])
        self.grown(archive, [Leaf.OPENED, one.session, WORKER, 4])
        named(archive, "rec_c.bcr", "is not in the ledger as sealed")
        # between the put and the leaf an archivist may have died: its journal is still there
        journal = Journal(archive.folder / "journal", incarnation=WORKER)
        journal.open(4, one.session)
        journal.die()
        assert archive.verify(journal_key=journal.private).open == (ids.session_id(one.session),)

    def test_another_worker_than_the_manifest(self, archive: Sealed) -> None:
        one = record(archive.signing, 1, blocks_of(1), worker=b"v" * 16)
        archive.store.put("2026/01/02/rec_c.bcr", [container([one])])
        self.grown(archive, [Leaf.OPENED, one.session, b"u" * 16, 1], [Leaf.SEALED, one.session, one.root])
        named(archive, "rec_c.bcr", "another worker or opening number")

    def test_a_chain_that_the_ledger_was_told_of(self, archive: Sealed) -> None:
        session = archive.recorded[0].session
        self.grown(archive, [Leaf.HEAD, session, 2, bytes(32)])
        named(archive, FIRST, ids.session_id(session), "the first 2 blocks are not those")

    def test_a_deleted_recording_may_be_gone(self, archive: Sealed) -> None:
        archive.path(SECOND).unlink()
        self.grown(archive, [Leaf.DELETED, archive.recorded[2].session, bytes(32)])
        report = archive.verify(kept=archive.kept)
        assert (report.state, report.counts["deleted"]) == (Verified.AUTHENTIC, 1)


class TestKeysAndHeads:
    def test_another_key(self, archive: Sealed) -> None:
        archive.signing = Ed25519PrivateKey.generate()
        named(archive, "ledger/heads", "this key did not sign")
        named(archive, FIRST, "signature")

    def test_a_kept_head_of_another_ledger(self, archive: Sealed) -> None:
        kept = archive.kept
        head = Head.sign(archive.signing, bytes(16), kept.size, kept.root, kept.at)
        named(archive, "is of another ledger", kept=head)

    def test_a_kept_head_with_another_root(self, archive: Sealed) -> None:
        kept = archive.kept
        head = Head.sign(archive.signing, kept.log, kept.size, bytes(32), kept.at)
        named(archive, "has another root", kept=head)

    def test_a_kept_head_that_somebody_made(self, archive: Sealed) -> None:
        kept = archive.kept
        head = Head.sign(Ed25519PrivateKey.generate(), kept.log, kept.size, kept.root, kept.at)
        named(archive, "is not signed by this key", kept=head)

    def test_an_older_kept_head_holds(self, archive: Sealed) -> None:
        TestWhatTheLedgerSays().grown(archive, [Leaf.ADMIN, bytes(32)])
        assert archive.verify(kept=archive.kept).state is Verified.AUTHENTIC


class TestWhileAnArchivistWrites:
    @pytest.fixture
    def writing(self, tmp_path: Path) -> Iterator[Archive]:
        archive = Archive(tmp_path)
        yield archive
        archive.ledger.close()

    def test_what_it_seals_meanwhile_is_no_fault(self, writing: Archive) -> None:
        writing.seal("2026/rec_0.bcr", [2] * 20)
        counts = iter(range(1, 1000))

        def meanwhile(done: int, total: int) -> None:
            writing.seal(f"2026/rec_{next(counts)}.bcr", [1, 1])

        for _ in range(5):
            report = Verifier(
                writing.folder / "ledger", writing.store, writing.signing.public_key(), pinned=True
            ).run(meanwhile)
            assert report.findings == ()

    def test_leaves_without_their_head_yet_are_no_fault(self, writing: Archive) -> None:
        writing.seal("2026/rec_0.bcr", [2])
        with (writing.folder / "ledger" / "entries").open("ab") as stream:
            stream.write(b"\0\0\0\x10half")
        assert writing.verify().findings == ()


class TestMany:
    def test_findings_are_bounded_and_counted(self, archive: Sealed) -> None:
        TestWhatTheLedgerSays().grown(
            archive, *([Leaf.OPENED, secrets.token_bytes(16), WORKER, 4 + n] for n in range(1500))
        )
        report = archive.verify()
        assert (len(report.findings), report.counts["findings"]) == (1000, 1500)
