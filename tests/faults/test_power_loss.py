"""Power loss: a journal of which the disk has only the beginning gives every whole event before the cut.

Every byte of its last three records is such a place, once with the file ending there, once with zeros from
there on, as of pages that were never written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from bodycam.journal import layout
from bodycam.model.event import Kind, Marker, Outcome, SessionOutcome
from tests.unit.archive.house import House, Worker, without_times

RECORDS = 3


class Loss(StrEnum):
    """What the disk gives back instead of what was written last."""

    CUT = "cut"
    ZEROED = "zeroed"


@dataclass(frozen=True, slots=True)
class Lost:
    """One journal after the loss.

    Attributes:
        kept: how many of the committed events are whole.
        seen: whether anything shows that there was more.
    """

    session: str
    committed: list[tuple[int, int, Any]]
    place: str
    kept: int
    seen: bool


def write(house: House) -> Worker:
    """A journal with a session in the middle of an exchange, each event in a record of its own, fsynced never."""
    worker = Worker(house.writer(segment_bytes=16 * 1024, max_bytes=1 << 20))
    session = worker.open()
    worker.query(session, 1, 40)
    worker.query(session, 2, 40)
    worker.die()
    return worker


def records(content: bytes) -> list[tuple[int, int]]:
    """Start of each record, and the end of its ciphertext."""
    found, offset = [], layout.HEADER_BYTES
    while length := layout.LENGTH.unpack_from(content, offset)[0]:
        found.append((offset, offset + layout.RECORD_HEAD.size + length))
        offset += layout.record_bytes(length)
    return found


def lose(worker: Worker, loss: Loss, back: int) -> Lost:
    """Take away all from `back` bytes before the end of the last record on."""
    (session,) = worker.committed
    segment = worker.writer.folder / layout.segment_name(1)
    content = segment.read_bytes()
    found = records(content)
    assert len(found) == len(worker.committed[session])
    at = found[-1][1] - back
    left = content[:at] if loss is Loss.CUT else content[:at].ljust(len(content), b"\0")
    segment.write_bytes(left)
    kept = sum(left[start:end] == content[start:end] for start, end in found)
    rest = found[kept][0] if kept < len(found) else found[-1][1]
    # a file that was made whole and ends early was cut; of zeros nobody knows what they were
    seen = loss is Loss.CUT or any(left[rest:])
    return Lost(session, worker.committed[session], f"{loss} {back} bytes before the end", kept, seen)


def losses(house: House) -> Iterator[Lost]:
    """One journal for each byte of the last records, and each kind of loss."""
    worker = write(house)
    content = (worker.writer.folder / layout.segment_name(1)).read_bytes()
    found = records(content)
    span = found[-1][1] - found[-RECORDS][0]
    yield lose(worker, Loss.CUT, 0)
    for loss in Loss:
        for back in range(1, span + 1):
            yield lose(write(house), loss, back)


@pytest.mark.timeout(300)
def test_every_event_before_the_cut_is_recorded_and_the_cut_is_marked(tmp_path: Path) -> None:
    house = House(tmp_path)
    lost = list(losses(house))
    assert len(lost) > 300
    assert {one.kept for one in lost} >= {4, 5, 6}

    house.start()
    house.until_sealed(*(one.session for one in lost))
    assert house.archivist is not None
    assert house.archivist.status()["gaps"] == 0
    house.until(lambda: not list((tmp_path / "journal").iterdir()))
    recordings = house.recordings()
    assert house.verified() == "self-consistent"
    house.stop()

    for one in lost:
        told = without_times(recordings[one.session])
        assert told[: one.kept] == one.committed[: one.kept], one.place
        assert_ended(told[one.kept :], one)


def assert_ended(told: list[tuple[int, int, Any]], one: Lost) -> None:
    """What follows was written by the archivist, and says what it knows."""
    *notes, closed = told
    assert closed[0] == Kind.CLOSED, one.place
    assert closed[2]["outcome"] == SessionOutcome.INTERRUPTED
    said = [body["note"] for kind, _, body in notes if kind == Kind.NOTE]
    assert Marker.INTERRUPTED in said, one.place
    assert (Marker.LOST_TAIL in said) is one.seen, one.place
    outcomes = [body[0] for kind, _, body in notes if kind == Kind.FINISH]
    assert set(outcomes) <= {Outcome.UNKNOWN}, one.place
    assert len(said) + len(outcomes) == len(notes), one.place


@pytest.mark.parametrize("back", range(2, RECORDS + 1))
def test_a_page_that_is_missing_before_one_that_is_there_is_marked_and_counted(
    tmp_path: Path, back: int
) -> None:
    house = House(tmp_path)
    worker = write(house)
    (session,) = worker.committed
    committed = worker.committed[session]
    segment = worker.writer.folder / layout.segment_name(1)
    content = segment.read_bytes()
    start, end = records(content)[-back]
    segment.write_bytes(content[:start] + bytes(end - start) + content[end:])

    house.start()
    house.until_sealed(session)

    assert house.archivist is not None
    assert house.archivist.status()["damages"] == 1
    told = without_times(house.recordings()[session])
    assert told[: len(committed) - back] == committed[:-back]
    assert told[len(committed) - back][2]["note"] == Marker.LOST_TAIL
    assert committed[-1] in told, "what follows the hole is kept"
    # while the journal is there, verification names the hole in it
    house.until(lambda: not worker.writer.folder.exists())
    assert house.verified() == "self-consistent"
    house.stop()


def test_an_opening_that_never_was_whole_leaves_nothing_behind(tmp_path: Path) -> None:
    house = House(tmp_path)
    worker = write(house)
    (session,) = worker.committed
    segment = worker.writer.folder / layout.segment_name(1)
    content = segment.read_bytes()
    start, end = records(content)[0]
    segment.write_bytes(content[: (start + end) // 2].ljust(len(content), b"\0"))

    house.start()
    house.until(lambda: not worker.writer.folder.exists())

    assert session not in house.recordings()
    assert house.verified() == "self-consistent"
    house.stop()
