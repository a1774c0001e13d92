"""Verification of journals: each fault by file and offset, a writer that goes on is none."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal import layout
from bodycam.journal.folder import LOCK, SPENT, UNBORN
from bodycam.journal.layout import RecordType
from bodycam.model import ids
from bodycam.model.event import Kind
from tests.unit.archive.journals import SIZE, Journal, checked, edges, flip


def filled(root: Path, segments: int = 2) -> Journal:
    """A session in a journal of some segments with two records and a mark each; the last one lacks its mark."""
    journal = Journal(root)
    journal.open(1)
    for number in range(1, segments + 1):
        journal.put(1, Kind.TO_CLIENT, [1, 1, bytes((number,)) * 33])
        journal.put(1, Kind.TO_CLIENT, [1, 1, bytes((number,)) * 66])
        if number < segments:
            journal.roll()
    return journal


@contextmanager
def alive(journal: Journal) -> Iterator[None]:
    """Hold the lock as the writer does."""
    with (journal.folder / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record_of(path: Path, offset: int) -> int:
    """Where the record begins that has a byte, or the byte's own offset behind all records."""
    *starts, end = edges(path)
    return max((start for start in starts if start <= offset), default=0) if offset < end else offset


def ciphertext(path: Path) -> set[int]:
    """The bytes of a segment that only the key can check."""
    found: set[int] = set()
    data = path.read_bytes()
    for start in edges(path)[:-1]:
        begin = start + layout.RECORD_HEAD.size
        found.update(range(begin, begin + layout.LENGTH.unpack_from(data, start)[0]))
    return found


def paddings(path: Path) -> set[int]:
    """The bytes between records that no record has."""
    starts = edges(path)
    used = set(ciphertext(path))
    for start in starts[:-1]:
        used.update(range(start, start + layout.RECORD_HEAD.size))
    header = set(range(layout.HEADER_BYTES - 4, layout.HEADER_BYTES))
    return header | (set(range(layout.HEADER_BYTES, starts[-1])) - used)


def place_of(path: Path, offset: int) -> int:
    """The offset that a finding has to name for a byte."""
    if offset in paddings(path):
        return offset
    return 0 if offset < layout.HEADER_BYTES else record_of(path, offset)


