"""What is not sealed yet: verification says where it is, and is not fooled by what only looks like it."""

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodycam.archive import stagingcheck
from bodycam.archive.archivist import ArchiveSettings
from bodycam.archive.findings import Report, Verified
from bodycam.archive.format import v1
from bodycam.archive.ledger import Leaf
from bodycam.archive.staging import StagingFile
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from bodycam.journal.folder import LOCK
from bodycam.model import ids
from bodycam.model.event import Kind
from tests.unit.archive.house import House, Worker
from tests.unit.archive.journals import Journal, edges, flip
from tests.unit.archive.recordings import WORKER, Archive

OPENING = 1


class Opened(Archive):
    """An archive with one session that was opened and not sealed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.session = secrets.token_bytes(16)
        self.ledger.append([Leaf.OPENED, self.session, WORKER, OPENING])
        self.ledger.commit()

    @property
    def name(self) -> str:
        return ids.session_id(self.session)

    def told(self, *leaf: object) -> None:
        self.ledger.append(list(leaf))
        self.ledger.commit()

    def journal(self) -> Journal:
        return Journal(self.folder / "journal", incarnation=WORKER)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path)
    yield made
    made.ledger.close()


def lost(report: Report, archive: Opened) -> bool:
    """Whether the session is named as lost, and as open by no word."""
    says = [one.what for one in report.findings if one.where == f"session {archive.name}"]
    assert not report.open or not says
    return says == ["was opened, and neither a recording nor a journal has it"]


class TestTheJournalHoldsIt:
    def test_only_with_its_opening_in_it(self, archive: Opened) -> None:
        journal = archive.journal()
        assert lost(archive.verify(journal_key=journal.private), archive)
        journal.open(OPENING + 1, archive.session)
        journal.open(OPENING)
        assert lost(archive.verify(journal_key=journal.private), archive)
        journal.open(OPENING, archive.session)
        journal.die()
        report = archive.verify(journal_key=journal.private)
        assert (report.state, report.open) == (Verified.SELF_CONSISTENT, (archive.name,))
        assert report.journals == {"folders": 1, "segments": 1, "records": 3, "checked": "contents"}

    @pytest.mark.parametrize("inside", [[], [LOCK], [LOCK, "00000001.seg"]])
    def test_an_empty_folder_does_not(self, archive: Opened, inside: list[str]) -> None:
        folder = archive.folder / "journal" / WORKER.hex()
        folder.mkdir(parents=True)
        for name in inside:
            (folder / name).touch()
        other = Journal(archive.folder / "elsewhere")
        other.die()
        for key in (None, other.private):
            assert lost(archive.verify(journal_key=key), archive)

    def test_an_opening_that_is_damaged_does_not(self, archive: Opened) -> None:
        journal = archive.journal()
        journal.open(OPENING, archive.session)
        journal.put(OPENING, Kind.TO_CLIENT, b"more")
        journal.close()
        flip(journal.path(1), edges(journal.path(1))[0] + 30)
        report = archive.verify(journal_key=journal.private)
        assert lost(report, archive)
        assert any(str(journal.path(1)) in one.where for one in report.findings)
        # without the key the opening is not looked for
        assert archive.verify().open == (archive.name,)

    def test_under_an_id_of_its_own_when_the_workers_was_taken(self, tmp_path: Path) -> None:
        house = House(tmp_path)
        worker = Worker(house.writer())
        house.start()
        session = worker.open()
        worker.close(session)
        house.until_sealed(session)
        worker.open(session)
        house.until(lambda: house.archivist is not None and house.archivist.duplicates == 1)
        house.crash()
        report = verify(house, with_key=True)
        assert (report.findings, len(report.open)) == ((), 1)
        assert report.open != (session,)
        worker.die()


class Staged:
    """A staging file of the session with three records of one block each."""

    def __init__(self, archive: Opened) -> None:
        folder = archive.folder / "staging"
        folder.mkdir()
        writer = v1.SessionWriter(archive.session, os.urandom(32), created=1)
        self.file = StagingFile.create(folder, WORKER, OPENING, writer.header)
        self.sizes, self.chains = [self.file.path.stat().st_size], []
        for number in range(3):
            block = writer.block(b"\x84\x01\x00\x00\x00", 1, number, number)
            self.file.append(number, {"number": number}, [block])
            self.sizes.append(self.file.path.stat().st_size)
            self.chains.append(writer.chain)

    @property
    def path(self) -> Path:
        return self.file.path


class TestStagingHoldsIt:
    def test_with_a_whole_record_of_that_session(self, archive: Opened) -> None:
        staged = Staged(archive)
        report = archive.verify()
        assert (report.state, report.open, report.torn) == (Verified.SELF_CONSISTENT, (archive.name,), ())
        whole = staged.path.read_bytes()
        staged.path.write_bytes(whole[: staged.sizes[0]])
        assert lost(archive.verify(), archive)
        staged.path.write_bytes(b"")
        assert lost(archive.verify(), archive)

    def test_not_with_the_file_of_another_session(self, archive: Opened) -> None:
        staged = Staged(archive)
        staged.path.rename(staged.path.with_name(f"{WORKER.hex()}-{OPENING + 1}.part"))
        assert lost(archive.verify(), archive)

    def test_the_chain_has_to_be_the_one_that_the_ledger_was_told_of(self, archive: Opened) -> None:
        staged = Staged(archive)
        archive.told(Leaf.HEAD, archive.session, 2, staged.chains[1])
        assert archive.verify().findings == ()
        archive.told(Leaf.HEAD, archive.session, 3, bytes(32))
        (finding,) = archive.verify().findings
        assert finding.where == str(staged.path)
        said = f"to offset {staged.sizes[3]} is not what the ledger was told of"
        assert finding.what == f"at offset {staged.sizes[2] - 8}: what stands from here {said}"

    def test_each_byte_is_named(self, archive: Opened) -> None:
        staged = Staged(archive)
        archive.told(Leaf.HEAD, archive.session, 3, staged.chains[2])
        for offset in range(staged.path.stat().st_size):
            flip(staged.path, offset)
            report = archive.verify()
            flip(staged.path, offset)
            begin = max([0, *(size for size in staged.sizes if size <= offset)])
            said = [one.what for one in report.findings if one.where == str(staged.path)]
            assert len(said) == 1, offset
            assert said[0].startswith(f"at offset {begin}: "), (offset, said)

    def test_a_torn_end_is_no_fault(self, archive: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stagingcheck, "PATIENCE", 0.0)
        staged = Staged(archive)
        whole = staged.path.read_bytes()
        for size in range(staged.sizes[2] + 1, staged.sizes[3]):
            staged.path.write_bytes(whole[:size])
            report = archive.verify()
            assert (report.findings, report.open) == ((), (archive.name,))
            assert [one.where for one in report.torn] == [f"{staged.path}: at offset {staged.sizes[2]}"]

    def test_but_a_cut_below_what_the_ledger_was_told_of_is(self, archive: Opened) -> None:
        staged = Staged(archive)
        archive.told(Leaf.HEAD, archive.session, 3, staged.chains[2])
        staged.path.write_bytes(staged.path.read_bytes()[: staged.sizes[2]])
        (finding,) = archive.verify().findings
        assert f"at offset {staged.sizes[2]}: 2 blocks are whole" in finding.what

    @pytest.mark.parametrize("name", ["x.part", f"{'A' * 32}-1.part", f"{WORKER.hex()}-x.part", "-.part"])
    def test_a_file_of_another_name_is_named(self, archive: Opened, name: str) -> None:
        Staged(archive)
        path = archive.folder / "staging" / name
        path.write_bytes(b"hello")
        assert [one.where for one in archive.verify().findings] == [str(path)]

    def test_a_file_that_is_being_written_is_waited_for(self, archive: Opened) -> None:
        staged = Staged(archive)
        whole = staged.path.read_bytes()
        staged.path.write_bytes(whole[: staged.sizes[2] + 30])
        later = threading.Timer(0.3, staged.path.write_bytes, (whole,))
        later.start()
        report = archive.verify()
        later.join()
        assert (report.findings, report.torn, report.open) == ((), (), (archive.name,))

    def test_random_bytes_and_pipes_crash_nothing(
        self, archive: Opened, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stagingcheck, "PATIENCE", 0.0)
        staged = Staged(archive)
        for _ in range(50):
            staged.path.write_bytes(secrets.token_bytes(200))
            archive.verify()
        staged.path.unlink()
        os.mkfifo(staged.path)
        assert any(str(staged.path) in one.where for one in archive.verify().findings)


class TestMarkers:
    def test_recordings_that_lack_something_are_counted_and_named(self, tmp_path: Path) -> None:
        archive = Archive(tmp_path)
        archive.seal("2026/rec_a.bcr", [1, 1])
        cut = archive.seal("2026/rec_b.bcr", [1], markers=["truncated", "interrupted"])
        tails = archive.seal("2026/rec_c.bcr", [1, 2], markers=["lost-tail", "truncated"])
        archive.ledger.close()
        report = archive.verify()
        assert (report.state, report.findings) == (Verified.SELF_CONSISTENT, ())
        names = {one.session: ids.session_id(one.session) for one in cut + tails}
        assert report.marked == {
            "lost-tail": {"count": 2, "sessions": [names[one] for one in sorted(o.session for o in tails)]},
            "truncated": {"count": 3, "sessions": [names[one] for one in sorted(names)]},
        }


def verify(house: House, *, with_key: bool) -> Report:
    return Verifier(
        house.root / "ledger",
        LocalStore(house.root / "recordings"),
        house.keys.signing.public_key(),
        pinned=False,
        journal_key=house.keys.journal if with_key else None,
    ).run()


class Going:
    """A worker that opens, feeds and closes sessions, and an archivist, each in a thread of its own."""

    def __init__(self, root: Path) -> None:
        self.house = House(root, settings=ArchiveSettings(0.0, 0.02, 0.05, block=4096))
        self.archivist = self.house.start()
        self.worker = Worker(self.house.writer())
        self.failed: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._guard, args=(w,)) for w in (self._write, self._step)]

    def __enter__(self) -> "Going":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        self.worker.die()
        self.house.stop()

    def _guard(self, work: object) -> None:
        try:
            while not self._stop.is_set():
                assert callable(work)
                work()
        except BaseException as error:
            self.failed.append(error)

    def _write(self) -> None:
        long, short = self.worker.open(), [self.worker.open() for _ in range(5)]
        for exchange in range(1, 30):
            for session in (long, *short):
                self.worker.query(session, exchange, 500)
            self._stop.wait(0.002)
        for session in short:
            self.worker.close(session)
        if len(self.worker.numbers) % 18 == 0:
            self.worker.close(long)

    def _step(self) -> None:
        if not self.archivist.step():
            self._stop.wait(0.002)


class TestBesideAWorkerAndAnArchivist:
    def test_what_goes_on_meanwhile_is_no_fault(self, tmp_path: Path) -> None:
        with Going(tmp_path) as going:
            segments: set[str] = set()
            for turn in range(400):
                if turn >= 16 and len(segments) > 5:
                    break
                report = verify(going.house, with_key=turn % 2 == 0)
                assert (report.findings, report.torn) == ((), ()), turn
                assert report.journals["checked"] == ("contents" if turn % 2 == 0 else "structure")
                segments |= {path.name for path in going.worker.writer.folder.glob("*.seg")}
            assert going.failed == []
        # it was read while segments were filled and went
        assert len(segments) > 5
        assert going.archivist.sealed_total > 0

    def test_a_writer_can_be_made_while_the_folder_is_read(self, tmp_path: Path) -> None:
        house = House(tmp_path)
        house.start()
        stop = threading.Event()

        def reading() -> None:
            while not stop.is_set():
                verify(house, with_key=True)

        thread = threading.Thread(target=reading)
        thread.start()
        try:
            for _ in range(20):
                worker = Worker(house.writer())
                session = worker.open()
                worker.close(session)
                with (worker.writer.folder / LOCK).open() as lock, pytest.raises(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                worker.end()
        finally:
            stop.set()
            thread.join(30)
        house.stop()
