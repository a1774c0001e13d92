"""Content codings (RFC 9110, section 8.4.1): decodes bodies piece by piece, and never much at a time.

A few bytes may stand for gigabytes: every piece that is given out is bounded, and so is what all of it may be
beside what came in.
"""

import sys
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, final

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE: Final = 64 << 10
"""About the size of the pieces that are given out; brotli's may be up to twice as long."""

MOST_CODINGS: Final = 3
"""Codings over one another; nobody in earnest uses two."""

FREE: Final = 16 << 20
"""Bytes that a body may be decoded to, whatever came in."""

RATIO: Final = 256
"""Beyond `FREE`, bytes for each byte that came in. Text that repeats itself reaches a tenth of that."""

# what follows a member is copied at the end of each, and a member may be twenty bytes
_SLICE: Final = 16 << 10
# RFC 9659: a decoder of HTTP has to take windows of 8 MB, and no sender may use larger ones
_ZSTD_WINDOW_LOG: Final = 23
_ALIASES: Final = {"x-gzip": "gzip", "x-compress": "compress"}


class BadContent(Exception):
    """What came is not of its coding, or ends before it does."""


class TooLarge(Exception):
    """What came would be decoded to more than is taken: a decompression bomb."""


class UnknownCoding(Exception):
    """A coding that nobody here can decode."""


class Stage(Protocol):
    """Takes one coding off."""

    def pieces(self, data: bytes) -> Iterator[bytes]: ...

    def end(self) -> None: ...


def codings(header: str) -> list[str]:
    """The codings that a Content-Encoding names, in the order in which they were applied; no identity."""
    names = [name.strip().lower() for name in header.split(",")]
    return [_ALIASES.get(name, name) for name in names if name and name != "identity"]


@final
class Decoder:
    """Decodes one body. All pieces that `feed` gives have to be taken before it is fed again."""

    __slots__ = ("_free", "_given", "_most", "_ratio", "_stages", "_taken")

    def __init__(
        self, names: Sequence[str], *, most: int | None = None, free: int = FREE, ratio: int = RATIO
    ) -> None:
        """For codings as `codings` gives them; `most` is what the whole body may be decoded to.

        Raises:
            UnknownCoding: one of them is not known, or they are too many.
        """
        if len(names) > MOST_CODINGS:
            raise UnknownCoding(f"{len(names)} codings over one another")
        try:
            self._stages: list[Stage] = [_STAGES[name]() for name in reversed(names)]
        except KeyError as error:
            raise UnknownCoding(str(error.args[0])[:40]) from None
        self._most, self._free, self._ratio = most, free, ratio
        self._taken = self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes stand for, piece by piece.

        Raises:
            BadContent: they are not of this coding.
            TooLarge: they stand for too much.
        """
        self._taken += len(data)
        return self._bounded(_through(self._stages, data))

    def end(self) -> None:
        """The body has ended.

        Raises:
            BadContent: before its coding did.
        """
        if self._taken:
            for stage in self._stages:
                stage.end()

    def _bounded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._given += len(piece)
            if self._most is not None and self._given > self._most:
                raise TooLarge(f"decoded it would be more than {self._most} bytes")
            if self._given > self._free and self._given > self._ratio * self._taken:
                raise TooLarge(f"decoded it is more than {self._ratio} times as long as it came")
            yield piece


def _through(stages: Sequence[Stage], data: bytes) -> Iterator[bytes]:
    if not stages:
        if data:
            yield data
        return
    for at in range(0, len(data), _SLICE):
        for piece in stages[0].pieces(data[at : at + _SLICE]):
            yield from _through(stages[1:], piece)


@final
class _Gzip:
    """Members one after another (RFC 1952); what follows the last and is none is left out, as clients do."""

    __slots__ = ("_before", "_decoder", "_garbage", "_members")

    def __init__(self) -> None:
        self._decoder: zlib._Decompress | None = None
        self._before = b""
        self._garbage = False
        self._members = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        data = self._before + data
        self._before = b""
        while data and not self._garbage:
            decoder = self._decoder
            if decoder is None:
                if len(data) < len(_GZIP) and _GZIP.startswith(data):
                    self._before = data
                    return
                if not data.startswith(_GZIP) and self._members:
                    self._garbage = True
                    return
                decoder = self._decoder = zlib.decompressobj(31)
            piece = _inflated(decoder, data)
            if piece:
                yield piece
            data = decoder.unconsumed_tail
            if not data and len(piece) == PIECE:
                yield from _rest(decoder)
            if decoder.eof:
                data, self._decoder = decoder.unused_data, None
                self._members += 1

    def end(self) -> None:
        if self._decoder is not None or not self._members:
            raise BadContent("gzip: ends within a member")


@final
class _Deflate:
    """As RFC 9110 has it, in zlib's format, and as some servers do, without (RFC 1951)."""

    __slots__ = ("_before", "_decoder")

    def __init__(self) -> None:
        self._decoder: zlib._Decompress | None = None
        self._before = b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            data = self._before + data
            if len(data) < 2:
                self._before = data
                return
            framed = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._decoder = zlib.decompressobj(15 if framed else -15)
        decoder = self._decoder
        while data and not decoder.eof:
            piece = _inflated(decoder, data)
            if piece:
                yield piece
            data = decoder.unconsumed_tail
            if not data and len(piece) == PIECE:
                yield from _rest(decoder)

    def end(self) -> None:
        if self._decoder is None or not self._decoder.eof:
            raise BadContent("deflate: ends too early")


