"""Sealed format, version 1: frames, blocks, the chain, and the manifest. No I/O.

A session is the frames H (header), B (a block) any number of times, I (block index), M (manifest) and S
(signature, behind the lengths of I and M, so that a reader that starts at the end finds them). A frame is a
type byte, a 32-bit big-endian length and a payload. `docs/recording-format.md` is the reference; golden files
keep this module honest.
"""

import hashlib
import io
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cbor2
import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
HEADER, BLOCK, INDEX, MANIFEST, SIGNATURE = b"H", b"B", b"I", b"M", b"S"
FRAME = struct.Struct(">cI")
BLOCK_HEAD = struct.Struct(">12sIQQ")  # nonce, events, at of the first, at of the last
ENDING = struct.Struct(">II64s")  # the payload of S: payload lengths of I and M, and the signature
HASH_BYTES = 32
MAX_PLAIN = 66 * 1024 * 1024
MAX_BLOCK = MAX_PLAIN + MAX_PLAIN // 256 + 1024  # what zstd and AES-GCM can add to bytes that don't compress
MAX_META = 64 * 1024 * 1024
MAX_BLOCKS = 1_000_000  # what an index of MAX_META bytes holds
SIGNING_CONTEXT = b"bodycam session v1\0"
KEY_BYTES = 32
_LEVEL, _BULK_LEVEL, _BULK = 3, 1, 128 * 1024
"""zstd's levels, and from how many bytes on a block is compressed at the second.

A large block is a busy session's, whose exchanges or rows repeat each other: there the higher level takes a
third to two thirds more time, saves 3 percent of wide rows and makes more bytes of short exchanges. A reader
takes any level.
"""
_MAX_NUMBER = 2**63
_GENERIC: dict[str, type] = {"totals": dict, "markers": list}
_LAST_ITEM = b"\xf6"  # null, which no event is


class FormatDamaged(Exception):
    """The bytes are not a recording of this format; the text says where and what."""


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """A block in the index: where its frame is in the session's bytes, what it covers, the chain after it.

    With the chain of the block before, a block can be opened by itself.
    """

    offset: int
    length: int
    events: int
    first_at: int
    last_at: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was sealed, without names; `root` is the hash of its bytes.

    `totals` counts exchanges, rows and bytes each way; `worker` and `opening` are the journal's incarnation
    and the gapless number of the session in it; `sealed` is Unix milliseconds.
    """

    session: bytes
    header_hash: bytes
    blocks: int
    events: int
    last_at: int
    totals: dict[str, int]
    outcome: str
    markers: list[str]
    chain: bytes
    index_hash: bytes
    worker: bytes
    opening: int
    sealed: int

    def encode(self) -> bytes:
        """The manifest's bytes, over which the signature is."""
        return cbor2.dumps(
            {
                "v": VERSION,
                **{name: getattr(self, name) for name in Manifest.__slots__},
            },
            canonical=True,
        )


