"""The follower: torn tails, damage by name, starting in the middle, retiring."""

import asyncio
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal import folder as folders
from bodycam.journal import follower as follower_module
from bodycam.journal import layout
from bodycam.journal.entry import Position
from bodycam.journal.failure import JournalDamaged
from bodycam.journal.follower import Follower, FollowState
from bodycam.journal.writer import JournalWriter
from tests.unit.journal.conftest import SEGMENT, Follow, Make, abandon, bodies, drain, put

BODIES = [b"alpha", b"beta" * 10, b"gamma" * 100]


def edges(path: Path) -> list[int]:
    """Where the records of a segment begin, and where the last one ends."""
    data, offset, found = path.read_bytes(), layout.HEADER_BYTES, []
    while True:
        found.append(offset)
        length = layout.LENGTH.unpack_from(data, offset)[0] if offset + 4 <= len(data) else 0
        if not length:
            return found
        offset += layout.record_bytes(length)


def segment(writer: JournalWriter, generation: int = 1) -> Path:
    return writer.folder / layout.segment_name(generation)


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 0x10,)))


def test_a_journal_cut_anywhere_in_its_last_record_recovers_to_the_one_before(
    make: Make, follow: Follow
) -> None:
    writer = make()
    for body in BODIES:
        put(writer, body)
    abandon(writer)
    path = segment(writer)
    starts = edges(path)
    whole = path.read_bytes()
    for cut in range(starts[1], starts[-1]):
        path.write_bytes(whole[:cut])
        follower = follow(writer.folder)
        # padding behind the ciphertext is no part of a record
        ends = [start + 12 + layout.LENGTH.unpack_from(whole, start)[0] for start in starts[:3]]
        kept = sum(end <= cut for end in ends)
        assert bodies(follower) == BODIES[:kept], cut
        assert follower.state is FollowState.DEAD
        assert follower.torn is not None
        assert follower.torn.generation == 1
        assert follower.torn.offset == starts[kept]
        follower.close()


def test_a_journal_zeroed_from_anywhere_in_its_last_record_recovers_to_the_one_before(
    make: Make, follow: Follow
) -> None:
    writer = make()
    for body in BODIES:
        put(writer, body)
    abandon(writer)
    path = segment(writer)
    starts = edges(path)
    whole = path.read_bytes()
    last_end = starts[2] + 12 + layout.LENGTH.unpack_from(whole, starts[2])[0]
    for cut in range(starts[2], last_end - 1):
        path.write_bytes(whole[:cut].ljust(len(whole), b"\0"))
        follower = follow(writer.folder)
        if whole[cut:last_end].strip(b"\0"):
            assert bodies(follower) == BODIES[:2], cut
        else:
            assert bodies(follower) == BODIES
        assert follower.state is FollowState.DEAD
        follower.close()


def test_any_flipped_byte_of_the_last_record_is_a_torn_tail_by_its_offset(make: Make, follow: Follow) -> None:
    writer = make()
    for body in BODIES[:2]:
        put(writer, body)
    abandon(writer)
    path = segment(writer)
    start = edges(path)[1]
    end = start + 12 + layout.LENGTH.unpack_from(path.read_bytes(), start)[0]
    for offset in range(start, end):
        flip(path, offset)
        follower = follow(writer.folder)
        assert bodies(follower) == BODIES[:1]
        assert follower.torn is not None
        assert follower.torn.offset == start, offset
        assert follower.torn.reason
        follower.close()
        flip(path, offset)


def test_any_flipped_byte_of_an_earlier_record_is_named_and_passed_over(make: Make, follow: Follow) -> None:
    writer = make()
    for body in BODIES:
        put(writer, body)
    abandon(writer)
    path = segment(writer)
    first, second, third, _ = edges(path)
    end = second + 12 + layout.LENGTH.unpack_from(path.read_bytes(), second)[0]
    assert first < second
    for offset in range(second, end):
        flip(path, offset)
        follower = follow(writer.folder)
        [(_, [entry])] = follower.poll()
        assert entry.body == BODIES[0]
        for _ in range(2):
            with pytest.raises(JournalDamaged) as caught:
                follower.poll()
            assert (caught.value.path, caught.value.offset) == (path, second)
            assert f"{path}, byte {second}: " in str(caught.value)
        assert follower.pass_over() == Position(1, 3)
        assert bodies(follower) == [BODIES[2]]
        assert follower.state is FollowState.DEAD
        follower.close()
        flip(path, offset)
    assert third


