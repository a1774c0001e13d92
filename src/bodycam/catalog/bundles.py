"""Bundles: exchanges of one session that asked the same and ended the same, a short time apart, as one row.

What they differ in is packed behind a byte that says how. 2: a single exchange, the CBOR array of its
duration, rows, bytes, values, error and output. 0, or in a zstd frame 1: several, column by column:

    u16 exchanges | 5 type codes | u32 values | u32 errors | u32 outputs: their bytes
    | numbers | starts | durations | rows | bytes | values | errors | outputs

Where each exchange has a text of its own in the place of its statement's, the byte is 3, 4 or 5 instead of 0,
1 or 2, and the own texts stand behind the outputs, their length (u32) behind that of the outputs.

All little-endian. Numbers and starts are offsets from the row's `low` and `first`; a type code is that of
Python's `array` (B, H, I, Q: 1, 2, 4, 8 bytes). Texts are UTF-8 with a NUL between them, which none of them
holds; no bytes at all mean that all are empty.
"""

import struct
import sys
from array import array
from dataclasses import dataclass, field, replace

import cbor2
import zstandard

from bodycam.catalog.statement import Statement, storable

MOST = 256
"""Exchanges in a bundle at most."""
SPAN = 2_000_000
"""Microseconds between the first and the last start in a bundle at most.

Readers rely on it: whoever looks for what started before a time has to pass over this much behind it.
"""
MOST_TEXT = 64 * 1024
"""Characters of values, errors and outputs after which a bundle takes no more."""

_EARLIER = SPAN // 4  # exchanges end out of order, but most in it
_HEAD, _OWN_HEAD = struct.Struct("<H5sIII"), struct.Struct("<H5sIIII")
_PLAIN, _ZSTD, _SINGLE = b"\0", b"\1", b"\2"
_OWN_PLAIN, _OWN_ZSTD, _OWN_SINGLE = b"\3", b"\4", b"\5"
_OWN = frozenset((_OWN_PLAIN, _OWN_ZSTD, _OWN_SINGLE))
_WORTH = 200  # shorter ones gain nothing from compression
_MOST_PACKED = 64 * 1024 * 1024
_WIDTHS = (("B", 1 << 8), ("H", 1 << 16), ("I", 1 << 32))


Item = tuple[int, int, int, int, int, str, str, str, str]
"""An exchange on its way in: number, start, duration, rows, bytes, values, error, output, own text.

An own text stands in the place of the statement's; all exchanges of a bundle have one, or none has.
"""


@dataclass(slots=True, eq=False)
class Bundle:
    """A bundle on its way into the index. Times and durations are microseconds.

    `session` and `run` are keys, and may be set late: a session is written with its first exchanges.
    `session_id` is the same in every catalog that is built from the recordings, which a key is not. `trace`
    and `span` are the claimed parent of all its exchanges; `details` is what the protocol has kept, as JSON.
    """

    statement: Statement
    verb: str
    aside: bool
    status: str
    code: str | None
    session: int = 0
    run: int = 0
    session_id: str = ""
    items: list[Item] = field(default_factory=list)
    weight: int = 0
    trace: str | None = None
    span: str | None = None
    details: str | None = None

    def add(self, item: Item, weight: int) -> bool:
        """Add an exchange; False if it does not go in, because there are enough or they are too far apart.

        `weight` is how long its texts are.
        """
        items = self.items
        if items:
            apart = item[1] - items[0][1]
            if len(items) >= MOST or self.weight >= MOST_TEXT or not -_EARLIER <= apart <= SPAN - _EARLIER:
                return False
        items.append(item)
        self.weight += weight
        return True

    def without(self, numbers: set[int]) -> "Bundle":
        """The bundle without the exchanges of these numbers."""
        left = [item for item in self.items if item[0] not in numbers]
        return replace(self, items=left)

    def columns(self) -> "Columns":
        """The exchanges, column by column, texts as every database holds them."""
        numbers, starts, durations, rows, sizes, *texts = map(list, zip(*self.items, strict=True))
        values, errors, outputs, own = map(_clean, texts)
        return Columns(
            numbers, starts, durations, rows, sizes, values, errors, outputs, own if own[0] else []
        )


