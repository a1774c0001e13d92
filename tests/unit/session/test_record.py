"""Events on their way into the journal."""

import cbor2
import pytest

from bodycam.model.event import Flavor, Kind
from bodycam.session.encoding import data as data_body
from bodycam.session.record import PIECE, Record, encode
from tests.playbook.play import MemoryJournal


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("count", [0, 23, 24, 256, 70_000])
def test_a_data_body_is_the_same_cbor_that_a_library_writes(size: int, count: int) -> None:
    data = b"x" * size

    assert data_body(Flavor.ROWS, count, data) == cbor2.dumps([1, count, data])


def test_long_data_is_recorded_in_pieces_and_counted_once() -> None:
    journal = MemoryJournal()
    record = Record(journal, 1)

    position = record.data(Kind.TO_CLIENT, 7, Flavor.ROWS, 5, b"y" * (2 * PIECE + 3))

    sizes = [(exchange, body[1], len(body[2])) for _, exchange, body in journal.entries]
    assert sizes == [(7, 5, PIECE), (7, 0, PIECE), (7, 0, 3)]
    assert position == 3


def test_text_that_is_not_utf_8_keeps_its_bytes_as_escapes() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")

    assert cbor2.loads(encode([odd, {"k": (odd,)}, 1])) == ["caf\\xe9", {"k": ["caf\\xe9"]}, 1]
