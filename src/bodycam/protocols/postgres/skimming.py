"""What the index reads of an exchange without taking it apart: its values, the rows of a simple answer."""

import struct
from collections.abc import Sequence
from functools import lru_cache

from bodycam.protocols.postgres import types
from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.recorded_rows import Table

_LENGTH = struct.Struct(">I").unpack_from
_HEADER = 5
_DATA_ROW, _DESCRIPTION = ord("D"), ord("T")
_SILENT = frozenset(b"Z123ntKRv")
_COMPLETE = frozenset(b"CIs")


def values(parameters: Sequence[tuple[int, int, bytes | None]], encoding: str) -> str:
    """The parameters as people read them, a line each."""
    shown: list[str] = []
    for kind, form, value in parameters:
        if value is None:
            shown.append("NULL")
        elif form == 0 and encoding == "utf-8" and value.isascii() and 0 not in value:
            shown.append(value.decode("ascii"))  # as `types.decode` would, in a fraction of the time
        else:
            shown.append(types.decode(kind, form, value, encoding))
    return shown[0] if len(shown) == 1 else "\n".join(shown)


def output(columns: bytes | None, data: bytes, most: int, encoding: str) -> str | None:
    """The rows in whole messages that say nothing else; None where there is more to them.

    `columns` is a RowDescription that was recorded apart.
    """
    lines: list[str] = []
    size = 0
    try:
        table = None if columns is None else described(columns, encoding)
        offset, end = 0, len(data)
        while offset < end:
            tag, start = data[offset], offset
            (length,) = _LENGTH(data, offset + 1)
            offset += 1 + length
            if length < 4 or offset > end:
                return None
            if tag == _DATA_ROW:
                if table is None:
                    return None
                line = "\t".join([text for text in table.row(data, start, offset) if text is not None])
                if line:
                    lines.append(line)
                    size += len(line) + 1
                    if size > most:
                        break
            elif tag == _DESCRIPTION:
                table = described(data[start:offset], encoding)
            elif tag in _COMPLETE:
                table = None
            elif tag not in _SILENT:
                return None
    except (ProtocolViolation, ValueError, struct.error):
        return None
    return "\n".join(lines)[:most]


@lru_cache(maxsize=256)
def described(raw: bytes, encoding: str) -> Table:
    """The columns of a RowDescription; most come again and again.

    Raises:
        ProtocolViolation: it is malformed.
    """
    return Table.described(raw, encoding)