@dataclass(slots=True)
class Columns:
    """What the exchanges of a bundle differ in, numbers and starts in full."""

    numbers: list[int]
    starts: list[int]
    durations: list[int]
    rows: list[int]
    sizes: list[int]  # bytes that moved
    values: list[str]
    errors: list[str]
    outputs: list[str]
    own: list[str] = field(default_factory=list)  # texts in the place of the statement's; none, or of each

    @property
    def wordy(self) -> bool:
        """Whether its exchanges have any texts."""
        return any(map(any, (self.own, self.values, self.errors, self.outputs)))

    def texts(self) -> list[str]:
        """The texts, each once, in an order that packing and unpacking keeps."""
        found: dict[str, None] = {}
        for column in (self.own, self.values, self.errors, self.outputs):
            found.update(dict.fromkeys(column))
        found.pop("", None)
        return list(found)

    def pack(self) -> bytes:
        """What `unpack` takes."""
        if len(self.numbers) == 1:
            numbers = self.durations[0], self.rows[0], self.sizes[0]
            single = (*numbers, self.values[0], self.errors[0], self.outputs[0], *self.own)
            return (_OWN_SINGLE if self.own else _SINGLE) + cbor2.dumps(single)
        low, first = min(self.numbers), min(self.starts)
        columns = [
            _column([number - low for number in self.numbers]),
            _column([started - first for started in self.starts]),
            _column(self.durations),
            _column(self.rows),
            _column(self.sizes),
        ]
        texts = [_joined(column) for column in (self.values, self.errors, self.outputs)]
        layout, as_it_is, compressed = _HEAD, _PLAIN, _ZSTD
        if self.own:
            texts.append(_joined(self.own))
            layout, as_it_is, compressed = _OWN_HEAD, _OWN_PLAIN, _OWN_ZSTD
        codes = "".join([column.typecode for column in columns]).encode()
        head = layout.pack(len(self.numbers), codes, *map(len, texts))
        plain = b"".join([head, *map(_little, columns), *texts])
        if len(plain) < _WORTH:
            return as_it_is + plain
        return compressed + zstandard.ZstdCompressor(level=1, write_content_size=True).compress(plain)


def owned(packed: bytes) -> bool:
    """Whether each exchange of a bundle has a text of its own in the place of its statement's."""
    return packed[:1] in _OWN


def unpack(packed: bytes, low: int, first: int) -> Columns:
    """What the exchanges of a bundle differ in.

    Raises:
        ValueError: it is not what `Columns.pack` made.
    """
    if packed[:1] in (_SINGLE, _OWN_SINGLE):
        return _single(packed[1:], low, first)
    plain, layout = _plain(packed), _layout(packed)
    try:
        count, codes, *lengths = layout.unpack_from(plain)
        parts = _Parts(plain, count, layout.size)
        numbers, starts, durations, rows, sizes = (parts.column(chr(code)) for code in codes)
        values, errors, outputs, *own = (parts.texts(length) for length in lengths)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"a bundle can't be read: {error}") from error
    return Columns(
        [low + offset for offset in numbers],
        [first + offset for offset in starts],
        durations,
        rows,
        sizes,
        values,
        errors,
        outputs,
        *own,
    )


def numbers(packed: bytes, low: int) -> list[int]:
    """The numbers of the exchanges in a bundle, and nothing else of it.

    Raises:
        ValueError: it is not what `Columns.pack` made.
    """
    if packed[:1] in (_SINGLE, _OWN_SINGLE):
        return [low]
    plain, layout = _plain(packed), _layout(packed)
    try:
        count, codes, *_ = layout.unpack_from(plain)
    except struct.error as error:
        raise ValueError(f"a bundle can't be read: {error}") from error
    return [low + offset for offset in _Parts(plain, count, layout.size).column(chr(codes[0]))]


def _layout(packed: bytes) -> struct.Struct:
    return _OWN_HEAD if owned(packed) else _HEAD


def _plain(packed: bytes) -> bytes:
    if packed[:1] not in (_ZSTD, _OWN_ZSTD):
        return packed[1:]
    try:
        return zstandard.ZstdDecompressor().decompress(packed[1:], max_output_size=_MOST_PACKED)
    except zstandard.ZstdError as error:
        raise ValueError(f"a bundle does not decompress: {error}") from error


def _single(plain: bytes, low: int, first: int) -> Columns:
    match cbor2.loads(plain):
        case [int(duration), int(rows), int(size), str(values), str(error), str(output), *own]:
            return Columns([low], [first], [duration], [rows], [size], [values], [error], [output], own)
        case _:
            raise ValueError("a bundle of one exchange can't be read")


class _Parts:
    """Cuts one part after another."""

    def __init__(self, plain: bytes, count: int, at: int) -> None:
        self._plain, self._count, self._at = plain, count, at

    def column(self, code: str) -> list[int]:
        column = array(code)
        end = self._at + column.itemsize * self._count
        column.frombytes(self._plain[self._at : end])
        if sys.byteorder == "big":
            column.byteswap()
        self._at = end
        if len(column) != self._count:
            raise ValueError("a bundle ends inside a column")
        return column.tolist()

    def texts(self, length: int) -> list[str]:
        end = self._at + length
        found = self._plain[self._at : end].decode().split("\0") if length else [""] * self._count
        self._at = end
        if len(found) != self._count:
            raise ValueError("a bundle has another number of texts than of exchanges")
        return found


def _column(values: list[int]) -> "array[int]":
    top = max(values)
    for code, end in _WIDTHS:
        if top < end:
            return array(code, values)
    return array("Q", values)


def _little(column: "array[int]") -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _joined(column: list[str]) -> bytes:
    return "\0".join(column).encode() if any(column) else b""


def _clean(column: list[str]) -> list[str]:
    """The texts without what either database can't hold; nearly always they are."""
    joined = "".join(column)
    return column if joined.isascii() and "\0" not in joined else [storable(text) for text in column]
