"""Pieces of data, read by their heads alone or decoded: the same."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.archive.gist import piece


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65_535, 65_536])
@pytest.mark.parametrize(("flavor", "count"), [(0, 0), (4, 23), (23, 24), (24, 1), (4, 70_000)])
def test_a_piece_is_what_it_decodes_to(flavor: int, count: int, size: int) -> None:
    body = cbor2.dumps([flavor, count, bytes(size)])
    assert piece(body) == (flavor, bytes(size))


@given(st.binary(max_size=12), st.integers(0, 3))
def test_what_is_none_is_read_as_no_other_than_it_decodes_to(noise: bytes, cut: int) -> None:
    body = cbor2.dumps([4, 0, b"x" * 30])
    body = body[:cut] + noise + body[cut + len(noise) :]
    try:
        flavor, _, data = cbor2.loads(body)
    except Exception as error:
        with pytest.raises(type(error)):
            piece(body)
    else:
        # of what is no data, compiled code says so at once
        if isinstance(flavor, int) and isinstance(data, bytes):
            assert piece(body) == (flavor, data)
