"""What the columns of a RowDescription can hold, and how their values are read as text."""

from collections.abc import Callable
from typing import Final

from bodycam.model.column import Column, Holds
from bodycam.protocols.postgres import backend, types

# booleans, small numbers, dates and times, geometry
# https://www.postgresql.org/docs/current/catalog-pg-type.html
_NOTHING: Final = frozenset(
    {16, 21, 23, 26, 27, 28, 29, 600, 601, 602, 603, 604, 628, 700, 701, 718, 774, 829, 1082, 1083,
     1114, 1184, 1186, 1266, 1560, 1562, 2278, 3220, 3904, 3908, 3910, 3912, 4451, 4533, 4534, 4535,
     5069, 1000, 1005, 1007, 1012, 1028, 1021, 1022, 1115, 1182, 1183, 1185, 1187}
)  # fmt: skip
_TEXT: Final = frozenset({25, 705, 1042, 1043, 2275, 142})
_JSON: Final = frozenset({114, 3802})
_JSONB: Final = 3802
_BYTEA: Final = 17


def column(field: backend.Field) -> Column:
    """What is to be known of one column."""
    origin = (field.table, field.attribute)
    oid, binary = field.type, field.format == 1
    holding = holds(oid)
    if binary and oid == _BYTEA:
        holding = Holds.TEXT
    elif binary and oid == _JSONB:
        # a byte with the format's version stands before it
        holding = Holds.OTHER
    decode = _decoder(oid) if binary and holding is Holds.OTHER else None
    return Column(field.name, holding, decode, origin)


def _decoder(oid: int) -> Callable[[bytes], bytes]:
    def decode(value: bytes) -> bytes:
        return types.decode(oid, 1, value, "utf-8").encode("utf-8", "replace")

    return decode


def holds(oid: int) -> Holds:
    """What values of a type can hold, as text."""
    if oid in _NOTHING:
        return Holds.NOTHING
    if oid in _TEXT:
        return Holds.TEXT
    if oid in _JSON:
        return Holds.JSON
    return Holds.HEX if oid == _BYTEA else Holds.OTHER


def columns(description: bytes) -> list[Column]:
    """What is to be known of the columns of a RowDescription."""
    return [column(field) for field in backend.row_description(description)]
