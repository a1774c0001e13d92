"""Verification, offline and without secrets: ledger, heads and recordings must tell one story.

Hashes cover ciphertext, so nothing is decrypted. Memory is bounded by one block, the ledger's sealed roots
and the footers. While an archivist goes on writing, what is newer than the newest head is left for next time.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive import merkle
from bodycam.archive.findings import Finding, Report, Verified
from bodycam.archive.format import v1
from bodycam.archive.format.container import (
    MAGIC,
    Place,
    SessionReader,
    footer,
    header_session,
    read_footer,
)
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.ledger import MAX_LEAF, Head, Leaf, LedgerDamaged, decode_head, read_frames
from bodycam.archive.store import Store, StoreUnavailable
from bodycam.model import ids

Progress = Callable[[int, int], None]
"""`(objects done, objects in all)`."""


@dataclass(slots=True)
class _Story:
    """What the ledger says."""

    opened: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    sealed: dict[bytes, bytes] = field(default_factory=dict)
    deleted: set[bytes] = field(default_factory=set)
    leaves: int = 0
    newest: Head | None = None


class Verifier:
    """One verification of one data folder."""

    def __init__(
        self, ledger: Path, store: Store, key: Ed25519PublicKey, *, pinned: bool, kept: Head | None = None
    ) -> None:
        self._ledger, self._store, self._key = ledger, store, key
        self._pinned, self._kept = pinned, kept
        self._findings: list[Finding] = []
        self._counts = {"sessions": 0, "containers": 0, "leaves": 0, "heads": 0, "bytes": 0}

    def run(self, progress: Progress | None = None) -> Report:
        """Read everything; never raises for what it finds."""
        # the objects first: one that is sealed meanwhile is then in the ledger, never the other way round
        names = self._names()
        story = self._story()
        seen = self._containers(names, story, progress)
        self._compare(story, seen)
        open_sessions = tuple(
            ids.session_id(session)
            for session in story.opened
            if session not in story.sealed and session not in story.deleted
        )
        if self._findings:
            state = Verified.BROKEN
        elif self._pinned and self._kept is not None:
            state = Verified.AUTHENTIC
        else:
            state = Verified.SELF_CONSISTENT
        fingerprint = hashlib.sha256(
            self._key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        ).hexdigest()
        head = None if story.newest is None else story.newest.to_plain()
        return Report(state, tuple(self._findings), self._counts, open_sessions, head, fingerprint)

    def _fault(self, where: str, what: str) -> None:
        self._findings.append(Finding(where, what))

    # -- the ledger ----------------------------------------------------------------------------------

    def _story(self) -> _Story:
        story = _Story()
        heads = self._heads(story)
        if story.newest is None:
            return story
        if self._kept is not None:
            self._check_kept(self._kept, story.newest, heads)
        entries = self._ledger / "entries"
        frontier = merkle.Frontier()
        numbers: dict[bytes, int] = {}
        try:
            with entries.open("rb") as stream:
                for offset, data in read_frames(stream, entries, MAX_LEAF):
                    if frontier.size >= story.newest.size:
                        break
                    frontier.add(merkle.leaf_hash(data))
                    self._leaf(f"{entries}: at offset {offset}", data, story, numbers)
                    expected = heads.get(frontier.size)
                    if expected is not None and expected != frontier.root:
                        self._fault(
                            f"{entries}: up to offset {offset + 4 + len(data)}",
                            f"the first {frontier.size} leaves do not have the root of their signed head",
                        )
                        break
        except LedgerDamaged as error:
            where, _, what = str(error).rpartition(": ")
            self._fault(where, what)
        except OSError as error:
            self._fault(str(entries), f"can't be read: {error.strerror}")
        if frontier.size < story.newest.size and not self._findings:
            self._fault(
                str(entries), f"ends after {frontier.size} leaves; a head was signed over {story.newest.size}"
            )
        story.leaves = self._counts["leaves"] = frontier.size
        return story

    def _heads(self, story: _Story) -> dict[int, bytes]:
        """The roots of all signed heads, by size."""
        file = self._ledger / "heads"
        roots: dict[int, bytes] = {}
        end = 0
        try:
            with file.open("rb") as stream:
                for offset, data in read_frames(stream, file, MAX_LEAF):
                    end = offset + 4 + len(data)
                    self._counts["heads"] += 1
                    where = f"{file}: at offset {offset}"
                    try:
                        head = decode_head(data)
                    except ValueError as error:
                        self._fault(where, str(error))
                        continue
                    if not head.holds(self._key):
                        self._fault(where, "a head that the key did not sign")
                        continue
                    if story.newest is not None and (
                        head.log != story.newest.log or head.size < story.newest.size
                    ):
                        self._fault(where, "a head of another log, or one that goes back")
                        continue
                    roots[head.size] = head.root
                    story.newest = head
            if not roots:
                self._fault(str(file), "holds no signed head")
            elif end != file.stat().st_size and not self._growing(file, end):
                self._fault(f"{file}: at offset {end}", "bytes that are no whole head")
        except LedgerDamaged as error:
            where, _, what = str(error).rpartition(": ")
            self._fault(where, what)
        except OSError as error:
            self._fault(str(file), f"can't be read: {error.strerror}")
        return roots

    @staticmethod
    def _growing(file: Path, end: int) -> bool:
        """Whether what follows the last whole head is one that is being written just now."""
        with file.open("rb") as stream:
            stream.seek(end)
            return next(read_frames(stream, file, MAX_LEAF), None) is not None

    def _check_kept(self, kept: Head, newest: Head, heads: dict[int, bytes]) -> None:
        where = "the head kept outside"
        if not kept.holds(self._key):
            self._fault(where, "is not signed by this key")
        elif kept.log != newest.log:
            self._fault(where, "is of another ledger")
        elif kept.size > newest.size:
            self._fault(
                str(self._ledger / "entries"),
                f"the ledger was cut: a head over {kept.size} leaves was kept, {newest.size} are left",
            )
        elif heads.setdefault(kept.size, kept.root) != kept.root:
            self._fault(where, f"has another root over {kept.size} leaves than this ledger")

    def _leaf(self, where: str, data: bytes, story: _Story, numbers: dict[bytes, int]) -> None:
        try:
            leaf = cbor2.loads(data)
            kind = Leaf(leaf[0])
            match kind:
                case Leaf.OPENED:
                    _, _, session, worker, number = leaf
                    if number != numbers.get(worker, 0) + 1:
                        self._fault(
                            where,
                            f"opening {number} of worker {worker.hex()} follows {numbers.get(worker, 0)}: "
                            "openings are missing or out of order",
                        )
                    numbers[worker] = number
                    if session in story.opened:
                        self._fault(where, f"session {ids.session_id(session)} is opened twice")
                    story.opened[session] = (worker, number)
                case Leaf.SEALED:
                    _, _, session, root = leaf
                    if session in story.sealed:
                        self._fault(where, f"session {ids.session_id(session)} is sealed twice")
                    story.sealed[session] = root
                case Leaf.DELETED:
                    story.deleted.add(leaf[2])
                case _:
                    pass
        except (cbor2.CBORDecodeError, ValueError, TypeError, IndexError, AttributeError) as error:
            self._fault(where, f"is no leaf: {error}")

    # -- the recordings ------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        try:
            return list(self._store.list())
        except (StoreUnavailable, OSError) as error:
            self._fault("the store", f"can't be listed: {error}")
            return []

    def _containers(
        self, names: list[str], story: _Story, progress: Progress | None
    ) -> dict[bytes, tuple[str, bytes]]:
        seen: dict[bytes, tuple[str, bytes]] = {}
        for done, name in enumerate(names):
            try:
                for session, root in self._container(name, story):
                    if session in seen:
                        self._fault(name, f"session {ids.session_id(session)} is in {seen[session][0]} too")
                    seen[session] = (name, root)
            except FormatDamaged as error:
                self._fault(f"recording {name}", str(error))
            except (StoreUnavailable, OSError) as error:
                self._fault(f"recording {name}", f"can't be read: {error}")
            if progress is not None:
                progress(done + 1, len(names))
        return seen

    def _container(self, name: str, story: _Story) -> Iterator[tuple[bytes, bytes]]:
        size = self._store.size(name)
        self._counts["containers"] += 1
        self._counts["bytes"] += size

        def read(offset: int, length: int) -> bytes:
            return self._store.get_range(name, offset, length)

        places, footer_at = read_footer(read, size)
        expected = len(MAGIC)
        if read(footer_at, size - footer_at) != footer(places):
            raise FormatDamaged(f"at offset {footer_at}: the footer is not in the form that was written")
        for place in places:
            if place.offset != expected:
                raise FormatDamaged(f"at offset {expected}: bytes that belong to no session")
            expected = place.offset + place.length
            self._counts["sessions"] += 1
            label = ids.session_id(place.session)
            try:
                root = self._session(read, place)
            except FormatDamaged as error:
                self._fault(f"recording {name}: session {label}", str(error))
                root = None
            if root is not None and root != place.root:
                self._fault(f"recording {name}: footer", f"names another root for session {label}")
            yield place.session, story.sealed.get(place.session, b"") if root is None else root
        if expected != footer_at:
            raise FormatDamaged(f"at offset {expected}: bytes that belong to no session")

    def _session(self, read: Callable[[int, int], bytes], place: Place) -> bytes:
        """Check one session's bytes against each other; returns its root."""
        frames = SessionReader(read, place.offset, place.length).frames()
        order = iter((v1.INDEX, v1.MANIFEST, v1.SIGNATURE))
        found: dict[bytes, bytes] = {}
        chain = header_hash = b""
        blocks = events = 0
        entries: list[v1.BlockEntry] = []
        for offset, kind, payload in frames:
            if not header_hash:
                if kind != v1.HEADER or header_session(payload) != place.session:
                    raise FormatDamaged(f"at offset {offset}: not the header of this session")
                header_hash = chain = v1.chain_start(payload)
            elif kind == v1.BLOCK and not found:
                if len(payload) < v1.BLOCK_HEAD.size:
                    raise FormatDamaged(f"at offset {offset}: block {blocks} is shorter than its own head")
                chain = v1.chain_next(chain, blocks, payload)
                _, count, first, last = v1.BLOCK_HEAD.unpack_from(payload)
                length = v1.FRAME.size + len(payload)
                entries.append(v1.BlockEntry(offset - place.offset, length, count, first, last, chain))
                blocks, events = blocks + 1, events + count
            elif kind == next(order, None):
                found[kind] = payload
            else:
                raise FormatDamaged(f"at offset {offset}: a frame of type {kind!r} out of place")
        if v1.SIGNATURE not in found:
            raise FormatDamaged("the session's end is missing")
        encoded = found[v1.MANIFEST]
        *lengths, signature = v1.decode_ending(found[v1.SIGNATURE])
        if lengths != [len(found[v1.INDEX]), len(encoded)]:
            raise FormatDamaged("the lengths beside the signature are not those of index and manifest")
        if not v1.holds(signature, encoded, self._key):
            raise FormatDamaged("the signature does not hold")
        manifest = v1.decode_manifest(encoded)
        for what, same in (
            ("session", manifest.session == place.session),
            ("header", manifest.header_hash == header_hash),
            ("chain of blocks", manifest.chain == chain),
            ("number of blocks", manifest.blocks == blocks),
            ("number of events", manifest.events == events),
            ("block index", manifest.index_hash == hashlib.sha256(found[v1.INDEX]).digest()),
            ("block index", list(v1.decode_index(found[v1.INDEX])) == entries),
        ):
            if not same:
                raise FormatDamaged(f"the {what} is not what was sealed")
        return v1.session_root(encoded)

    # -- together ------------------------------------------------------------------------------------

    def _compare(self, story: _Story, seen: dict[bytes, tuple[str, bytes]]) -> None:
        for session, root in story.sealed.items():
            label = f"session {ids.session_id(session)}"
            if session not in story.opened:
                self._fault(label, "is sealed in the ledger, and was never opened there")
            if session in seen:
                name, found = seen[session]
                if found != root:
                    self._fault(f"recording {name}: {label}", "has another root than the ledger")
            elif session not in story.deleted:
                self._fault(label, "is sealed in the ledger, and its recording is missing")
        for session, (name, _) in seen.items():
            if session not in story.sealed and not self._just_sealed(name):
                self._fault(
                    f"recording {name}: session {ids.session_id(session)}", "is not in the ledger as sealed"
                )

    def _just_sealed(self, name: str) -> bool:
        """Whether the archivist is about to put this very container into the ledger."""
        intent = self._ledger.parent / "staging" / "intent"
        try:
            return bool(cbor2.loads(intent.read_bytes()) == name)
        except (OSError, cbor2.CBORDecodeError):
            return False
