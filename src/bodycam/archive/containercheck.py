"""Verification of one container: each byte belongs to a session, each session is as it was sealed.

Hashes cover ciphertext, so nothing is decrypted; memory holds one block and the block index.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cbor2

from bodycam.archive.findings import Findings
from bodycam.archive.format import v1
from bodycam.archive.format.container import MAGIC, Place, Read, SessionReader, header_session, read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.store import Store
from bodycam.archive.story import Seen
from bodycam.model import ids
from bodycam.model.event import Marker

WINDOW = 1 << 20
MARKERS = (Marker.LOST_TAIL.value, Marker.TRUNCATED.value)
"""What a sealed recording says of itself and people have to hear: something of it is not there."""

_ARRAY_HEAD = 9  # the most bytes that the head of a CBOR array has

Signed = Callable[[bytes, bytes], bool]
"""`(signature, manifest)` -> whether it holds."""

Replaced = Callable[[bytes, bytes], bool]
"""`(session, root)` -> whether it took another recording's place, of whose chain the ledger was told."""

Chain = Callable[[bytes], dict[int, bytes]]
"""The heads of a session's chain that the ledger holds, by number of blocks."""


def windowed(store: Store, name: str, size: int) -> Read:
    """Reads of an object, of which many small ones in order are one read of the store."""
    begin, window = 0, b""

    def read(offset: int, length: int) -> bytes:
        nonlocal begin, window
        if not begin <= offset <= offset + length <= begin + len(window):
            length = max(0, min(length, size - offset))
            if length > WINDOW:
                return store.get_range(name, offset, length)
            begin, window = offset, store.get_range(name, offset, WINDOW)
        return window[offset - begin : offset - begin + length]

    return read


@dataclass(slots=True)
class _Scan:
    """A session's frames as they were found, with the offsets of those that a finding may have to name."""

    session: bytes = b""
    header_hash: bytes = b""
    chain: bytes = b""
    blocks: int = 0
    events: int = 0
    rows: bytearray = field(default_factory=bytearray)  # what the block index has to be made of
    frames: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    end: int = 0


class ContainerCheck:
    """Checks containers; `signed` says whether a manifest's signature is that of one of the ledger's keys."""

    def __init__(
        self, store: Store, signed: Signed, chain: Chain, replaced: Replaced, findings: Findings
    ) -> None:
        self._store, self._signed, self._chain, self._findings = store, signed, chain, findings
        self._replaced = replaced

    def sessions(self, name: str, size: int) -> Iterator[Seen]:
        """The sessions of a container, each checked.

        Raises:
            StoreUnavailable: it can't be read.
        """
        read = windowed(self._store, name, size)
        try:
            places, footer_at = read_footer(read, size)
        except FormatDamaged as error:
            self._findings.add(f"recording {name}", str(error))
            yield from self._without_footer(name, read, size)
            return
        expected = len(MAGIC)
        if not places:
            self._findings.add(f"recording {name}", "holds no session")
        for place in places:
            if place.offset != expected or place.offset + place.length > footer_at:
                self._findings.add(
                    f"recording {name}", f"at offset {footer_at}: the footer does not fit the sessions"
                )
                yield from self._without_footer(name, read, footer_at)
                return
            expected += place.length
            yield self._session(name, read, place)
        if expected != footer_at:
            self._findings.add(f"recording {name}", f"at offset {expected}: bytes that belong to no session")

    def _without_footer(self, name: str, read: Read, end: int) -> Iterator[Seen]:
        """Sessions one after another, as far as they can be followed."""
        position = len(MAGIC)
        while position < end:
            try:
                scan = _scan(read, position, end - position)
                root = _root(scan, self._signed, self._chain(scan.session), self._replaced)
            except FormatDamaged as error:
                self._findings.add(f"recording {name}", str(error))
                return  # where the next session begins is not known
            yield self._seen(name, scan.session, root)
            position = scan.end

    def _session(self, name: str, read: Read, place: Place) -> Seen:
        label = f"recording {name}: session {ids.session_id(place.session)}"
        try:
            scan = _scan(read, place.offset, place.length)
            if scan.session != place.session:
                raise FormatDamaged(f"at offset {place.offset}: the header names another session")
            if scan.end != place.offset + place.length:
                raise FormatDamaged(f"at offset {scan.end}: bytes that belong to no session")
            manifest = _root(scan, self._signed, self._chain(scan.session), self._replaced)
        except FormatDamaged as error:
            self._findings.add(label, str(error))
            return Seen(place.session, name)
        seen = self._seen(name, place.session, manifest)
        if seen.root != place.root:
            self._findings.add(label, "has another root in the container's footer")
        return seen

    def _seen(self, name: str, session: bytes, encoded: bytes) -> Seen:
        manifest = v1.decode_manifest(encoded)
        told = tuple(marker for marker in MARKERS if marker in manifest.markers)
        return Seen(session, name, v1.session_root(encoded), manifest.worker, manifest.opening, told)