def test_a_flipped_byte_before_a_clean_close_is_damage_too(make: Make, follow: Follow) -> None:
    async def closed() -> JournalWriter:
        writer = make()
        put(writer, b"only")
        await writer.close()
        return writer

    writer = asyncio.run(closed())
    flip(segment(writer), edges(segment(writer))[0] + 20)
    follower = follow(writer.folder)
    with pytest.raises(JournalDamaged, match="record 1 does not verify"):
        follower.poll()
    follower.pass_over()
    assert drain(follower) == []
    assert follower.state is FollowState.ENDED


@pytest.mark.parametrize("offset", [0, 9, 12, 20, 33, 45, 100, 121])
def test_a_damaged_header_is_named_and_the_next_segment_read(make: Make, follow: Follow, offset: int) -> None:
    writer = make()
    sent = [bytes((number,)) * 7000 for number in range(20)]
    for body in sent:
        put(writer, body)
    abandon(writer)
    flip(segment(writer, 2), offset)
    follower = follow(writer.folder)
    got = [entry.body for _, batch in follower.poll() for entry in batch]
    with pytest.raises(JournalDamaged) as caught:
        follower.poll()
    assert (caught.value.path, caught.value.offset) == (segment(writer, 2), 0)
    assert follower.pass_over() == Position(3, 0)
    rest = bodies(follower)
    assert got == sent[: len(got)]
    assert rest == sent[-len(rest) :]
    assert len(got) + len(rest) < len(sent)
    assert follower.state is FollowState.DEAD


def test_a_missing_segment_is_named(make: Make, follow: Follow) -> None:
    writer = make()
    for number in range(30):
        put(writer, bytes((number,)) * 7000)
    abandon(writer)
    segment(writer, 2).unlink()
    follower = follow(writer.folder)
    follower.poll()
    with pytest.raises(JournalDamaged, match=r"00000002\.seg, byte 0: the segment is missing"):
        follower.poll()
    assert follower.pass_over() == Position(3, 0)
    assert bodies(follower)[-1] == bytes((29,)) * 7000


def test_damage_with_nothing_behind_it_is_named_once_and_then_the_end(make: Make, follow: Follow) -> None:
    writer = make()
    put(writer, b"x")
    abandon(writer)
    flip(segment(writer), 3)
    follower = follow(writer.folder)
    with pytest.raises(JournalDamaged, match="magic"):
        follower.poll()
    follower.pass_over()
    for _ in range(3):
        try:
            assert follower.poll() == []
        except JournalDamaged:
            follower.pass_over()
    assert follower.state is FollowState.DEAD


def test_a_segment_moved_from_elsewhere_is_refused(make: Make, follow: Follow) -> None:
    first, second = make(), make()
    put(first, b"x")
    put(second, b"y")
    abandon(first)
    abandon(second)
    segment(second).write_bytes(segment(first).read_bytes())
    with pytest.raises(JournalDamaged, match="moved or renamed"):
        follow(second.folder).poll()


def test_another_key_is_told_from_damage(make: Make) -> None:
    writer = make()
    put(writer, b"x")
    follower = Follower(writer.folder, X25519PrivateKey.generate())
    with pytest.raises(JournalDamaged, match="another archivist key"):
        follower.poll()
    follower.close()


def test_records_swapped_in_place_do_not_verify(make: Make, follow: Follow) -> None:
    writer = make()
    for body in (b"aaaa", b"bbbb", b"cccc"):
        put(writer, body)
    abandon(writer)
    path = segment(writer)
    first, second, third, _ = edges(path)
    data = bytearray(path.read_bytes())
    data[first:second], data[second:third] = data[second:third], data[first:second]
    path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="record 2 stands where record 1 belongs"):
        follow(writer.folder).poll()


def test_a_bad_record_of_a_live_writer_is_not_yet_and_then_read(make: Make, follow: Follow) -> None:
    writer = make()
    put(writer, b"one")
    flip(segment(writer), layout.HEADER_BYTES + 30)
    follower = follow(writer.folder)
    assert follower.poll() == []
    assert follower.state is FollowState.LIVE
    flip(segment(writer), layout.HEADER_BYTES + 30)
    assert bodies(follower) == [b"one"]


def test_a_bad_record_of_a_live_writer_that_went_on_is_damage(
    make: Make, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "PATIENCE", 0.0)
    writer = make()
    put(writer, b"one")
    flip(segment(writer), layout.HEADER_BYTES + 30)
    follower = follow(writer.folder)
    assert follower.poll() == []
    assert follower.poll() == []
    put(writer, b"two")
    with pytest.raises(JournalDamaged, match="record 1 does not verify"):
        follower.poll()
    follower.pass_over()
    assert bodies(follower) == [b"two"]
    assert follower.state is FollowState.LIVE


