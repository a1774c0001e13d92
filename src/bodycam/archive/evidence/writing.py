"""Writes a bundle as a stream, one member after another, signed at its end by the archivist's key."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives import serialization

from bodycam.archive.containercheck import windowed
from bodycam.archive.deletions import Deletion
from bodycam.archive.evidence import bundle, dsse, statement
from bodycam.archive.evidence.cover import Cover
from bodycam.archive.evidence.gathering import run_text
from bodycam.archive.evidence.pages import Pages
from bodycam.archive.evidence.preparing import (
    EvidenceRefused,
    Prepared,
    Sources,
    prepare,
    spooled,
    spooled_lines,
)
from bodycam.archive.evidence.sheet import Sheet, line
from bodycam.archive.format import v1
from bodycam.archive.format.container import Place, SessionReader
from bodycam.archive.keystore import KeyGone
from bodycam.archive.store import ObjectMissing, StoreUnavailable
from bodycam.model import ids

PIECE = 256 * 1024
"""Bytes of a piece of the stream, at most."""


def evidence(sources: Sources, run: str, kept: Sequence[int]) -> tuple[int, Iterator[bytes]]:
    """How many sessions the bundle of a run will tell of, and the bundle, in pieces.

    `kept` are sizes of heads that were kept outside, from which the bundle is to prove that the ledger only
    grew. Memory is bounded by a page and a block, whatever the run's size; leaving the iterator ends it.

    Raises:
        EvidenceRefused: there is none, or (in the midst) it became too large for one bundle.
        StoreUnavailable, OSError: in the midst: a recording can't be read, or there is no room.
    """
    prepared = prepare(sources, run, kept)
    return len(prepared.section.opened), _pieces(_Writer(sources, prepared).members(), prepared)


def _pieces(parts: Iterator[bytes], prepared: Prepared) -> Iterator[bytes]:
    """The same bytes, neither in crumbs nor in large lumps."""
    waiting = bytearray()
    try:
        for part in parts:
            waiting += part
            while len(waiting) >= PIECE:
                yield bytes(waiting[:PIECE])
                del waiting[:PIECE]
        yield bytes(waiting)
    finally:
        prepared.close()


class _Writer:
    def __init__(self, sources: Sources, prepared: Prepared) -> None:
        self._sources, self._prepared = sources, prepared
        self._named: list[tuple[str, str]] = []
        self._lines, self._keys = sources.spool(), sources.spool()
        self._cover = Cover()

    def members(self) -> Iterator[bytes]:
        """All of the bundle."""
        try:
            yield from self._put(bundle.MAGIC_NAME, len(bundle.MAGIC), [bundle.MAGIC])
            for session in self._prepared.order:
                yield from self._session(session)
            for stranger in self._prepared.unattributed:
                self._tell(
                    {"session": stranger, "state": "unattributed", "what": "of which run is not known"}
                )
            yield from self._rest()
        finally:
            self._lines.close()
            self._keys.close()

    def _put(self, name: str, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """A member, whose hash is noted for the manifest."""
        if len(self._named) >= bundle.MOST_MEMBERS - len(bundle.FIXED):
            raise EvidenceRefused("too-large", f"a bundle has at most {bundle.MOST_MEMBERS} members")
        digest, left = hashlib.sha256(), size
        yield bundle.header(name, size)
        for piece in pieces:
            digest.update(piece)
            left -= len(piece)
            yield piece
        if left:
            raise StoreUnavailable(f"{name} has not the {size} bytes that it should")
        yield bundle.padding(size)
        self._named.append((name, digest.hexdigest()))

    def _whole(self, name: str, content: bytes) -> Iterator[bytes]:
        yield from self._put(name, len(content), [content])

    def _tell(self, told: dict[str, Any]) -> None:
        self._lines.write(line(told))
        self._cover.session(told)

    # -- sessions ----------------------------------------------------------------------------------------

    def _session(self, session: bytes) -> Iterator[bytes]:
        section, record = self._prepared.section, self._prepared.found.sessions.get(session)
        told: dict[str, Any] = {"session": ids.session_id(session)}
        if record is not None:
            told |= {"opened": record.opened, "target": record.target, "agent": record.agent}
        if session in section.deleted:
            self._tell(told | self._deletion(session))
        elif session not in section.sealed:
            self._tell(told | {"state": "open", "what": "was not sealed when the bundle was made"})
        else:
            try:
                name, place, manifest = self._found(session)
                key = self._sources.keystore.get(session)
            except (v1.FormatDamaged, ObjectMissing, KeyGone, LookupError) as error:
                self._tell(told | {"state": "unreadable", "what": f"can't be read: {error.args[0]}"})
                return
            yield from self._sealed(told, name, place, manifest, key)

    def _deletion(self, session: bytes) -> dict[str, Any]:
        deleted, digest = self._prepared.section.deleted[session]
        told: dict[str, Any] = {"state": "deleted", "deleted": deleted}
        fitting = (one for one in self._prepared.found.deleted.get(session, ()) if one.digest == digest)
        one: Deletion | None = next(fitting, None)
        if one is None:
            return told | {"what": "deleted, by a rule that nothing tells any more"}
        said = {"actor": one.actor, "rule": one.rule, "salt": one.salt.hex(), "detail": one.detail}
        return told | said | {"what": f"deleted by the retention rule {one.rule}"}

    def _found(self, session: bytes) -> tuple[str, Place, v1.Manifest]:
        """Where a recording is, and what it says of itself.

        Raises:
            FormatDamaged, ObjectMissing, LookupError: it is not there, or is another.
        """
        recent = self._sources.archivist.recent(session)
        if recent is not None:
            name, place = recent
        else:
            record = self._prepared.found.sessions.get(session)
            known = None if record is None else record.place
            if known is None:
                raise LookupError("the index does not know where it is")
            name, place = known.object, Place(session, known.offset, known.length, known.root)
        manifest = self._reader(name, place).manifest()
        if v1.session_root(manifest.encode()) != self._prepared.section.sealed[session]:
            raise v1.FormatDamaged("what is there is not what was sealed")
        return name, place, manifest

    def _reader(self, name: str, place: Place) -> SessionReader:
        end = place.offset + place.length
        return SessionReader(windowed(self._sources.store, name, end), place.offset, place.length)

    def _sealed(
        self, told: dict[str, Any], name: str, place: Place, manifest: v1.Manifest, key: bytes
    ) -> Iterator[bytes]:
        session = told["session"]
        yield from self._put(bundle.recording_name(session), place.length, self._bytes(name, place))
        pages, sheet, number = Pages(session, self._sources.transcripts), Sheet(), 0
        try:
            for event in self._reader(name, place).events(key):
                sheet.feed(event)
                for page in pages.feed(event):
                    number += 1
                    yield from self._whole(bundle.page_name(session, number), page)
        except v1.FormatDamaged as error:
            # the recording goes with the bundle as it is, and verification names the place
            told["what"] = f"damaged: {error}"
        yield from self._whole(bundle.page_name(session, number + 1), pages.finish())
        root = self._prepared.section.sealed[place.session]
        yield from self._whole(bundle.sheet_name(session), sheet.encode(manifest, root))
        self._keys.write(line({"session": session, "key": key.hex()}))
        self._tell({"what": manifest.outcome} | told | {"state": "sealed", "root": root.hex()})

    def _bytes(self, name: str, place: Place) -> Iterator[bytes]:
        done = 0
        while done < place.length:
            size = min(PIECE, place.length - done)
            piece = self._sources.store.get_range(name, place.offset + done, size)
            if not piece:
                return
            done += len(piece)
            yield piece

    # -- what is of the run as a whole -------------------------------------------------------------------

    def _rest(self) -> Iterator[bytes]:
        prepared = self._prepared
        run, made = run_text(prepared.found), time.time_ns() // 1_000_000
        for approval in spooled_lines(prepared.approvals):
            self._cover.approval(approval)
        for act in spooled_lines(prepared.trail):
            self._cover.act(act)
        yield from self._whole(bundle.RUN, line(run))
        size, lines = spooled(self._lines)
        if size > bundle.MOST_META:
            raise EvidenceRefused("too-large", "a bundle can't tell of so many sessions")
        yield from self._put(bundle.SESSIONS, size, lines)
        yield from self._put(bundle.APPROVALS, *spooled(prepared.approvals))
        yield from self._put(bundle.TRAIL, *spooled(prepared.trail))
        yield from self._ledger()
        yield from self._put(bundle.KEYS, *spooled(self._keys))
        public = prepared.signing.public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        yield from self._whole(bundle.SIGNING, pem)
        yield from self._whole(bundle.COVER, self._cover.page(run, made, self._sources.version))
        predicate = {
            "run": run["id"],
            "made": made,
            "version": self._sources.version,
            "log": prepared.head.log.hex(),
            "size": prepared.head.size,
        }
        payload = statement.encode(self._named, predicate)
        if len(payload) > bundle.MOST_META // 2:
            raise EvidenceRefused("too-large", "the bundle's manifest is larger than it may be")
        yield bundle.whole(bundle.MANIFEST, dsse.signed(dsse.IN_TOTO, payload, prepared.signing))
        yield bundle.END

    def _ledger(self) -> Iterator[bytes]:
        section, head = self._prepared.section, self._prepared.head
        size = section.last - section.first
        yield from self._put(bundle.SECTION, size, self._entries(section.first, size))
        with self._sources.spool() as later:
            for index, data in sorted(section.later.items()):
                with self._sources.archivist.lock:
                    proof = self._sources.archivist.ledger.inclusion(index, head.size)
                later.write(line({"index": index, "leaf": data.hex(), "proof": _hex(proof)}))
            yield from self._put(bundle.LEAVES, *spooled(later))
        ledger = self._sources.archivist.ledger
        with self._sources.archivist.lock:
            proofs = {
                "head": head.to_plain(),
                "begin": section.begin,
                "end": section.end,
                "before": _hex(ledger.peaks(section.begin)),
                "after": _hex(ledger.consistency(section.end, head.size)) if section.end else [],
                "kept": [
                    {"size": one, "proof": _hex(ledger.consistency(one, head.size))}
                    for one in self._prepared.kept
                ],
            }
        yield from self._whole(bundle.PROOFS, json.dumps(proofs, indent=1, sort_keys=True).encode() + b"\n")

    def _entries(self, begin: int, size: int) -> Iterator[bytes]:
        with self._sources.entries.open("rb") as stream:
            stream.seek(begin)
            while size and (piece := stream.read(min(size, PIECE))):
                size -= len(piece)
                yield piece


def _hex(hashes: Iterable[bytes]) -> list[str]:
    return [one.hex() for one in hashes]
