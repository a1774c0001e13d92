"""Sealed format, version 1: frames, blocks, the chain, and the manifest. No I/O.

A session is the frames H (header), B (a block) any number of times, I (block index), M (manifest) and S
(signature). A frame is a type byte, a 32-bit big-endian length and a payload. `docs/recording-format.md` is
the reference; golden files keep this module honest.
"""

import hashlib
import io
import secrets
import struct
from collections.abc import Iterator, Sequence
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
MAX_BLOCK = 16 * 1024 * 1024
MAX_PLAIN = 16 * 1024 * 1024
MAX_META = 64 * 1024 * 1024
SIGNING_CONTEXT = b"bodycam session v1\0"
KEY_BYTES = 32
_LEVEL = 3


class FormatDamaged(Exception):
    """The bytes are not a recording of this format; the text says where and what."""


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """A block in the index: where it is in the session's bytes, and what it covers."""

    offset: int
    length: int
    events: int
    first_at: int
    last_at: int


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
    if manifest.encode() != data:
        raise FormatDamaged("the manifest is not in its canonical form")
    return manifest


def frame(kind: bytes, payload: bytes) -> bytes:
    """A frame."""
    return FRAME.pack(kind, len(payload)) + payload


def load(data: bytes, what: str) -> Any:
    """Decode CBOR that may be hostile.

    Raises:
        FormatDamaged: it is no CBOR.
    """
    try:
        return cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise FormatDamaged(f"the {what} does not decode: {error}") from error


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

    def block(self, events: bytes, count: int, first_at: int, last_at: int) -> bytes:
        """Seal concatenated events into a block; returns its frame."""
        number = len(self.entries)
        head = BLOCK_HEAD.pack(secrets.token_bytes(12), count, first_at, last_at)
        packed = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(events)
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
        index = cbor2.dumps([[e.offset, e.length, e.events, e.first_at, e.last_at] for e in self.entries])
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
        tail = frame(INDEX, index) + frame(MANIFEST, manifest) + frame(SIGNATURE, signature)
        return tail, session_root(manifest)

    def _adopt(self, framed: bytes) -> None:
        payload = framed[FRAME.size :]
        _, count, first_at, last_at = BLOCK_HEAD.unpack_from(payload)
        self.chain = chain_next(self.chain, len(self.entries), payload)
        self.entries.append(BlockEntry(self.size, len(framed), count, first_at, last_at))
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
    if len(payload) < BLOCK_HEAD.size:
        raise FormatDamaged(f"block {number} is shorter than its own head")
    head = payload[: BLOCK_HEAD.size]
    try:
        aad = _block_aad(session, number, previous, head)
        packed = AESGCM(key).decrypt(head[:12], payload[BLOCK_HEAD.size :], aad)
    except InvalidTag as error:
        raise FormatDamaged(f"block {number} does not open under the session's key") from error
    try:
        if zstandard.frame_content_size(packed) > MAX_PLAIN:
            raise FormatDamaged(f"block {number} would be larger than {MAX_PLAIN} bytes")
        plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=MAX_PLAIN)
    except zstandard.ZstdError as error:
        raise FormatDamaged(f"block {number} does not decompress: {error}") from error
    yield from decode_events(plain)


def decode_events(plain: bytes) -> Iterator[list[Any]]:
    """Concatenated CBOR events.

    Raises:
        FormatDamaged: they are not.
    """
    stream = io.BytesIO(plain)
    decoder = cbor2.CBORDecoder(stream)
    size = len(plain)
    while stream.tell() < size:
        try:
            event = decoder.decode()
        except (cbor2.CBORDecodeError, ValueError, RecursionError) as error:
            raise FormatDamaged(f"an event does not decode: {error}") from error
        if not isinstance(event, list) or len(event) != 4:
            raise FormatDamaged("an event is not an array of four")
        yield event


def holds(signature: bytes, manifest: bytes, key: Ed25519PublicKey) -> bool:
    """Whether the signature over the manifest is that of `key`."""
    try:
        key.verify(signature, SIGNING_CONTEXT + manifest)
    except InvalidSignature:
        return False
    return True


def decode_index(data: bytes) -> Sequence[BlockEntry]:
    """The block index.

    Raises:
        FormatDamaged: it is none.
    """
    plain = load(data, "block index")
    try:
        return [BlockEntry(*(int(number) for number in entry)) for entry in plain]
    except (TypeError, ValueError) as error:
        raise FormatDamaged("the block index is not a list of five numbers each") from error


def _block_aad(session: bytes, number: int, previous: bytes, head: bytes) -> bytes:
    return session + struct.pack(">I", number) + previous + head