@final
class _Brotli:
    """RFC 7932."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        decoder = self._decoder
        while True:
            try:
                # raises for bytes behind the end as well
                piece = decoder.process(data, output_buffer_limit=PIECE // 2)
            except brotli.error:
                raise BadContent("br: not what it is said to be") from None
            if piece:
                yield piece
            if decoder.is_finished() or (decoder.can_accept_more_data() and not piece):
                return
            data = b""

    def end(self) -> None:
        if not self._decoder.is_finished():
            raise BadContent("br: ends too early")


@final
class _Zstd:
    """Frames one after another (RFC 8878)."""

    __slots__ = ("_before", "_decoder", "_frames", "_garbage")

    def __init__(self) -> None:
        self._decoder: zstd.ZstdDecompressor | None = None
        self._before = b""
        self._garbage = False
        self._frames = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        data = self._before + data
        self._before = b""
        while not self._garbage:
            if self._decoder is None:
                if not data:
                    return
                if len(data) < 4:
                    self._before = data
                    return
                if self._frames and not _is_frame(data):
                    self._garbage = True
                    return
                self._decoder = zstd.ZstdDecompressor(
                    options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
                )
            decoder = self._decoder
            try:
                piece = decoder.decompress(data, PIECE)
            except zstd.ZstdError:
                raise BadContent("zstd: not what it is said to be") from None
            if piece:
                yield piece
            data = b""
            if decoder.eof:
                data, self._decoder = decoder.unused_data, None
                self._frames += 1
            elif decoder.needs_input:
                return

    def end(self) -> None:
        if self._decoder is not None or not self._frames:
            raise BadContent("zstd: ends within a frame")


_GZIP: Final = b"\x1f\x8b"
_STAGES: Final[dict[str, type[Stage]]] = {
    "gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}
KNOWN: Final = frozenset(_STAGES)
"""The codings that are decoded."""


def _is_frame(data: bytes) -> bool:
    return data.startswith(b"\x28\xb5\x2f\xfd") or (data[0] & 0xF0 == 0x50 and data[1:4] == b"\x2a\x4d\x18")


def _inflated(decoder: "zlib._Decompress", data: bytes) -> bytes:
    try:
        return decoder.decompress(data, PIECE)
    except zlib.error:
        raise BadContent("not in the format of its coding") from None


def _rest(decoder: "zlib._Decompress") -> Iterator[bytes]:
    """What a decoder that has taken all of its bytes still has to give."""
    while not decoder.eof and (piece := _inflated(decoder, b"")):
        yield piece
