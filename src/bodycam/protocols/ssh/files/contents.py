"""What moves of one file in one direction: what of it is recorded, and what is known of all of it at the end.

Client and target get what came, unchanged: a mask over a file would change its size and break what reads it.
So files that must not be seen are denied by a rule, and masks and redaction are for the record alone. There,
text waits for the end of its line, up to 64 KiB and as long as more of it comes, so that a secret that two
packets share is not kept in halves; its packets go on meanwhile.
"""

from enum import StrEnum
from typing import Final, final

from bodycam.model.media import Content, Media
from bodycam.net.digest import Digest
from bodycam.protocols.ssh.files.paths import shown
from bodycam.session.masks import BodyMasks
from bodycam.session.session import Exchange, Session

RECORDED_MOST: Final = 1 << 20
"""Bytes of one file that are recorded, where no setting says otherwise."""

WINDOW: Final = 8 << 20
"""Bytes of all files of a channel that wait for what stands before them, to be hashed in order."""

# what a piece takes beside its bytes
_PIECE: Final = 128
_MEDIA: Final = Media("", Content.TEXT, "")


class Way(StrEnum):
    """Where a file goes to, as its client sees it."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


@final
class Window:
    """How many bytes of a channel's files wait to be hashed."""

    __slots__ = ("held", "most")

    def __init__(self, most: int = WINDOW) -> None:
        self.most = most
        self.held = 0


@final
class Contents:
    """The content of one file, as it moves in one direction."""

    __slots__ = (
        "_at", "_beyond", "_cap", "_digest", "_exchange", "_kept", "_masks", "_next", "_ordered", "_path",
        "_seen", "_session", "_start", "_waiting", "_way", "_window", "moved",
    )  # fmt: skip

    def __init__(self, session: Session, exchange: Exchange, path: bytes, way: Way, window: Window) -> None:
        self._session, self._exchange, self._path, self._way = session, exchange, path, way
        masks = session.masks
        self._cap = RECORDED_MOST if masks is None else masks.body_size
        self._beyond = masks is not None and not masks.keeps_bodies
        self._masks: BodyMasks | None = None
        self._digest = Digest()
        self._window = window
        # pieces that came before what stands before them, by their offsets
        self._waiting: dict[int, bytes] = {}
        self._ordered = True
        self._start = self._next = self._at = -1
        self._kept = self.moved = self._seen = 0

    @property
    def lags(self) -> bool:
        """Whether something has gone on that is not recorded yet."""
        return self._masks is not None and self._masks.held > 0 and not self._beyond

    def settle(self) -> None:
        """Record what waits, if nothing has come since this was last called."""
        if self._seen == self.moved and self.lags:
            self._record(b"", self._rest())
            self._look()
        self._seen = self.moved

    def move(self, offset: int, data: bytes) -> None:
        """Record content that stands at this offset; after that it may go on."""
        if self._start < 0:
            self._begin(offset)
        elif offset != self._at and not self._beyond:
            self._record(b"", self._rest())
            self._look_anew(offset)
        self._at = offset + len(data)
        self.moved += len(data)
        self._record(data, self._shown(data))
        if self._ordered:
            self._hash(offset, data)

    def end(self) -> None:
        """It has ended: what is known of it is noted."""
        if self._start < 0:
            # nothing moved: an empty file
            self._begin(0)
        rest = self._rest()
        if rest:
            self._record(b"", rest)
        self._drop()
        said: dict[str, str | int] = {
            "path": self._session.redaction.redact(shown(self._path))[0],
            "direction": self._way.value,
            "size": self.moved,
        }
        if self._start:
            said["offset"] = self._start
        if self._ordered:
            said["sha256"] = self._digest.hexdigest()
        else:
            said["order"] = "not in order"
        if self._beyond and self.moved:
            whole = f"; SHA-256 of all: {self._digest.hexdigest()}" if self._ordered else ""
            self._exchange.truncated(f"{self._kept} of a file's {self.moved} bytes are recorded{whole}")
        self._exchange.note("file", **said)

    # -- what is recorded --------------------------------------------------------------------------

    def _begin(self, offset: int) -> None:
        self._start = self._next = self._at = offset
        self._look_anew(offset)

    def _look_anew(self, offset: int) -> None:
        if self._beyond:
            return
        if offset:
            self._exchange.note("at", offset=offset)
        self._look()

    def _look(self) -> None:
        masks, redaction = self._session.masks, self._session.redaction
        if self._way is Way.DOWNLOAD:
            self._masks = None if masks is None else masks.body(_MEDIA)
        else:
            self._masks = redaction.body(_MEDIA, () if masks is None else masks.paths, self._cap)

    def _record(self, data: bytes, recorded: bytes) -> None:
        if self._way is Way.UPLOAD:
            self._exchange.recorded_to_target(data, recorded=recorded)
        else:
            self._exchange.recorded_to_client(data, recorded=recorded)

    def _shown(self, data: bytes) -> bytes:
        """What of it is recorded now."""
        if self._beyond:
            return b""
        return self._capped(data if self._masks is None else self._masks.feed(data)[1])

    def _rest(self) -> bytes:
        """What waited to be recorded, and what was met in it."""
        masks = self._masks
        if masks is None:
            return b""
        rest = b"" if self._beyond else self._capped(masks.flush()[1])
        if self._way is Way.UPLOAD:
            self._exchange.sent(masks.sightings())
        else:
            self._exchange.met(masks.sightings())
        self._masks = None
        return rest

    def _capped(self, recorded: bytes) -> bytes:
        left = self._cap - self._kept
        if len(recorded) > left:
            recorded, self._beyond = recorded[:left], True
        self._kept += len(recorded)
        return recorded

    # -- what is known of all of it ----------------------------------------------------------------

    def _hash(self, offset: int, data: bytes) -> None:
        if offset != self._next:
            window = self._window
            size = len(data) + _PIECE
            if offset < self._next or offset in self._waiting or window.held + size > window.most:
                self._ordered = False
                self._drop()
                return
            window.held += size
            self._waiting[offset] = data
            return
        self._digest.update(data)
        self._next += len(data)
        while self._waiting and (waited := self._waiting.pop(self._next, None)) is not None:
            self._window.held -= len(waited) + _PIECE
            self._digest.update(waited)
            self._next += len(waited)

    def _drop(self) -> None:
        if self._waiting:
            self._window.held -= sum(len(data) + _PIECE for data in self._waiting.values())
            self._waiting.clear()
            self._ordered = False