def sealed_bytes(
    read: Read, begin: int, length: int, signed: Signed, chain: dict[int, bytes], replaced: Replaced
) -> tuple[bytes, bytes]:
    """The id of the session that these bytes are, and its manifest, once all is as it was sealed.

    `chain` are heads of its chain that the ledger holds, by number of blocks.

    Raises:
        FormatDamaged: naming the place that is not.
    """
    scan = _scan(read, begin, length)
    if scan.end != begin + length:
        raise FormatDamaged(f"at offset {scan.end}: bytes that belong to no session")
    return scan.session, _root(scan, signed, chain, replaced)


def _scan(read: Read, begin: int, length: int) -> _Scan:
    """Read a session's frames, hashing blocks as they go by.

    Raises:
        FormatDamaged: naming the offset at which they make no sense.
    """
    scan = _Scan()
    for offset, kind, payload in SessionReader(read, begin, length).frames():
        if kind == v1.HEADER:
            try:
                scan.session = header_session(payload)
            except FormatDamaged as error:
                raise FormatDamaged(f"at offset {offset}: {error}") from error
            scan.header_hash = scan.chain = v1.chain_start(payload)
            scan.frames[kind] = offset, b""
        elif kind == v1.BLOCK:
            if len(payload) < v1.BLOCK_HEAD.size:
                raise FormatDamaged(f"at offset {offset}: block {scan.blocks} is shorter than its own head")
            scan.chain = v1.chain_next(scan.chain, scan.blocks, payload)
            _, count, first, last = v1.BLOCK_HEAD.unpack_from(payload)
            extent = v1.FRAME.size + len(payload)
            scan.rows += cbor2.dumps([offset - begin, extent, count, first, last, scan.chain])
            scan.blocks, scan.events = scan.blocks + 1, scan.events + count
        else:
            scan.frames[kind] = offset, payload
            scan.end = offset + v1.FRAME.size + len(payload)
    return scan


def _root(scan: _Scan, signed: Signed, chain: dict[int, bytes], replaced: Replaced) -> bytes:
    """The bytes of the manifest, once all of the session is known to be as it says.

    Raises:
        FormatDamaged: naming the frame that is not what was sealed.
    """
    (index_at, index), (at, encoded) = scan.frames[v1.INDEX], scan.frames[v1.MANIFEST]
    ending_at, ending = scan.frames[v1.SIGNATURE]
    index_length, manifest_length, signature = v1.decode_ending(ending)
    if (index_length, manifest_length) != (len(index), len(encoded)):
        raise FormatDamaged(f"at offset {ending_at}: not the lengths of index and manifest")
    if not signed(signature, encoded):
        raise FormatDamaged(f"at offset {at}: the signature over the manifest does not hold")
    try:
        manifest = v1.decode_manifest(encoded)
    except FormatDamaged as error:
        raise FormatDamaged(f"at offset {at}: {error}") from error
    if manifest.session != scan.session or manifest.header_hash != scan.header_hash:
        raise FormatDamaged(f"at offset {scan.frames[v1.HEADER][0]}: the header is not what was sealed")
    if manifest.index_hash != hashlib.sha256(index).digest():
        raise FormatDamaged(f"at offset {index_at}: the block index is not what was sealed")
    if (manifest.chain, manifest.blocks, manifest.events) != (scan.chain, scan.blocks, scan.events):
        raise FormatDamaged(_first_difference(scan, index))
    if not index.endswith(scan.rows) or len(index) - len(scan.rows) > _ARRAY_HEAD:
        raise FormatDamaged(f"at offset {index_at}: the block index does not fit the blocks")
    if chain and not replaced(manifest.session, v1.session_root(encoded)):
        _check_heads(index, chain)
    return encoded


def _first_difference(scan: _Scan, index: bytes) -> str:
    """Name the first block that is not what the index, which was sealed, says."""
    begin = scan.frames[v1.HEADER][0]
    sealed = v1.decode_index(index)
    found = v1.decode_index(b"\x9b" + scan.blocks.to_bytes(8, "big") + bytes(scan.rows))
    for number, entry in enumerate(sealed):
        if number >= len(found) or found[number] != entry:
            return f"at offset {begin + entry.offset}: block {number} is not what was sealed"
    return f"the session has {scan.blocks} blocks, and {len(sealed)} were sealed"


def _check_heads(index: bytes, chain: dict[int, bytes]) -> None:
    """While the session was open, the ledger was told of its chain: it has to have been this one."""
    entries = v1.decode_index(index)
    for blocks, head in sorted(chain.items()):
        if not 0 < blocks <= len(entries) or entries[blocks - 1].chain != head:
            raise FormatDamaged(f"the first {blocks} blocks are not those that the ledger was told of")
