"""PostgreSQL's types by OID: their names, and their values as people read them.

Values in text format are what the server wrote. Values in binary format are written as the server would
write them with `DateStyle` ISO, `IntervalStyle` postgres and time zone UTC. The OIDs are fixed (the
server's own `src/include/catalog/pg_type.dat`); those from 16384 on belong to one database and are not
known here.
"""

from collections.abc import Callable
from functools import lru_cache

from bodycam.protocols.postgres import (
    binary_addresses,
    binary_nested,
    binary_numbers,
    binary_shapes,
    binary_times,
)
from bodycam.protocols.postgres.binary_numbers import Binary

Decoder = Callable[[bytes], str]
"""Shows one value; never raises."""

_DEPTH_MOST = 5
_FIRST_USER_OID = 16384

_SCALARS = {
    16: "bool", 17: "bytea", 18: "char", 19: "name", 20: "int8", 21: "int2", 22: "int2vector", 23: "int4",
    24: "regproc", 25: "text", 26: "oid", 27: "tid", 28: "xid", 29: "cid", 30: "oidvector", 114: "json",
    142: "xml", 194: "pg_node_tree", 600: "point", 601: "lseg", 602: "path", 603: "box", 604: "polygon",
    628: "line", 650: "cidr", 700: "float4", 701: "float8", 705: "unknown", 718: "circle", 774: "macaddr8",
    790: "money", 829: "macaddr", 869: "inet", 1033: "aclitem", 1042: "bpchar", 1043: "varchar",
    1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1186: "interval", 1266: "timetz",
    1560: "bit", 1562: "varbit", 1700: "numeric", 1790: "refcursor", 2202: "regprocedure", 2203: "regoper",
    2204: "regoperator", 2205: "regclass", 2206: "regtype", 2249: "record", 2275: "cstring", 2278: "void",
    2950: "uuid", 2970: "txid_snapshot", 3220: "pg_lsn", 3614: "tsvector", 3615: "tsquery",
    3642: "gtsvector", 3734: "regconfig", 3769: "regdictionary", 3802: "jsonb", 3904: "int4range",
    3906: "numrange", 3908: "tsrange", 3910: "tstzrange", 3912: "daterange", 3926: "int8range",
    4072: "jsonpath", 4089: "regnamespace", 4096: "regrole", 4191: "regcollation", 4451: "int4multirange",
    4532: "nummultirange", 4533: "tsmultirange", 4534: "tstzmultirange", 4535: "datemultirange",
    4536: "int8multirange", 5038: "pg_snapshot", 5069: "xid8",
}  # fmt: skip

_ARRAYS = {
    143: 142, 199: 114, 271: 5069, 629: 628, 651: 650, 719: 718, 775: 774, 791: 790, 1000: 16, 1001: 17,
    1002: 18, 1003: 19, 1005: 21, 1006: 22, 1007: 23, 1008: 24, 1009: 25, 1010: 27, 1011: 28, 1012: 29,
    1013: 30, 1014: 1042, 1015: 1043, 1016: 20, 1017: 600, 1018: 601, 1019: 602, 1020: 603, 1021: 700,
    1022: 701, 1027: 604, 1028: 26, 1034: 1033, 1040: 829, 1041: 869, 1115: 1114, 1182: 1082, 1183: 1083,
    1185: 1184, 1187: 1186, 1231: 1700, 1263: 2275, 1270: 1266, 1561: 1560, 1563: 1562, 2201: 1790,
    2207: 2202, 2208: 2203, 2209: 2204, 2210: 2205, 2211: 2206, 2287: 2249, 2949: 2970, 2951: 2950,
    3221: 3220, 3643: 3614, 3644: 3642, 3645: 3615, 3735: 3734, 3770: 3769, 3807: 3802, 3905: 3904,
    3907: 3906, 3909: 3908, 3911: 3910, 3913: 3912, 3927: 3926, 4073: 4072, 4090: 4089, 4097: 4096,
    4192: 4191, 5039: 5038, 6150: 4451, 6151: 4532, 6152: 4533, 6153: 4534, 6155: 4535, 6157: 4536,
}  # fmt: skip

_TEXTS = frozenset({19, 25, 114, 142, 194, 705, 1042, 1043, 1790, 2275})
_RANGES = {3904: 23, 3906: 1700, 3908: 1114, 3910: 1184, 3912: 1082, 3926: 20}
_MULTIRANGES = {4451: 23, 4532: 1700, 4533: 1114, 4534: 1184, 4535: 1082, 4536: 20}
_NUMBERED = (24, 26, 28, 29, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191)


def _utf8(value: bytes) -> str:
    return str(value, "utf-8")


def _void(value: bytes) -> str:
    return ""


