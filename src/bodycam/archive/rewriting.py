"""One session's recording made anew without a value, under another key and with the same totals."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive.format import v1
from bodycam.archive.format.container import MAGIC, Place, Read, SessionReader, footer, header_session
from bodycam.archive.leaked import Finder
from bodycam.model.event import Kind

_PIECE = 1 << 20


@dataclass(slots=True)
class Rewritten:
    """A whole container of one session, in a file without a name."""

    stream: IO[bytes]
    place: Place
    key: bytes
    count: int

    def parts(self) -> Iterator[bytes]:
        """The container's bytes."""
        self.stream.seek(0)
        while piece := self.stream.read(_PIECE):
            yield piece


def look(read: Read, place: Place, key: bytes, wanted: tuple[bytes, ...]) -> Finder:
    """Go through a session's events for a value.

    Raises:
        FormatDamaged: it can't be read to its end.
    """
    finder = Finder(wanted)
    for number, event in enumerate(SessionReader(read, place.offset, place.length).events(key)):
        finder.take(number, event)
    return finder


def rewrite(
    read: Read,
    place: Place,
    key: bytes,
    finder: Finder,
    note: dict[str, Any],
    signing: Ed25519PrivateKey,
    folder: Path,
) -> Rewritten:
    """The recording as it is to be. Block by block as it was, with a note before its last event.

    Raises:
        FormatDamaged: it can't be read.
        OSError: there is no room in `folder`.
    """
    reader = SessionReader(read, place.offset, place.length)
    manifest, fresh = reader.manifest(), os.urandom(v1.KEY_BYTES)
    stream = TemporaryFile(dir=folder)  # noqa: SIM115  (whoever gets it closes it)
    try:
        stream.write(MAGIC)
        writer, session, chain, number, taken = None, b"", b"", 0, 0
        for _, kind, payload in reader.frames():
            if kind == v1.HEADER:
                session, chain = header_session(payload), v1.chain_start(payload)
                writer = v1.SessionWriter(session, fresh, created=v1.load(payload, "header")["created"])
                stream.write(writer.header)
            elif kind == v1.BLOCK and writer is not None:
                plain = v1.block_plain(session, key, number, chain, payload)
                _, _, first, last = v1.BLOCK_HEAD.unpack_from(payload)
                events = [finder.cleaned(taken + at, one) for at, one in enumerate(v1.decode_events(plain))]
                taken += len(events)
                if number == manifest.blocks - 1:
                    events.insert(len(events) - 1, [int(Kind.NOTE), events[-1][1], 0, note])
                    first = min(first, events[0][1])
                stream.write(writer.block(b"".join(map(cbor2.dumps, events)), len(events), first, last))
                chain, number = v1.chain_next(chain, number, payload), number + 1
        if writer is None:
            raise v1.FormatDamaged("it has no header")
        tail, root = writer.finish(
            signing,
            totals=manifest.totals,
            outcome=manifest.outcome,
            markers=manifest.markers,
            worker=manifest.worker,
            opening=manifest.opening,
            sealed=manifest.sealed,
        )
        length = writer.size + len(tail)
        made = Place(session, len(MAGIC), length, root)
        stream.write(tail + footer([made]))
    except BaseException:
        stream.close()
        raise
    return Rewritten(stream, made, fresh, finder.count)