class TestWithTheKey:
    def test_a_whole_journal_has_no_faults_and_its_openings_are_known(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        sessions = [journal.open(opening) for opening in (1, 2)]
        journal.roll()
        sessions.append(journal.open(3))
        journal.close()

        found = checked(tmp_path, journal.private)

        assert (found.faults, found.torn) == ([], [])
        assert found.plain == {"folders": 1, "segments": 2, "records": 5, "checked": "contents"}
        for opening, session in enumerate(sessions, 1):
            assert found.check.holds(journal.incarnation, opening, session)
        assert not found.check.holds(journal.incarnation, 1, sessions[1])
        assert not found.check.holds(journal.incarnation, 4, sessions[2])
        assert not found.check.holds(secrets.token_bytes(16), 1, sessions[0])

    def test_each_byte_of_a_closed_journal_is_named(self, tmp_path: Path) -> None:
        journal = filled(tmp_path)
        journal.close()
        altered = 0
        for generation in (1, 2):
            path = journal.path(generation)
            size = path.stat().st_size
            places = [place_of(path, offset) for offset in range(size)]
            for offset in range(size):
                flip(path, offset)
                found = checked(tmp_path, journal.private)
                flip(path, offset)
                (fault,) = found.faults
                assert f"{path}: at offset {places[offset]}: " in fault, offset
                assert found.torn == []
                altered += 1
        assert altered > SIZE
        assert checked(tmp_path, journal.private).faults == []

    def test_of_a_dead_writers_journal_only_the_tail_may_be_torn(self, tmp_path: Path) -> None:
        journal = filled(tmp_path)
        journal.prepare_spare()
        journal.die()
        assert checked(tmp_path, journal.private).torn == []
        # the last record, the blank space behind it, and that of the segment made ahead
        last = edges(journal.path(2))[-2]
        tails = {1: SIZE, 2: last, 3: layout.HEADER_BYTES}
        for generation, tail in tails.items():
            path = journal.path(generation)
            padding = paddings(path)
            for offset in range(0, SIZE, 1 if generation < 3 else 7):
                flip(path, offset)
                found = checked(tmp_path, journal.private)
                flip(path, offset)
                if offset >= tail and offset not in padding:
                    (torn,) = found.torn
                    assert found.faults == []
                    assert torn.where.startswith(f"{path}: at offset ")
                else:
                    (fault,) = found.faults
                    assert found.torn == []
                    assert f"{path}: at offset {place_of(path, offset)}: " in fault, offset

    def test_a_torn_tail_is_no_fault(self, tmp_path: Path) -> None:
        journal = filled(tmp_path)
        journal.die()
        path = journal.path(2)
        last = edges(path)[-2]
        whole = path.read_bytes()
        path.write_bytes(whole[: last + 20].ljust(SIZE, b"\0"))

        found = checked(tmp_path, journal.private)

        assert found.faults == []
        assert [one.where for one in found.torn] == [f"{path}: at offset {last}"]

    @pytest.mark.parametrize("keep", [-1, -20, 200, SIZE // 2 + 1])
    def test_a_file_that_was_cut_is_a_fault(self, tmp_path: Path, keep: int) -> None:
        journal = filled(tmp_path)
        journal.die()
        path = journal.path(2)
        path.write_bytes(path.read_bytes()[:keep])
        (fault,) = checked(tmp_path, journal.private).faults
        assert f"{path}: at offset " in fault
        assert "lacks the mark of the journal's end" in fault

    def test_one_that_was_cut_to_whole_pages_too(self, tmp_path: Path) -> None:
        journal = filled(tmp_path)
        journal.die()
        journal.path(2).write_bytes(journal.path(2).read_bytes() + bytes(SIZE))
        (fault,) = checked(tmp_path, journal.private).faults
        assert f"{journal.path(2)}: at offset " in fault

    @pytest.mark.parametrize("missing", [2, 3])
    def test_a_missing_segment_is_named(self, tmp_path: Path, missing: int) -> None:
        journal = filled(tmp_path, 4)
        journal.die()
        journal.path(missing).unlink()
        found = checked(tmp_path, journal.private)
        assert found.faults == [f"{journal.path(missing)}: the segment is missing"]
        assert found.plain["segments"] == 3

    def test_the_last_segment_missing_is_named(self, tmp_path: Path) -> None:
        journal = filled(tmp_path, 3)
        journal.close()
        journal.path(3).unlink()
        assert checked(tmp_path, journal.private).faults == [f"{journal.path(3)}: the segment is missing"]

    def test_segments_that_were_sealed_are_not_missed(self, tmp_path: Path) -> None:
        journal = filled(tmp_path, 4)
        journal.die()
        for generation in (1, 2):
            journal.path(generation).unlink()
        found = checked(tmp_path, journal.private)
        assert (found.faults, found.plain["segments"]) == ([], 2)

    def test_two_damaged_segments_are_two_faults(self, tmp_path: Path) -> None:
        journal = filled(tmp_path, 4)
        journal.die()
        flip(journal.path(2), 20)
        flip(journal.path(3), 90)
        found = checked(tmp_path, journal.private)
        assert len(found.faults) == 2
        for fault, generation in zip(found.faults, (2, 3), strict=True):
            assert f"{journal.path(generation)}: at offset 0: the segment's header is damaged" in fault

    def test_records_swapped_are_named(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        for letter in (b"a", b"b", b"c"):
            journal.put(1, Kind.TO_CLIENT, letter * 30)
        journal.die()
        path = journal.path(1)
        first, second, third, _ = edges(path)
        data = bytearray(path.read_bytes())
        data[first:second], data[second:third] = data[second:third], data[first:second]
        path.write_bytes(data)
        fault, *_ = checked(tmp_path, journal.private).faults
        assert f"{path}: at offset {first}: record 2 stands where record 1 belongs" in fault

    def test_a_segment_of_another_journal_is_named(self, tmp_path: Path) -> None:
        journal, other = filled(tmp_path), filled(tmp_path)
        journal.die()
        other.die()
        shutil.copy(other.path(2), journal.path(2))
        (fault,) = checked(tmp_path, journal.private).faults[:1]
        assert "moved or renamed" in fault or "another archivist key" in fault

    def test_a_record_that_makes_no_sense_is_named(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        journal.write(bytes((RecordType.ENTRIES,)) + b"too short")
        journal.write(b"\x09")
        journal.open(1)
        journal.close()
        found = checked(tmp_path, journal.private)
        assert [fault.partition(": at offset ")[2].partition(": ")[2] for fault in found.faults] == [
            "record 1 makes no sense: an entry's head is cut off at byte 1 of the record",
            "record 2 is of the unknown type 9",
        ]

    @pytest.mark.parametrize(
        "body", [b"\xff", b"\xf6", b"\xa0", b"\xa1gsession\x01", b"\xa1gsessionc1_1", b""]
    )
    def test_an_opening_that_makes_no_sense_holds_no_session(self, tmp_path: Path, body: bytes) -> None:
        journal = Journal(tmp_path)
        journal.put(1, Kind.OPENED, body, raw=True)
        journal.close()
        found = checked(tmp_path, journal.private)
        assert found.faults == []
        assert not found.check.holds(journal.incarnation, 1, bytes(16))

    def test_an_opening_in_pieces_is_put_together(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        session = secrets.token_bytes(16)
        journal.open(1, session)
        second = secrets.token_bytes(16)
        body = cbor2.dumps({"session": ids.session_id(second)})
        journal.put(2, Kind.OPENED | layout.MORE, body[:7], raw=True)
        journal.roll()
        journal.put(2, Kind.OPENED, body[7:], raw=True)
        journal.close()
        found = checked(tmp_path, journal.private)
        assert found.faults == []
        assert found.check.holds(journal.incarnation, 2, second)


class TestWithoutTheKey:
    def test_a_whole_journal_has_no_faults(self, tmp_path: Path) -> None:
        journal = filled(tmp_path, 3)
        journal.close()
        found = checked(tmp_path, None)
        assert (found.faults, found.torn) == ([], [])
        assert found.plain == {"folders": 1, "segments": 3, "records": 10, "checked": "structure"}

    def test_each_byte_that_is_not_encrypted_is_named(self, tmp_path: Path) -> None:
        journal = filled(tmp_path)
        journal.close()
        for generation in (1, 2):
            path = journal.path(generation)
            closed = ciphertext(path)
            for offset in range(path.stat().st_size):
                place = place_of(path, offset)
                flip(path, offset)
                found = checked(tmp_path, None)
                flip(path, offset)
                if offset in closed:
                    assert (found.faults, found.torn) == ([], []), offset
                else:
                    (fault,) = found.faults
                    assert f"{path}: at offset {place}: " in fault, offset

    def test_a_missing_segment_is_named(self, tmp_path: Path) -> None:
        journal = filled(tmp_path, 4)
        journal.die()
        journal.path(2).unlink()
        assert checked(tmp_path, None).faults == [f"{journal.path(2)}: the segment is missing"]

    def test_what_only_the_key_can_tell_is_not_called_a_fault(self, tmp_path: Path) -> None:
        journal = filled(tmp_path, 3)
        journal.close()
        journal.path(3).unlink()
        found = checked(tmp_path, None)
        assert found.faults == []
        (torn,) = found.torn
        assert torn.where == f"{journal.path(2)}: at offset {edges(journal.path(2))[-2]}"
        assert "or the next segment is missing" in torn.what

    def test_a_writer_that_died_as_it_closed_is_no_fault(self, tmp_path: Path) -> None:
        journal = filled(tmp_path)
        journal.prepare_spare()
        journal.write(bytes((RecordType.CLOSED,)))
        journal.die()
        for key in (None, journal.private):
            assert checked(tmp_path, key).faults == []

    def test_a_lost_first_record_of_what_is_left_is_named(self, tmp_path: Path) -> None:
        journal = filled(tmp_path, 3)
        journal.close()
        journal.path(1).unlink()
        flip(journal.path(2), layout.HEADER_BYTES + 1)
        for key in (None, journal.private):
            (fault,) = checked(tmp_path, key).faults
            assert f"{journal.path(2)}: at offset {layout.HEADER_BYTES}: record 5 is cut off" in fault

    def test_a_folder_holds_sessions_only_with_records_in_it(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path)
        assert not checked(tmp_path, None).check.holds(journal.incarnation, 1, bytes(16))
        journal.open(1)
        journal.die()
        assert checked(tmp_path, None).check.holds(journal.incarnation, 1, bytes(16))
        assert not checked(tmp_path, None).check.holds(secrets.token_bytes(16), 1, bytes(16))
        flip(journal.path(1), 20)
        assert not checked(tmp_path, None).check.holds(journal.incarnation, 1, bytes(16))


KEYS = pytest.mark.parametrize("with_key", [True, False])


class TestBesideALiveWriter:
    @KEYS
    def test_what_is_not_finished_is_no_fault(self, tmp_path: Path, with_key: bool) -> None:
        journal = filled(tmp_path)
        end = edges(journal.path(2))[-1]
        with journal.path(2).open("r+b") as file:
            file.seek(end + 4)
            file.write(b"a record that is not published yet")
        (journal.path(3)).write_bytes(b"half a header")
        with alive(journal):
            found = checked(tmp_path, journal.private if with_key else None)
        assert (found.faults, found.torn) == ([], [])
        journal.die()

    @KEYS
    def test_damage_behind_which_it_went_on_is_named(self, tmp_path: Path, with_key: bool) -> None:
        journal = filled(tmp_path)
        path = journal.path(2)
        second = edges(path)[1]
        flip(path, second + 2)
        key = journal.private if with_key else None
        with alive(journal):
            found = checked(tmp_path, key)
            assert (found.faults, found.torn) == ([], [])  # it may not be finished
            journal.put(1, Kind.TO_CLIENT, b"more")
            found.check.advance()
            (fault,) = found.faults
            assert f"{path}: at offset {second}: record 6 is cut off" in fault
            assert "sound records follow in 00000002.seg" in fault
        journal.die()

    @KEYS
    def test_what_comes_later_is_read_later(self, tmp_path: Path, with_key: bool) -> None:
        journal = filled(tmp_path)
        with alive(journal):
            found = checked(tmp_path, journal.private if with_key else None)
            records = found.plain["records"]
            journal.prepare_spare()
            session = journal.open(2)
            journal.roll()
            journal.put(2, Kind.TO_CLIENT, b"more")
            found.check.advance()
            assert found.plain["records"] == records + 3
            assert found.plain["segments"] == 3
            assert found.faults == []
            assert found.check.holds(journal.incarnation, 2, session)
        journal.die()

    @KEYS
    def test_segments_that_are_sealed_meanwhile_are_not_missed(self, tmp_path: Path, with_key: bool) -> None:
        journal = filled(tmp_path)
        with alive(journal):
            found = checked(tmp_path, journal.private if with_key else None)
            for _ in range(3):
                journal.roll()
                journal.put(1, Kind.TO_CLIENT, b"more")
            for generation in (1, 2, 3):
                journal.path(generation).unlink()
            found.check.advance()
            assert found.faults == []
            journal.put(1, Kind.TO_CLIENT, b"and more")
            found.check.advance()
            assert found.faults == []
        journal.close()
        shutil.rmtree(journal.folder)
        found.check.advance()
        assert found.faults == []


class TestWhatIsNoJournal:
    @KEYS
    def test_garbage_is_named_and_crashes_nothing(self, tmp_path: Path, with_key: bool) -> None:
        journal = filled(tmp_path)
        journal.close()
        (tmp_path / "notes.txt").write_bytes(b"hello")
        (tmp_path / ("a" * 32)).write_bytes(secrets.token_bytes(100))
        (tmp_path / os.fsdecode(b"odd \xff name")).mkdir()
        (journal.folder / "x.seg").write_bytes(b"")
        (journal.folder / "000000001.seg").write_bytes(secrets.token_bytes(300))
        (journal.folder / "deeper").mkdir()
        found = checked(tmp_path, journal.private if with_key else None)
        assert sorted(found.faults) == sorted(
            [
                f"{tmp_path / 'notes.txt'}: is no journal",
                f"{tmp_path / ('a' * 32)}: is no journal",
                f"{tmp_path}/odd \\udcff name: is no journal",
                f"{journal.folder / 'x.seg'}: is no segment of a journal",
                f"{journal.folder / '000000001.seg'}: is no segment of a journal",
                f"{journal.folder / 'deeper'}: is no segment of a journal",
            ]
        )

    @KEYS
    @pytest.mark.parametrize("make", ["folder", "pipe", "garbage", "link"])
    def test_something_else_under_a_segments_name(self, tmp_path: Path, with_key: bool, make: str) -> None:
        journal = filled(tmp_path)
        journal.close()
        path = journal.path(3)
        makers: dict[str, Callable[[], object]] = {
            "folder": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
            "garbage": lambda: path.write_bytes(secrets.token_bytes(5000)),
            "link": lambda: path.symlink_to(tmp_path / "nowhere"),
        }
        makers[make]()
        found = checked(tmp_path, journal.private if with_key else None)
        if make == "link":
            assert found.faults == []
        else:
            (fault,) = found.faults
            assert str(path) in fault

    @KEYS
    def test_random_bytes_anywhere_never_crash(self, tmp_path: Path, with_key: bool) -> None:
        journal = filled(tmp_path)
        journal.die()
        key = journal.private if with_key else None
        whole = journal.path(1).read_bytes()
        for place in range(0, SIZE, 61):
            data = secrets.token_bytes(97)
            journal.path(1).write_bytes((whole[:place] + data + whole[place + 97 :])[:SIZE])
            assert all(str(journal.path(1)) in fault for fault in checked(tmp_path, key).faults)

    def test_folders_that_come_and_go_are_passed_over(self, tmp_path: Path) -> None:
        for ending in (UNBORN, SPENT):
            (tmp_path / ("b" * 32 + ending)).mkdir()
            (tmp_path / ("b" * 32 + ending) / "00000001.seg").write_bytes(b"half")
        found = checked(tmp_path, X25519PrivateKey.generate())
        assert (found.faults, found.plain["folders"]) == ([], 0)

    def test_an_empty_folder_is_no_fault_and_holds_nothing(self, tmp_path: Path) -> None:
        worker = secrets.token_bytes(16)
        (tmp_path / worker.hex()).mkdir()
        for key in (None, X25519PrivateKey.generate()):
            found = checked(tmp_path, key)
            assert found.faults == []
            assert not found.check.holds(worker, 1, bytes(16))

    def test_a_folder_without_its_lock_is_named_for_the_archivist_passes_it_over(
        self, tmp_path: Path
    ) -> None:
        journal = filled(tmp_path)
        journal.close()
        (journal.folder / LOCK).unlink()
        (fault,) = checked(tmp_path, None).faults
        assert f"{journal.folder}: lacks the file writer.lock" in fault

    def test_an_absent_root_is_no_fault(self, tmp_path: Path) -> None:
        assert checked(tmp_path / "none", None).faults == []

    def test_a_root_that_is_a_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "journal").touch()
        (fault,) = checked(tmp_path / "journal", None).faults
        assert "can't be read" in fault

    def test_another_archivists_journal_is_named(self, tmp_path: Path) -> None:
        journal = filled(tmp_path)
        journal.close()
        faults = checked(tmp_path, X25519PrivateKey.generate()).faults
        assert len(faults) == 2
        assert all("another archivist key" in fault for fault in faults)
