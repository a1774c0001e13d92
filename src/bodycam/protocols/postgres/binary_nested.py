"""Arrays, ranges and records of PostgreSQL's binary format, with the quoting of their text output.

`src/backend/utils/adt/`: arrayfuncs.c, rangetypes.c, multirangetypes.c, rowtypes.c. `Element` shows one value
inside by its type's OID. Callers bound the depth, because each level may double every quote below it.
"""

import math
import struct
from collections.abc import Callable

Element = Callable[[int, bytes], str]

_INT32 = struct.Struct(">i")
_HEAD = struct.Struct(">iiI")
_DIMENSION = struct.Struct(">ii")
_OID = struct.Struct(">I")

_SPACE = " \t\n\r\v\f"
_ARRAY_QUOTED = frozenset('{}",\\' + _SPACE)
_RANGE_QUOTED = frozenset('()[]",\\' + _SPACE)
_RECORD_QUOTED = frozenset('()",\\' + _SPACE)

_EMPTY, _LOWER_IN, _UPPER_IN, _LOWER_OPEN, _UPPER_OPEN = 1, 2, 4, 8, 16
_BOX = 603


def array(value: bytes, element: Element) -> str:
    """An array of any dimensions; bounds are written where one does not begin at 1."""
    kind, dimensions, items = _array(value, element)
    if not items:
        return "{}"
    # of all types only box separates by something else
    quoted, separator = (_ARRAY_QUOTED - {","} | {";"}, ";") if kind == _BOX else (_ARRAY_QUOTED, ",")
    shown = ["NULL" if item is None else _array_item(item, quoted) for item in items]
    for length, _ in reversed(dimensions):
        shown = [
            "{" + separator.join(shown[start : start + length]) + "}"
            for start in range(0, len(shown), length)
        ]
    bounds = ""
    if any(lower != 1 for _, lower in dimensions):
        bounds = "".join(f"[{lower}:{lower + length - 1}]" for length, lower in dimensions) + "="
    return bounds + shown[0]


def vector(value: bytes, element: Element) -> str:
    """An int2vector or oidvector: an array on the wire, written with spaces."""
    _, _, items = _array(value, element)
    return " ".join(item or "" for item in items)


def span(value: bytes, subtype: int, element: Element) -> str:
    """A range."""
    flags = value[0]
    if flags & _EMPTY:
        return "empty"
    offset = 1
    lower = upper = ""
    if not flags & _LOWER_OPEN:
        found, offset = _sized(value, offset)
        lower = _doubled(element(subtype, found or b""), _RANGE_QUOTED)
    if not flags & _UPPER_OPEN:
        found, offset = _sized(value, offset)
        upper = _doubled(element(subtype, found or b""), _RANGE_QUOTED)
    _all_read(value, offset)
    return f"{'[' if flags & _LOWER_IN else '('}{lower},{upper}{']' if flags & _UPPER_IN else ')'}"


def spans(value: bytes, subtype: int, element: Element) -> str:
    """A multirange."""
    (count,) = _INT32.unpack_from(value)
    offset, shown = 4, []
    for _ in range(count):
        found, offset = _sized(value, offset)
        shown.append(span(found or b"", subtype, element))
    _all_read(value, offset)
    return "{" + ",".join(shown) + "}"


def record(value: bytes, element: Element) -> str:
    """A row: each column with its type."""
    (count,) = _INT32.unpack_from(value)
    offset, shown = 4, []
    for _ in range(count):
        (kind,) = _OID.unpack_from(value, offset)
        found, offset = _sized(value, offset + 4)
        shown.append("" if found is None else _doubled(element(kind, found), _RECORD_QUOTED))
    _all_read(value, offset)
    return "(" + ",".join(shown) + ")"


def _array(value: bytes, element: Element) -> tuple[int, list[tuple[int, int]], list[str | None]]:
    count, flags, kind = _HEAD.unpack_from(value)
    if not 0 <= count <= 6 or flags not in (0, 1):
        raise ValueError("not an array")
    offset = 12 + 8 * count
    dimensions = [_DIMENSION.unpack_from(value, 12 + 8 * place) for place in range(count)]
    size = math.prod(length for length, _ in dimensions) if dimensions else 0
    if any(length < 0 for length, _ in dimensions):
        raise ValueError("no array's dimension has a negative length")
    if size * 4 > len(value):
        raise ValueError("an array of more elements than bytes")
    items: list[str | None] = []
    for _ in range(size):
        found, offset = _sized(value, offset)
        items.append(None if found is None else element(kind, found))
    _all_read(value, offset)
    return kind, dimensions, items


def _sized(value: bytes, offset: int) -> tuple[bytes | None, int]:
    (size,) = _INT32.unpack_from(value, offset)
    offset += 4
    if size == -1:
        return None, offset
    if size < 0 or offset + size > len(value):
        raise ValueError("a value inside reaches beyond its end")
    return value[offset : offset + size], offset + size


def _all_read(value: bytes, offset: int) -> None:
    if offset != len(value):
        raise ValueError("bytes behind the end of a value")


def _array_item(item: str, quoted: frozenset[str]) -> str:
    if item and item.upper() != "NULL" and quoted.isdisjoint(item):
        return item
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _doubled(item: str, quoted: frozenset[str]) -> str:
    if item and quoted.isdisjoint(item):
        return item
    return '"' + item.replace("\\", "\\\\").replace('"', '""') + '"'
