"""Nothing leaves an outbox before its journal position is released (law 1)."""

from hypothesis import given
from hypothesis import strategies as st

from bodycam.net.outbox import Outbox


def test_bytes_wait_for_their_position() -> None:
    box = Outbox()
    box.append(b"login", 0)
    box.append(b"one", 1)
    box.append(b"two", 2)
    assert box.size == 11
    assert box.release(0) == [b"login"]
    assert box.release(0) == []
    assert box.release(1) == [b"one"]
    assert box.size == 3
    assert box.release(9) == [b"two"]
    assert (box.size, box.release(9)) == (0, [])


def test_what_is_discarded_is_counted_and_gone() -> None:
    box = Outbox()
    box.append(b"abc", 5)
    assert box.discard() == 3
    assert (box.size, box.release(5), box.discard()) == (0, [], 0)


@given(st.lists(st.tuples(st.binary(max_size=5), st.integers(0, 2))), st.lists(st.integers(0, 40)))
def test_order_is_kept_and_nothing_is_early(pieces: list[tuple[bytes, int]], marks: list[int]) -> None:
    box, position, queued = Outbox(), 0, []
    for data, step in pieces:
        position += step
        queued.append((position, data))
        box.append(data, position)
    out: list[bytes] = []
    for mark in sorted(marks):
        out += box.release(mark)
        assert out == [data for at, data in queued if at <= mark]
        assert box.size == sum(len(data) for at, data in queued if at > mark)


def test_what_is_queued_later_never_leaves_earlier() -> None:
    box = Outbox()
    box.append(b"a", 6)
    box.append(b"b", 10)
    box.append(b"unrecorded", 5)

    assert box.release(7) == [b"a"]
    assert box.release(10) == [b"b", b"unrecorded"]
