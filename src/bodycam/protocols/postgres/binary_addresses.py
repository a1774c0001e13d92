"""Network addresses, identifiers and places of PostgreSQL's binary format, as the server writes them.

`src/backend/utils/adt/`: network.c and inet_net_ntop.c, mac.c, mac8.c, uuid.c, pg_lsn.c, tid.c, char.c.
"""

import struct
import uuid as uuids

_FAMILY_4, _FAMILY_6 = 2, 3
_LSN = struct.Struct(">II")
_TID = struct.Struct(">IH")


def network(value: bytes) -> str:
    """An inet or cidr: family, prefix length, whether it is a cidr, address."""
    family, prefix, is_cidr, size = value[:4]
    address = value[4:]
    if (family, size) == (_FAMILY_4, 4) and len(address) == 4 and prefix <= 32:
        shown, full = ".".join(map(str, address)), 32
    elif (family, size) == (_FAMILY_6, 16) and len(address) == 16 and prefix <= 128:
        shown, full = _ipv6(address), 128
    else:
        raise ValueError("neither an IPv4 nor an IPv6 address")
    return shown if prefix == full and not is_cidr else f"{shown}/{prefix}"


def mac(value: bytes) -> str:
    """A MAC address of six or eight bytes."""
    if len(value) not in (6, 8):
        raise ValueError("a MAC address has six or eight bytes")
    return value.hex(":")


def uuid(value: bytes) -> str:
    """A UUID."""
    return str(uuids.UUID(bytes=value))


def log_position(value: bytes) -> str:
    """A position in the write-ahead log."""
    high, low = _LSN.unpack(value)
    return f"{high:X}/{low:X}"


def tuple_place(value: bytes) -> str:
    """A tid: block and offset."""
    block, offset = _TID.unpack(value)
    return f"({block},{offset})"


def internal_char(value: bytes) -> str:
    """The one-byte type `"char"`: a byte above ASCII is shown in octal."""
    if len(value) != 1:
        raise ValueError('a "char" is one byte')
    if value[0] >= 0x80:
        return f"\\{value[0]:03o}"
    return chr(value[0]) if value[0] else ""


def _ipv6(address: bytes) -> str:
    words = struct.unpack(">8H", address)
    start, length = _longest_zeros(words)
    groups: list[str] = []
    place = 0
    while place < 8:
        if place == start:
            groups.append("" if place else ":")
            place += length
            if place == 8:
                groups.append("")
            continue
        # an IPv4 address inside is written as one
        if place == 6 and start == 0 and (length == 6 or (length == 5 and words[5] == 0xFFFF)):
            groups.append(".".join(map(str, address[12:])))
            break
        groups.append(f"{words[place]:x}")
        place += 1
    return ":".join(groups)


def _longest_zeros(words: tuple[int, ...]) -> tuple[int, int]:
    """Where the longest run of two or more zero words begins, and its length; (-1, 0) if there is none."""
    best, start = (-1, 0), 0
    while start < 8:
        end = start
        while end < 8 and words[end] == 0:
            end += 1
        if end - start > max(1, best[1]):
            best = (start, end - start)
        start = end + 1
    return best