def test_a_length_wiped_under_a_live_writer_is_damage_once_it_is_in_another_segment(
    make: Make, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "PATIENCE", 0.0)
    writer = make()
    put(writer, b"one")
    with segment(writer).open("r+b") as file:
        file.seek(layout.HEADER_BYTES)
        file.write(bytes(4))
    follower = follow(writer.folder)
    assert follower.poll() == []
    assert follower.poll() == []
    for _ in range(10):
        put(writer, bytes(8000))
    with pytest.raises(JournalDamaged):
        follower.poll()


def test_an_unpublished_record_of_a_dead_writer_is_torn(make: Make, follow: Follow) -> None:
    writer = make()
    put(writer, b"one")
    put(writer, b"two")
    abandon(writer)
    second = edges(segment(writer))[1]
    with segment(writer).open("r+b") as file:
        file.seek(second)
        file.write(bytes(4))
    follower = follow(writer.folder)
    assert bodies(follower) == [b"one"]
    assert follower.torn is not None
    assert (follower.torn.offset, follower.torn.reason) == (
        second,
        "bytes stand where no record was published",
    )


def test_a_large_body_whose_end_is_missing_is_torn(make: Make, follow: Follow) -> None:
    writer = make()
    put(writer, b"one")
    put(writer, os.urandom(3 * SEGMENT))
    abandon(writer)
    last = segment(writer, int(writer.stats()["generation"]))
    start = edges(last)[-2]
    whole = last.read_bytes()
    last.write_bytes(whole[:start].ljust(len(whole), b"\0"))
    follower = follow(writer.folder)
    assert bodies(follower) == [b"one"]
    assert follower.torn is not None
    assert follower.torn.reason == "the end of an event is missing"


def test_a_folder_without_segments_is_dead(tmp_path: Path, follow: Follow) -> None:
    follower = follow(tmp_path / ("0" * 32))
    assert follower.poll() == []
    assert follower.state is FollowState.DEAD


def test_a_folder_of_another_name_is_refused(tmp_path: Path, private: X25519PrivateKey) -> None:
    with pytest.raises(ValueError, match="not named by an incarnation"):
        Follower(tmp_path, private)


def test_a_poll_takes_about_what_it_may(make: Make, follow: Follow) -> None:
    writer = make()
    for _ in range(20):
        put(writer, bytes(1000))
    follower = follow(writer.folder)
    assert len(follower.poll(max_bytes=3000)) == 3
    assert len(drain(follower, max_bytes=1)) == 17


def test_starting_behind_a_position_gives_nothing_twice(make: Make, follow: Follow) -> None:
    writer = make()
    sent = [bytes((number,)) * 5000 for number in range(40)]
    for body in sent:
        put(writer, body)
    places = [place for place, _ in follow(writer.folder).poll()]
    for number in (0, 10, 25, 38, 39):
        assert bodies(follow(writer.folder, places[number])) == sent[number + 1 :]


def test_retiring_removes_what_was_read_and_no_more(make: Make, follow: Follow) -> None:
    writer = make()
    sent = [bytes((number,)) * 5000 for number in range(40)]
    for body in sent[:20]:
        put(writer, body)
    follower = follow(writer.folder)
    with pytest.raises(ValueError, match="not read to its end"):
        follower.retire(2)
    assert bodies(follower) == sent[:20]
    follower.retire(follower.position.generation)
    with pytest.raises(ValueError, match="not read to its end"):
        follower.retire(follower.position.generation + 1)
    first = folders.segments_of(writer.folder)[0][0]
    assert first == follower.position.generation > 1
    for body in sent[20:]:
        put(writer, body)
    assert bodies(follower) == sent[20:]
    again = follow(writer.folder)
    assert bodies(again)[-20:] == sent[20:]


def test_records_missing_behind_the_position_are_a_gap(make: Make, follow: Follow) -> None:
    writer = make()
    for number in range(40):
        put(writer, bytes((number,)) * 5000)
    segment(writer, 1).unlink()
    segment(writer, 2).unlink()
    follower = follow(writer.folder, Position(1, 3))
    with pytest.raises(JournalDamaged, match="4 was expected"):
        follower.poll()
    follower.pass_over()
    assert bodies(follower)[-1] == bytes((39,)) * 5000


def test_a_bounded_reading_says_that_there_is_more(make: Make, follow: Follow) -> None:
    writer = make()
    for _ in range(10):
        put(writer, b"x" * 1000)
    follower = follow(writer.folder)

    taken = [body for _, _, entries in follower.batches(3000) for *_, body in entries]
    assert (len(taken), follower.more) == (3, True)
    assert len(bodies(follower)) == 7
    assert not follower.more
