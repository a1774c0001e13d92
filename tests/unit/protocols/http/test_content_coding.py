"""Content codings: decoded from any pieces, bounded, cut off and garbage told."""

import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bodycam.protocols.http.content_coding import (
    KNOWN,
    PIECE,
    BadContent,
    Decoder,
    TooLarge,
    UnknownCoding,
    codings,
)


def raw(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


ENCODERS: dict[str, tuple[list[str], Callable[[bytes], bytes]]] = {
    "identity": ([], bytes),
    "gzip": (["gzip"], gzip.compress),
    "deflate in zlib's format": (["deflate"], zlib.compress),
    "deflate raw": (["deflate"], raw),
    "br": (["br"], brotli.compress),
    "zstd": (["zstd"], zstandard.compress),
    "gzip in br": (["gzip", "br"], lambda data: brotli.compress(gzip.compress(data))),
    "zstd in gzip": (["zstd", "gzip"], lambda data: gzip.compress(zstandard.compress(data))),
    "gzip members": (["gzip"], lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "zstd frames": (["zstd"], lambda data: zstandard.compress(data[:9]) + zstandard.compress(data[9:])),
}
DATA = b"".join(b"line %d of a text that is like the others\n" % n for n in range(200)) + random.Random(
    1
).randbytes(3000)


def decoded(names: list[str], pieces: list[bytes], **more: int) -> bytes:
    decoder = Decoder(names, **more)
    out = [piece for data in pieces for piece in decoder.feed(data)]
    decoder.end()
    assert not names or all(len(piece) <= 2 * PIECE for piece in out)
    return b"".join(out)


@pytest.mark.parametrize("name", ENCODERS)
def test_whole_and_a_byte_at_a_time(name: str) -> None:
    names, encode = ENCODERS[name]
    coded = encode(DATA)
    assert decoded(names, [coded]) == DATA
    assert decoded(names, [coded[at : at + 1] for at in range(len(coded))]) == DATA


@pytest.mark.parametrize("name", ENCODERS)
def test_large_ones(name: str) -> None:
    names, encode = ENCODERS[name]
    data = b"some words over and over " * 200_000
    coded = encode(data)
    assert decoded(names, [coded]) == data
    assert decoded(names, [coded[at : at + 4096] for at in range(0, len(coded), 4096)]) == data


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "identity"])
def test_a_body_that_is_cut_off(name: str) -> None:
    names, encode = ENCODERS[name]
    coded = encode(DATA)
    with pytest.raises(BadContent):
        decoded(names, [coded[: len(coded) - 3]])
    assert decoded(names, []) == b""


@pytest.mark.parametrize("name", ["gzip", "zstd", "deflate raw"])
def test_garbage_behind_the_end_is_left_out(name: str) -> None:
    names, encode = ENCODERS[name]
    assert decoded(names, [encode(DATA) + b"garbage"]) == DATA
    assert decoded(names, [encode(DATA), b"gar", b"bage"]) == DATA


def test_garbage_behind_the_end_of_brotli_is_refused() -> None:
    coded = brotli.compress(DATA)
    for pieces in ([coded + b"garbage"], [coded, b"garbage"]):
        with pytest.raises(BadContent):
            decoded(["br"], pieces)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_what_is_no_coding_at_all(name: str) -> None:
    with pytest.raises(BadContent):
        decoded([name], [b"\x07{'plain': 'text'} and more of it than any header has"])


@pytest.mark.parametrize("name", ["gzip", "deflate raw", "br", "zstd", "zstd in gzip"])
def test_a_bomb_goes_off_in_nobodys_hands(name: str) -> None:
    names, encode = ENCODERS[name]
    bomb = encode(bytes(30 << 20))
    with pytest.raises(TooLarge, match="times as long"):
        decoded(names, [bomb], free=1 << 20)
    with pytest.raises(TooLarge, match="more than 1000000 bytes"):
        decoded(names, [bomb], most=1_000_000)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_thousands_of_empty_members(name: str) -> None:
    names, encode = ENCODERS[name]
    assert decoded(names, [encode(b"") * 5000 + encode(b"x")]) == b"x"


@given(st.binary(max_size=400), st.sampled_from(sorted(KNOWN)), st.integers(1, 40))
def test_any_bytes(data: bytes, name: str, step: int) -> None:
    def outcome(pieces: list[bytes]) -> bytes | None:
        try:
            return decoded([name], pieces)
        except BadContent:
            return None

    assert outcome([data]) == outcome([data[at : at + step] for at in range(0, len(data), step)])


def test_what_a_header_says() -> None:
    assert codings("") == codings("identity") == codings(" , ") == []
    assert codings("GZIP, br") == ["gzip", "br"]
    assert codings("x-gzip") == ["gzip"]


@pytest.mark.parametrize("names", [["compress"], ["exi"], ["gzip"] * 4])
def test_codings_that_nobody_decodes(names: list[str]) -> None:
    with pytest.raises(UnknownCoding):
        Decoder(names)
