"""The response of one stream on its way to the client: looked into, recorded, and otherwise as it came."""

from collections.abc import Sequence
from typing import Final, final
from urllib.parse import unquote

from bodycam.model.event import Outcome
from bodycam.model.media import Content as Looks
from bodycam.model.media import media
from bodycam.protocols.http.capture import BodyTap, received
from bodycam.protocols.http.content import Content, Unshowable
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.forwarding import hidden
from bodycam.protocols.http.h2 import heads
from bodycam.protocols.http.h2.outflow import Outflow
from bodycam.protocols.http.head import Field, Fields, ResponseHead
from bodycam.protocols.http.injected import Injected
from bodycam.protocols.http.response import (
    DETOURS,
    HELD_MOST,
    INJECTED,
    INTERIM_MOST,
    OF_CONTENT,
    UNREADABLE,
)
from bodycam.protocols.http.trailing import note_trailers
from bodycam.protocols.http.trip import Trip
from bodycam.session.session import Exchange, Session

_EMPTY: Final = frozenset((204, 304))
_GOOD: Final = ("", "0")


@final
class Reply:
    """Interim heads, the final one, the body and what is behind it.

    `begun` is whether anything of the final response has been let go, `done` whether all of it has come.
    """

    __slots__ = (
        "_bare", "_content", "_deltas", "_exchange", "_failed", "_held", "_hiding", "_injected", "_interim",
        "_left", "_met", "_method", "_out", "_session", "_tap", "begun", "done", "head",
    )  # fmt: skip

    def __init__(
        self, session: Session, exchange: Exchange, trip: Trip, out: Outflow, injected: Injected | None
    ) -> None:
        """`injected` are credentials of the gateway's in the request, which the answer must not show."""
        self._session, self._exchange, self._method, self._out = session, exchange, trip.method, out
        # how the events of an answer are put together, where the request speaks a model's dialect
        self._deltas = None if trip.dialect is None else trip.dialect.deltas
        self._injected, self._hiding = injected, None if injected is None else injected.stream()
        self._met, self._interim = False, 0
        self.head: ResponseHead | None = None
        self._tap: BodyTap | None = None
        self._content: Content | None = None
        self._held: list[bytes] | None = None
        self._left: int | None = None  # of a body whose length was said
        self._bare = False
        self._failed: dict[str, str] | None = None
        self.begun = self.done = False

    @property
    def status(self) -> int:
        """The final status; 0 before it has come."""
        return 0 if self.head is None else self.head.status

    @property
    def held(self) -> int:
        """Bytes that are held back until more comes, or it has lasted too long."""
        return 0 if self._tap is None or self._held is not None else self._tap.held

    @property
    def keeps(self) -> int:
        """Bytes that are kept here, for whatever reason."""
        if self._held is not None:
            return sum(map(len, self._held))
        return 0 if self._tap is None else self._tap.held

    def interim(self, head: ResponseHead) -> None:
        """A head before the final one.

        Raises:
            BadMessage: there were too many.
        """
        self._interim += 1
        if self._interim > INTERIM_MOST:
            raise BadMessage(f"the target sent more than {INTERIM_MOST} interim responses", 502)
        head = self._hidden(head)
        listed = [one for one in head.fields.listed if one[0] not in DETOURS]
        self._out.head(heads.answered(head.status, listed), self._recorded(head), end=False)

    def begin(self, head: ResponseHead, *, ended: bool) -> None:
        """The final head; `ended` says that it is all.

        Raises:
            BadMessage: its body can't be what it says.
            Unshowable: it can't be looked into, and has to be.
        """
        if self.head is not None:
            raise BadMessage("a second response", 502)
        head = self.head = self._hidden(head)
        self._bare = self._method == "HEAD" or head.status in _EMPTY
        self._left = None if self._bare else heads.length_of(head.fields)
        if ended:
            if self._left:
                raise BadMessage(f"{self._left} bytes of the body are missing", 502)
            self._let_head_go(head, frozenset(DETOURS), end=True)
            self.done = True
            return
        if self._bare:
            self._let_head_go(head, frozenset(DETOURS), end=False)
            return
        tap = self._look(head)
        if not tap.looks:
            self._let_head_go(head, frozenset(DETOURS), end=False)
        elif self._left is not None and self._left <= HELD_MOST:
            # as long as it is now, it can keep its length
            self._held = []
        else:
            self._let_head_go(head, OF_CONTENT, end=False)

    def data(self, raw: bytes) -> None:
        """A piece of the body.

        Raises:
            BadMessage: it is longer than it said.
            Unshowable: it can't be looked into, and has to be.
        """
        if self._left is not None:
            self._left -= len(raw)
        if self.head is None or (self._left or 0) < 0 or (self._bare and raw):
            raise BadMessage("the body is longer than it may be", 502)
        if self._held is not None:
            self._held.append(raw)
        elif self._tap is not None and raw:
            self._feed(self._tap, raw)

    def end(self, trailers: Sequence[Field] = ()) -> None:
        """All has come.

        Raises:
            BadMessage: some is missing.
            Unshowable: it can't be looked into, and has to be.
        """
        if self.head is None or self._left:
            raise BadMessage(f"{self._left or 'all'} bytes of the body are missing", 502)
        if self._held is not None:
            self._let_go(self.head)
        elif self._tap is not None:
            assert self._content is not None
            self._content.end()
            self._unshowable()
            self._out.put(*self._tap.end())
        if trailers:
            trailers = self._without_ours(trailers)
            self._trailing(trailers)
        self._out.end(trailers)
        self.done = True

    def release_held(self) -> None:
        """What is held back has waited long enough."""
        if self._tap is not None and self._held is None:
            self._out.put(*self._tap.release_held())

    def record_end(self, broken: str = "") -> None:
        """Record how it ended: `broken` says why not in order."""
        tap, exchange, status = self._tap, self._exchange, self.status
        if tap is not None:
            unread = "" if self._content is None else self._content.unread
            if left_out := "; ".join(filter(None, (unread, tap.left_out()))):
                exchange.truncated(left_out)
            exchange.met(tap.sightings())
        if self._met or (self._hiding is not None and self._hiding.found):
            exchange.note("masked", detector=INJECTED, count=1)
        tag = str(status) if status else None
        if broken:
            exchange.finish(Outcome.ERROR, tag, {"code": "502", "message": broken})
        elif self._failed is not None:
            exchange.finish(Outcome.ERROR, tag, self._failed)
        elif status < 400:
            exchange.finish(Outcome.OK, tag)
        else:
            exchange.finish(Outcome.ERROR, tag, {"code": str(status), "message": ""})

    # -- the body --------------------------------------------------------------------------------------

    def _look(self, head: ResponseHead) -> BodyTap:
        content = self._content = Content(head.fields)
        kind = media(head.fields.get(b"content-type").decode("latin-1"))
        tap = received(kind, self._session.masks, self._session.redaction, self._deltas)
        if content.unread:
            if (tap.may_change and kind.content is not Looks.BINARY) or self._injected is not None:
                raise Unshowable(_unshowable(content))
            tap = received(media(UNREADABLE), self._session.masks, self._session.redaction)
        if self._hiding is not None:
            tap.hide(self._hiding)
        self._tap = tap
        return tap

    def _feed(self, tap: BodyTap, raw: bytes) -> None:
        content = self._content
        assert content is not None
        if not tap.looks:
            if content.coded:
                kept = b"".join([tap.feed(piece)[1] for piece in content.feed(raw)])
            else:
                kept = tap.feed(raw)[1]
            self._out.put(raw, kept)
            return
        for piece in content.feed(raw):
            self._out.put(*tap.feed(piece))
        self._unshowable()

    def _let_go(self, head: ResponseHead) -> None:
        """All of it is here: as it came where nothing changed, else with its own length."""
        tap, content, held = self._tap, self._content, self._held
        assert tap is not None
        assert content is not None
        assert held is not None
        raw, self._held = b"".join(held), None
        plain = raw if not content.coded else b"".join(content.feed(raw))
        content.end()
        self._unshowable()
        shown, kept = tap.whole(plain)
        if not tap.changed:
            self._let_head_go(head, frozenset(DETOURS), end=False)
            self._out.put(raw, kept)
            return
        self._let_head_go(head, OF_CONTENT, end=False, length=len(shown))
        self._out.put(shown, kept)

    def _unshowable(self) -> None:
        content, tap = self._content, self._tap
        if content is not None and content.unread and tap is not None and tap.looks:
            raise Unshowable(_unshowable(content))

    def _hidden(self, head: ResponseHead) -> ResponseHead:
        if self._injected is None:
            return head
        listed = self._without_ours(head.fields.listed)
        return ResponseHead(head.status, b"", head.minor, Fields(listed), b"")

    def _without_ours(self, listed: Sequence[Field]) -> list[Field]:
        """Fields without credentials of the gateway's."""
        injected = self._injected
        if injected is None:
            return list(listed)
        shown = [(name, injected.hidden(value)) for name, value in listed]
        self._met = self._met or shown != list(listed)
        return shown

    # -- heads -------------------------------------------------------------------------------------------

    def _let_head_go(
        self, head: ResponseHead, without: frozenset[bytes], *, end: bool, length: int | None = None
    ) -> None:
        listed = [one for one in head.fields.listed if one[0] not in without and one[0] not in DETOURS]
        if length is not None:
            listed.append((b"content-length", b"%d" % length))
        if end:
            self._grpc(head.fields.listed)
        self.begun = True
        self._out.head(heads.answered(head.status, listed), self._recorded(head), end=end)

    def _recorded(self, head: ResponseHead) -> bytes:
        kept = heads.recorded(b"HTTP/2 %d" % head.status, hidden(head.fields.listed))
        return self._session.redaction.redact_bytes(kept)[0]

    def _trailing(self, trailers: Sequence[Field]) -> None:
        """Trailers are noted: in some protocols they are the answer."""
        self._grpc(trailers)
        note_trailers(self._session, self._exchange, "received", trailers)

    def _grpc(self, listed: Sequence[Field]) -> None:
        """How a gRPC call ended (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""
        said = {name: value.decode("latin-1") for name, value in listed if name.startswith(b"grpc-")}
        code = said.get(b"grpc-status", "")
        if code not in _GOOD:
            message = unquote(said.get(b"grpc-message", ""))[:1000]
            self._failed = {"code": f"grpc {code}"[:20], "message": message}


def _unshowable(content: Content) -> str:
    return f"the answer has to be looked into, and can't be: {content.unread}"
