"""The byte layout of a journal segment, version 1: no I/O, no cryptography.

All numbers are big-endian. A segment file `NNNNNNNN.seg` (its generation in decimal) begins with a header:

    8 magic | u16 version | u16 zero | u32 generation | 16 incarnation | 8 recipient
    | 32 ephemeral X25519 public key | 48 wrapped data key | u32 CRC-32 of all before

then records, each at an offset that is a multiple of 8:

    u32 length of the ciphertext, published last | u64 sequence | ciphertext | padding

The ciphertext is AES-256-GCM under the segment's data key with the nonce `u32 zero | u64 sequence` and the
additional data `incarnation | u32 generation | u64 sequence`. The key is fresh in every segment and a
sequence number is used once, so a nonce never repeats. A length of zero is where the segment ends so far.

The plaintext is one byte of record type and, in a record of entries, entries one after another:

    u32 session | u32 exchange | u8 kind | u64 at | u32 length of the body | body

A kind with its top bit set says that the body goes on in the next entry.
"""

import struct
import zlib
from enum import IntEnum
from typing import Final, NamedTuple

from bodycam.journal.entry import Plain

MAGIC = b"BCJOURNL"
VERSION = 1
SUFFIX = ".seg"

_FIXED = struct.Struct(">8sHHI16s8s")
_SEALED_KEY = 80
_CHECK = struct.Struct(">I")
HEADER_BYTES = _FIXED.size + _SEALED_KEY + _CHECK.size + 4  # 4 of padding: records start on a multiple of 8

LENGTH: Final[struct.Struct] = struct.Struct(">I")
SEQUENCE: Final[struct.Struct] = struct.Struct(">Q")
NONCE: Final[struct.Struct] = struct.Struct(">4xQ")
RECORD_HEAD: Final[struct.Struct] = struct.Struct(">IQ")
ENTRY_HEAD: Final[struct.Struct] = struct.Struct(">IIBQI")
TAG_BYTES: Final = 16
RECORD_OVERHEAD = RECORD_HEAD.size + 1 + TAG_BYTES
"""What a record takes beyond its entries, before it is rounded up to a multiple of 8."""
MARK_BYTES = 32
"""Room kept at the end of every segment for its last record, the mark of its end."""

MAX_RECORD = 1536 * 1024
"""The most bytes of entries in one record."""
MAX_PIECE = MAX_RECORD // 3 - 64
"""A body longer than this is cut into pieces."""
MORE = 0x80
"""The bit of an entry's kind that says: the body goes on in the next entry."""


class RecordType(IntEnum):
    """The first byte of a record's plaintext."""

    ENTRIES = 0
    SEGMENT_END = 1  # the incarnation goes on in the next generation
    CLOSED = 2  # the writer closed in order; nothing follows


class Header(NamedTuple):
    """A segment's header; `sealed_key` is what `wrapping.wrap` made."""

    incarnation: bytes
    generation: int
    recipient: bytes
    sealed_key: bytes


def segment_name(generation: int) -> str:
    """The file name of a generation."""
    return f"{generation:08d}{SUFFIX}"


def segment_generation(name: str) -> int | None:
    """The generation that a file name stands for; None when it is no segment's name."""
    stem = name.removesuffix(SUFFIX)
    return int(stem) if stem != name and len(stem) >= 8 and stem.isascii() and stem.isdigit() else None


def header_context(incarnation: bytes, generation: int, recipient: bytes) -> bytes:
    """The header's fixed part, to which the wrapped key is bound."""
    return _FIXED.pack(MAGIC, VERSION, 0, generation, incarnation, recipient)


def encode_header(header: Header) -> bytes:
    """The header's bytes."""
    content = header_context(header.incarnation, header.generation, header.recipient) + header.sealed_key
    return (content + _CHECK.pack(zlib.crc32(content))).ljust(HEADER_BYTES, b"\0")


def decode_header(data: bytes) -> Header:
    """A segment's header.

    Raises:
        ValueError: these bytes are no header of a version that is known; the text says why.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"the segment's header is cut off after {len(data)} of {HEADER_BYTES} bytes")
    magic, version, _, generation, incarnation, recipient = _FIXED.unpack_from(data)
    if magic != MAGIC:
        raise ValueError("this is no journal segment (its magic is wrong)")
    content = data[: _FIXED.size + _SEALED_KEY]
    if _CHECK.unpack_from(data, len(content))[0] != zlib.crc32(content):
        raise ValueError("the segment's header is damaged (its checksum is wrong)")
    if version != VERSION:
        raise ValueError(f"the segment has version {version}; this program reads version {VERSION}")
    return Header(incarnation, generation, recipient, content[_FIXED.size :])


def record_bytes(length: int) -> int:
    """The bytes in the file of a record whose ciphertext has `length` bytes."""
    return (RECORD_HEAD.size + length + 7) & ~7


def additional_data(incarnation: bytes, generation: int) -> bytes:
    """The part of a record's additional data that is the same all through a segment."""
    return incarnation + LENGTH.pack(generation)


def decode_entries(plain: bytes) -> tuple[list[Plain], bool]:
    """The entries of a record of the type ENTRIES, as they stand, and whether any kind has the bit MORE.

    Raises:
        ValueError: the entries do not fill the record exactly.
    """
    found: list[Plain] = []
    unpack, head = ENTRY_HEAD.unpack_from, ENTRY_HEAD.size
    offset, end, kinds = 1, len(plain), 0
    while offset < end:
        start = offset + head
        if start > end:
            raise ValueError(f"an entry's head is cut off at byte {offset} of the record")
        session, exchange, kind, at, length = unpack(plain, offset)
        offset = start + length
        if offset > end:
            raise ValueError(f"an entry claims {length} bytes where the record has {end - start}")
        kinds |= kind
        found.append((session, exchange, kind, at, plain[start:offset]))
    return found, kinds & MORE != 0