def decode_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes.

    Raises:
        FormatDamaged: it is none of this version.
    """
    plain = load(data, "manifest")
    try:
        if plain.pop("v") != VERSION:
            raise FormatDamaged("the manifest is of another version")
        manifest = Manifest(**plain)
    except (TypeError, KeyError, AttributeError) as error:
        raise FormatDamaged(f"the manifest lacks what version 1 has: {error}") from error
    for name, declared in Manifest.__annotations__.items():
        kind = _GENERIC.get(name) or declared
        if not isinstance(getattr(manifest, name), kind):
            raise FormatDamaged(f"the manifest's {name} is of another type")
        if kind is int and not 0 <= getattr(manifest, name) < _MAX_NUMBER:
            raise FormatDamaged(f"the manifest's {name} is out of range")
    if manifest.encode() != data:
        raise FormatDamaged("the manifest is not in its canonical form")
    return manifest


def frame(kind: bytes, payload: bytes) -> bytes:
    """A frame."""
    return FRAME.pack(kind, len(payload)) + payload


def load(data: bytes, what: str) -> Any:
    """Decode CBOR that may be hostile.

    Raises:
        FormatDamaged: it is no CBOR, or not one item alone.
    """
    stream = io.BytesIO(data)
    try:
        found = cbor2.CBORDecoder(stream).decode()
    except Exception as error:  # a decoder of hostile bytes: whatever it trips over, they are damaged
        raise FormatDamaged(f"the {what} does not decode: {error}") from error
    if stream.tell() != len(data):
        raise FormatDamaged(f"the {what} has {len(data) - stream.tell()} bytes too many")
    return found


def chain_start(header: bytes) -> bytes:
    """The chain before the first block."""
    return hashlib.sha256(header).digest()


def chain_next(previous: bytes, number: int, payload: bytes) -> bytes:
    """The chain after block `number` (from 0)."""
    digest = hashlib.sha256(previous + struct.pack(">I", number))
    digest.update(payload)
    return digest.digest()


class SessionWriter:
    """Builds a session's bytes block by block; the caller keeps what it is given, in order."""

    def __init__(self, session: bytes, key: bytes, *, created: int) -> None:
        header = cbor2.dumps({"v": VERSION, "session": session, "created": created}, canonical=True)
        self.session = session
        self.header = frame(HEADER, header)
        self._header_hash = hashlib.sha256(header).digest()
        self._cipher = AESGCM(key)
        self.chain = chain_start(header)
        self.size = len(self.header)
        self.entries: list[BlockEntry] = []
        self.events = 0

    @classmethod
    def resumed(cls, key: bytes, header: bytes, blocks: Iterator[bytes]) -> "SessionWriter":
        """The writer as it was after these whole frames, so that it can go on.

        Raises:
            FormatDamaged: they are not what a writer made.
        """
        plain = load(header[FRAME.size :], "header")
        try:
            writer = cls(plain["session"], key, created=plain["created"])
        except (TypeError, KeyError) as error:
            raise FormatDamaged("the header lacks what version 1 has") from error
        if writer.header != header:
            raise FormatDamaged("the header is not in its canonical form")
        for block in blocks:
            writer._adopt(block)
        return writer

    def block(self, events: bytes | bytearray, count: int, first_at: int, last_at: int) -> bytes:
        """Seal concatenated events into a block; returns its frame.

        Raises:
            ValueError: the events are larger than a block may be, or the session has all the blocks it may.
        """
        number = len(self.entries)
        if len(events) > MAX_PLAIN or number >= MAX_BLOCKS:
            raise ValueError(f"block {number} of {len(events)} bytes is more than a recording can hold")
        head = BLOCK_HEAD.pack(secrets.token_bytes(12), count, first_at, last_at)
        level = _LEVEL if len(events) < _BULK else _BULK_LEVEL
        packed = zstandard.ZstdCompressor(level=level, write_content_size=True).compress(events)
        aad = _block_aad(self.session, number, self.chain, head)
        framed = frame(BLOCK, head + self._cipher.encrypt(head[:12], packed, aad))
        self._adopt(framed)
        return framed

    def finish(
        self,
        signing: Ed25519PrivateKey,
        *,
        totals: dict[str, int],
        outcome: str,
        markers: list[str],
        worker: bytes,
        opening: int,
        sealed: int,
    ) -> tuple[bytes, bytes]:
        """The frames behind the last block, and the session's root."""
        index = cbor2.dumps(
            [[e.offset, e.length, e.events, e.first_at, e.last_at, e.chain] for e in self.entries]
        )
        manifest = Manifest(
            session=self.session,
            header_hash=self._header_hash,
            blocks=len(self.entries),
            events=self.events,
            last_at=self.entries[-1].last_at if self.entries else 0,
            totals=totals,
            outcome=outcome,
            markers=markers,
            chain=self.chain,
            index_hash=hashlib.sha256(index).digest(),
            worker=worker,
            opening=opening,
            sealed=sealed,
        ).encode()
        signature = signing.sign(SIGNING_CONTEXT + manifest)
        ending = ENDING.pack(len(index), len(manifest), signature)
        tail = frame(INDEX, index) + frame(MANIFEST, manifest) + frame(SIGNATURE, ending)
        return tail, session_root(manifest)

    def _adopt(self, framed: bytes) -> None:
        payload = framed[FRAME.size :]
        _, count, first_at, last_at = BLOCK_HEAD.unpack_from(payload)
        self.chain = chain_next(self.chain, len(self.entries), payload)
        self.entries.append(BlockEntry(self.size, len(framed), count, first_at, last_at, self.chain))
        self.size += len(framed)
        self.events += count


def session_root(manifest: bytes) -> bytes:
    """What the ledger holds of a sealed session."""
    return hashlib.sha256(manifest).digest()


