"""A digest made beside the loop is that of all pieces in their order, however many wait."""

import hashlib
import random

import pytest

from bodycam.net import digest as module
from bodycam.net.digest import BATCH, Digest


@pytest.mark.parametrize("size", [0, 1, BATCH - 1, BATCH, BATCH + 1, 9 * BATCH])
@pytest.mark.parametrize("piece", [1000, 65_536, 3 * BATCH])
def test_all_pieces_count_in_their_order(size: int, piece: int) -> None:
    data = random.Random(size).randbytes(size)
    made = Digest()
    for at in range(0, size, piece):
        made.update(data[at : at + piece])
    assert made.hexdigest() == hashlib.sha256(data).hexdigest()


def test_it_can_be_asked_in_between() -> None:
    made, plain = Digest(), hashlib.sha256()
    for number in range(20):
        piece = bytes([number]) * BATCH
        made.update(piece)
        plain.update(piece)
        assert made.hexdigest() == plain.hexdigest()


def test_where_too_much_waits_it_is_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MOST", BATCH - 1)
    beside = module._BESIDE
    monkeypatch.setattr(beside, "hand", lambda *_: pytest.fail("it was handed over"))
    made = Digest()
    made.update(bytes(BATCH))
    assert made.hexdigest() == hashlib.sha256(bytes(BATCH)).hexdigest()


def test_many_at_once_do_not_mix() -> None:
    streams = [(Digest(), hashlib.sha256()) for _ in range(12)]
    chance = random.Random(5)
    for _ in range(40):
        for made, plain in streams:
            piece = chance.randbytes(BATCH // 3)
            made.update(piece)
            plain.update(piece)
    assert [made.hexdigest() for made, _ in streams] == [plain.hexdigest() for _, plain in streams]
    assert module._BESIDE.waiting == 0