def _versioned(value: bytes) -> str:
    """A jsonb or jsonpath: a version, then its text."""
    if value[0] != 1:
        raise ValueError("another version of the format than 1")
    return str(value[1:], "utf-8")


_BINARY: dict[int, Binary] = {
    16: binary_numbers.boolean,
    17: lambda value: hexadecimal(value),
    18: binary_addresses.internal_char,
    20: binary_numbers.integer(">q"),
    21: binary_numbers.integer(">h"),
    23: binary_numbers.integer(">i"),
    27: binary_addresses.tuple_place,
    600: binary_shapes.point,
    601: binary_shapes.segment,
    602: binary_shapes.path,
    603: binary_shapes.box,
    604: binary_shapes.polygon,
    628: binary_shapes.line,
    650: binary_addresses.network,
    700: binary_numbers.single,
    701: binary_numbers.double,
    718: binary_shapes.circle,
    774: binary_addresses.mac,
    790: binary_numbers.money,
    829: binary_addresses.mac,
    869: binary_addresses.network,
    1082: binary_times.date,
    1083: binary_times.time,
    1114: binary_times.timestamp,
    1184: binary_times.timestamptz,
    1186: binary_times.interval,
    1266: binary_times.timetz,
    1560: binary_numbers.bits,
    1562: binary_numbers.bits,
    1700: binary_numbers.numeric,
    2278: _void,
    2950: binary_addresses.uuid,
    3220: binary_addresses.log_position,
    3802: _versioned,
    4072: _versioned,
    5069: binary_numbers.integer(">Q"),
    **dict.fromkeys(_TEXTS, _utf8),
    **dict.fromkeys(_NUMBERED, binary_numbers.integer(">I")),
}


def name(oid: int) -> str:
    """A type's name as SQL knows it; an unknown one is shown as its number, and 0 as `unknown`."""
    if oid in _SCALARS:
        return _SCALARS[oid]
    if oid in _ARRAYS:
        return f"{_SCALARS[_ARRAYS[oid]]}[]"
    return f"oid {oid}" if oid else "unknown"


def decode(oid: int, form: int, value: bytes, encoding: str = "utf-8") -> str:
    """One value as text. `form` is 0 for text and 1 for binary, `encoding` the client's, as Python names it.

    Never raises: what is not a value of its type is shown as `\\x` and hexadecimal digits.
    """
    return decoder(oid, form, encoding)(value)


@lru_cache(maxsize=1024)
def decoder(oid: int, form: int, encoding: str = "utf-8") -> Decoder:
    """What shows the values of one column."""
    if form == 0:
        return _guarded(lambda value: _text(value, encoding))
    if form == 1:
        if encoding != "utf-8" and oid in _TEXTS:
            return _guarded(lambda value: _text(value, encoding))
        return _guarded(lambda value: _binary(oid, value, 0))
    return hexadecimal


def hexadecimal(value: bytes) -> str:
    """Bytes as PostgreSQL writes a bytea."""
    return "\\x" + value.hex()


def _guarded(read: Binary) -> Decoder:
    def show(value: bytes) -> str:
        try:
            return read(value)
        except Exception:
            # a recording's bytes are whatever two peers said; what can't be read is still shown
            return hexadecimal(value)

    return show


def _text(value: bytes, encoding: str) -> str:
    if b"\0" in value:
        raise ValueError("no text of PostgreSQL holds a NUL")
    return str(value, encoding)


def _binary(oid: int, value: bytes, depth: int) -> str:
    read = _BINARY.get(oid)
    if read is not None:
        return read(value)
    if depth >= _DEPTH_MOST:
        raise ValueError("nested too deep to be shown")

    def inside(kind: int, part: bytes) -> str:
        return _binary(kind, part, depth + 1)

    if oid in _ARRAYS:
        return binary_nested.array(value, inside)
    if oid in _RANGES:
        return binary_nested.span(value, _RANGES[oid], inside)
    if oid in _MULTIRANGES:
        return binary_nested.spans(value, _MULTIRANGES[oid], inside)
    if oid == 2249:
        return binary_nested.record(value, inside)
    if oid in (22, 30):
        return binary_nested.vector(value, inside)
    if oid >= _FIRST_USER_OID:
        return _of_a_database(value, inside)
    return hexadecimal(value)


def _of_a_database(value: bytes, inside: binary_nested.Element) -> str:
    """A type that one database made: arrays and records tell what they are, enums and their like are text."""
    for read in (binary_nested.array, binary_nested.record):
        try:
            return read(value, inside)
        except Exception:  # noqa: S112 - it is not one of these
            continue
    shown = str(value, "utf-8")
    return shown if shown.isprintable() else hexadecimal(value)