def open_block(
    session: bytes, key: bytes, number: int, previous: bytes, payload: bytes
) -> Iterator[list[Any]]:
    """The events of a block, `[kind, at, exchange, body]` each; `previous` is the chain before it.

    Raises:
        FormatDamaged: it is not that block of that session, or not under that key.
    """
    events = list(decode_events(block_plain(session, key, number, previous, payload)))
    if len(events) != BLOCK_HEAD.unpack_from(payload)[1]:
        raise FormatDamaged(f"block {number} has {len(events)} events, and says it has another number")
    yield from events


def block_plain(session: bytes, key: bytes, number: int, previous: bytes, payload: bytes) -> bytes:
    """A block's plaintext: its events one after another. Raises as `open_block` does."""
    if len(payload) < BLOCK_HEAD.size:
        raise FormatDamaged(f"block {number} is shorter than its own head")
    head = payload[: BLOCK_HEAD.size]
    try:
        aad = _block_aad(session, number, previous, head)
        packed = AESGCM(key).decrypt(head[:12], payload[BLOCK_HEAD.size :], aad)
    except InvalidTag as error:
        raise FormatDamaged(f"block {number} does not open under the session's key") from error
    try:
        # a frame that does not tell its size, or lies, could be a bomb
        if not 0 <= zstandard.frame_content_size(packed) <= MAX_PLAIN:
            raise FormatDamaged(f"block {number} does not say that it is at most {MAX_PLAIN} bytes")
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_PLAIN)
    except zstandard.ZstdError as error:
        raise FormatDamaged(f"block {number} does not decompress: {error}") from error


def first_event(plain: bytes) -> list[Any]:
    """The first of concatenated CBOR events, whatever follows it.

    Raises:
        FormatDamaged: there is none.
    """
    try:
        event = cbor2.CBORDecoder(io.BytesIO(plain)).decode()
    except Exception as error:  # a decoder of hostile bytes: whatever it trips over, they are damaged
        raise FormatDamaged(f"the first event does not decode: {error}") from error
    match event:
        case [int(), int(), int(), _]:
            return list(event)
        case _:
            raise FormatDamaged("the first event is not an array of kind, time, exchange and body")


def decode_events(plain: bytes) -> Iterator[list[Any]]:
    """Concatenated CBOR events.

    Raises:
        FormatDamaged: they are not.
    """
    try:
        # as one array of unknown length, much faster than item by item; its last item shows that an
        # unpaired end of array among the events did not end it early
        events = cbor2.loads(b"\x9f" + plain + _LAST_ITEM + b"\xff")
    except Exception as error:  # a decoder of hostile bytes: whatever it trips over, they are damaged
        raise FormatDamaged(f"an event does not decode: {error}") from error
    if not events or events.pop() is not None:
        raise FormatDamaged("the events end early")
    for event in events:
        match event:
            case [int(), int(), int(), _]:
                yield event
            case _:
                raise FormatDamaged("an event is not an array of kind, time, exchange and body")


def holds(signature: bytes, manifest: bytes, key: Ed25519PublicKey) -> bool:
    """Whether the signature over the manifest is that of `key`."""
    try:
        key.verify(signature, SIGNING_CONTEXT + manifest)
    except InvalidSignature:
        return False
    return True


def decode_ending(payload: bytes) -> tuple[int, int, bytes]:
    """The payload of S: the payload lengths of I and M, and the signature.

    Raises:
        FormatDamaged: it has another size.
    """
    if len(payload) != ENDING.size:
        raise FormatDamaged(f"the signature's frame has {len(payload)} bytes, not {ENDING.size}")
    index, manifest, signature = ENDING.unpack(payload)
    return index, manifest, signature


def decode_index(data: bytes) -> list[BlockEntry]:
    """The block index.

    Raises:
        FormatDamaged: it is none.
    """
    entries = []
    plain = load(data, "block index")
    for entry in plain if isinstance(plain, list) else [None]:
        match entry:
            case [int(), int(), int(), int(), int(), bytes(chain)] if len(chain) == HASH_BYTES:
                entries.append(BlockEntry(*entry))
            case _:
                raise FormatDamaged("the block index is not a list of blocks")
    return entries


def _block_aad(session: bytes, number: int, previous: bytes, head: bytes) -> bytes:
    return session + struct.pack(">I", number) + previous + head
