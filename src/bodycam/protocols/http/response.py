"""One response on its way to the client: read strictly, looked into, recorded, framed anew if it changed."""

from collections.abc import Iterable
from typing import Final, final

from bodycam.model.event import Flavor, Outcome
from bodycam.model.media import Content as Looks
from bodycam.model.media import Media, media
from bodycam.protocols.http.capture import BodyTap, received
from bodycam.protocols.http.content import Content, Unshowable, decoded
from bodycam.protocols.http.dialects.dialect import Deltas
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.forwarding import check_upgrade, hidden, secretive_among
from bodycam.protocols.http.framing import (
    NO_BODY,
    Body,
    Chunked,
    Sized,
    UntilClosed,
    chunk,
    last_chunk,
    response_body,
)
from bodycam.protocols.http.head import Field, ResponseHead, head_end, response_begun, response_head, written
from bodycam.protocols.http.injected import HidingStream, Injected
from bodycam.protocols.http.trailing import note_behind
from bodycam.session.session import Exchange, Session

HELD_MOST: Final = 256 * 1024
"""A body that is announced as no longer than this is looked into as a whole, and keeps its length."""

INTERIM_MOST: Final = 64
"""Interim responses to one request; each is recorded."""

# another way to the same host, past the gateway (RFC 7838)
DETOURS: Final = (b"alt-svc",)
# what is said of content that has changed
OF_CONTENT: Final = frozenset(
    (b"content-length", b"content-encoding", b"transfer-encoding", b"etag", b"digest", b"content-digest",
     b"repr-digest", b"content-md5", b"accept-ranges", b"trailer")
)  # fmt: skip
_OF_LENGTH: Final = frozenset((b"content-length", b"transfer-encoding"))
UNREADABLE: Final = "application/octet-stream"
INJECTED: Final = "gateway.credential"
"""As what it is noted that a target showed a credential which the gateway had added."""


@final
class Response:
    """Interim heads, the final one, and the body, until `done`.

    `upgradable` is whether the request asked for a WebSocket; `deltas` how events of the answer are pieces of
    longer texts, where they are.
    `begun` is whether anything of the final response has gone to the client, `upgraded` whether another
    protocol goes on from here. `lasting` is whether the target's connection can be used again.
    """

    __slots__ = (
        "_body", "_buffer", "_content", "_exchange", "_held", "_hiding", "_injected", "_interim", "_met",
        "_method", "_minor", "_reframed", "_session", "_tap", "begun", "deltas", "done", "head", "lasting",
        "upgradable", "upgraded",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        exchange: Exchange,
        method: str,
        minor: int,
        injected: Injected | None = None,
    ) -> None:
        """`injected` are credentials of the gateway's in the request, which the answer must not show."""
        self._session, self._exchange, self._method, self._minor = session, exchange, method, minor
        self._interim = 0
        self._buffer = b""
        self.head: ResponseHead | None = None
        self._body: Body = NO_BODY
        self._tap: BodyTap | None = None
        self._content: Content | None = None
        self._held: list[bytes] | None = None
        self._injected = injected
        self._hiding: HidingStream | None = None
        self.deltas: Deltas | None = None
        self._reframed = self._met = False
        self.begun = self.done = self.upgradable = self.upgraded = self.lasting = False

    def over(self) -> bool:
        """Whether all of it has come."""
        return self.done

    @property
    def status(self) -> int:
        """The final status; 0 before it has come."""
        return 0 if self.head is None else self.head.status

    @property
    def _reason(self) -> str:
        """The target's own word for the status."""
        return "" if self.head is None else self.head.reason.decode("latin-1")

    @property
    def held(self) -> int:
        """Bytes that are held back until more comes, or it has lasted too long."""
        return 0 if self._tap is None or self._held is not None else self._tap.held

    @property
    def framed(self) -> bool:
        """Whether the client can tell where it ends without the connection's end."""
        if isinstance(self._body, UntilClosed):
            return self._reframed and self._minor == 1
        return not (self._reframed and self._minor == 0)

    def receive(self, data: bytes) -> bytes:
        """Take what the target sent; returns what is behind the response's end.

        Raises:
            BadMessage: it is no response of HTTP/1.1, to the letter.
            Unshowable: it can't be looked into, and has to be.
        """
        if self.head is not None:
            return self._more(data, 0)
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        position = 0
        while (end := head_end(data, position)) >= 0:
            raw = data[position:end] if position or end < len(data) else data
            found = response_head(raw if self._injected is None else self._hidden(raw))
            position = end
            if found.status >= 200:
                self._begin(found)
                return self._first(found, data, position)
            self._pass_interim(found)
            if found.status == 101:
                self.head = found
                self.begun = self.done = self.upgraded = True
                return data[position:]
        response_begun(data, position)
        self._buffer = data[position:]
        return b""

    def _pass_interim(self, found: ResponseHead) -> None:
        """A head before the final one; a client of HTTP/1.0 knows none (RFC 9110, section 15.2)."""
        self._interim += 1
        if self._interim > INTERIM_MOST:
            raise BadMessage(f"the target sent more than {INTERIM_MOST} interim responses", 502)
        if found.status == 101:
            check_upgrade(found, self.upgradable)
        if self._minor == 1:
            # it has no body, whatever it says
            wire = found.raw if found.fields.isdisjoint(_OF_LENGTH) else self._without(found, _OF_LENGTH)
            self._exchange.to_client(wire, flavor=Flavor.HEAD, recorded=self._recorded(found))

    def ended(self) -> str:
        """The target's connection has ended: "" if the response is whole with that, else what is missing."""
        if self.head is None:
            return "the target closed the connection before it answered"
        missing = self._body.left()
        if not missing and not self.done:
            self._finish_body()
        return missing

    def release_held(self) -> None:
        """What is held back has waited long enough."""
        if self._tap is not None and self._held is None:
            self._say(self._tap.release_held())

    def record_end(self, broken: str = "") -> None:
        """Record how it ended: `broken` says why not in order."""
        tap, exchange, status = self._tap, self._exchange, self.status
        if tap is not None:
            unread = "" if self._content is None else self._content.unread
            left_out = tap.left_out()
            if unread or left_out:
                exchange.truncated("; ".join(filter(None, (unread, left_out))))
            exchange.met(tap.sightings())
        if self._met or (self._hiding is not None and self._hiding.found):
            exchange.note("masked", detector=INJECTED, count=1)
        tag = str(status) if status else None
        if broken:
            exchange.finish(Outcome.ERROR, tag, {"code": "502", "message": broken})
        elif status < 400:
            exchange.finish(Outcome.OK, tag)
        else:
            exchange.finish(Outcome.ERROR, tag, {"code": str(status), "message": self._reason})

    # -- the head ----------------------------------------------------------------------------------

    def _begin(self, head: ResponseHead) -> None:
        self.head = head
        self._body = response_body(head, self._method)
        self.lasting = head.persistent and not isinstance(self._body, UntilClosed)
        if self._body is NO_BODY:
            return
        self._content = Content(head.fields)
        kind = media(head.fields.get(b"content-type").decode("latin-1"))
        if self._content.unread:
            self._unreadable(kind)
            kind = media(UNREADABLE)
        tap = self._tap = received(kind, self._session.masks, self._session.redaction, self.deltas)
        if self._injected is not None:
            self._hiding = self._injected.stream()
            if tap.looks or self._content.coded or not self._body.raw:
                tap.hide(self._hiding)

    def _unreadable(self, kind: Media) -> None:
        """A coding that nobody here knows."""
        tap = received(kind, self._session.masks, self._session.redaction)
        looked_into = (tap.may_change and kind.content is not Looks.BINARY) or self._injected is not None
        if looked_into or self._foreign:
            assert self._content is not None
            raise Unshowable(f"the answer has to be looked into, and can't be: {self._content.unread}")

    @property
    def _foreign(self) -> bool:
        """Whether it comes in chunks, and the client knows none."""
        return self._minor == 0 and isinstance(self._body, Chunked)

    def _first(self, head: ResponseHead, data: bytes, position: int) -> bytes:
        """The head, with what came of the body behind it."""
        raw, end = self._body.feed(data, position)
        note_behind(self._session, self._exchange, "received", self._body, self._injected)
        tap, foreign = self._tap, self._foreign
        if tap is None or not (tap.looks or foreign):
            self.begun = True
            if self._hiding is not None:
                raw = body = self._shown(raw)
                wire = head.raw + body
            else:
                body = data[position:end]
                wire = data if end == len(data) and data.startswith(head.raw) else head.raw + body
            if not head.fields.isdisjoint(DETOURS):
                wire = self._without(head, frozenset(DETOURS)) + body
            self._exchange.to_client(
                wire, flavor=Flavor.HEAD, recorded=self._recorded(head) + self._kept(raw)
            )
            self._end_if_done()
            return data[end:]
        if not foreign and (
            self._body.done or (isinstance(self._body, Sized) and self._body.length <= HELD_MOST)
        ):
            self._held = [raw] if raw else []
            if self._body.done:
                self._let_go(data[position:end])
            return data[end:]
        self._reframe(head)
        self._say_all(raw)
        self._end_if_done()
        return data[end:]

    def _more(self, data: bytes, start: int) -> bytes:
        raw, end = self._body.feed(data, start)
        note_behind(self._session, self._exchange, "received", self._body, self._injected)
        if self._held is not None:
            self._held.append(raw)
            if self._body.done:
                self._let_go(None)
        elif self._reframed:
            self._say_all(raw)
        else:
            wire = data[start:end] if end < len(data) else data
            if self._hiding is not None:
                raw = wire = self._shown(raw)
            if kept := self._kept(raw):
                self._exchange.to_client(wire, recorded=kept)
            elif wire:
                self._exchange.unrecorded(wire)
        self._end_if_done()
        return data[end:]

    # -- a body that can't change --------------------------------------------------------------------

    def _shown(self, raw: bytes) -> bytes:
        """A piece without credentials of the gateway's; its length is the same in the end."""
        hiding = self._hiding
        assert hiding is not None
        shown = hiding.feed(raw)
        return shown + hiding.flush() if self._body.done else shown

    def _hidden(self, data: bytes) -> bytes:
        """Fields without them."""
        hidden = data if self._injected is None else self._injected.hidden(data)
        self._met = self._met or hidden is not data
        return hidden

    def _kept(self, raw: bytes) -> bytes:
        """What is recorded of a piece that goes on as it came."""
        tap, content = self._tap, self._content
        if tap is None or content is None:
            return b""
        if not content.coded:
            kept = tap.feed(raw)[1] if raw else b""
        else:
            kept = b"".join([tap.feed(piece)[1] for piece in content.feed(raw)])
        if self._body.done:
            content.end()
            kept += tap.end()[1]
        return kept

    # -- a body that is looked into ------------------------------------------------------------------

    def _let_go(self, framed: bytes | None) -> None:
        """All of it is here: with its own length, or as it came where nothing changed."""
        head, tap, content, held = self.head, self._tap, self._content, self._held
        assert head is not None
        assert tap is not None
        assert content is not None
        assert held is not None
        raw = b"".join(held)
        self._held = None
        plain = raw if not content.coded else decoded(content, raw)
        content.end()
        if content.unread:
            raise Unshowable(f"the answer has to be looked into, and can't be: {content.unread}")
        shown, kept = tap.whole(plain)
        self.begun = True
        recorded = self._recorded(head) + kept
        if not tap.changed:
            # what was held came by its length, so that it is content and nothing else
            body = self._hidden(framed) if framed is not None else raw
            before = head.raw if head.fields.isdisjoint(DETOURS) else self._without(head, frozenset(DETOURS))
            self._exchange.to_client(before + body, flavor=Flavor.HEAD, recorded=recorded)
        else:
            fields = [*self._fields_without(head, OF_CONTENT), (b"Content-Length", b"%d" % len(shown))]
            if isinstance(self._body, UntilClosed):
                fields.append((b"Connection", b"close"))
            wire = head.line + written(fields) + b"\r\n" + shown
            self._exchange.to_client(wire, flavor=Flavor.HEAD, recorded=recorded)
        self._end_if_done()

    def _reframe(self, head: ResponseHead) -> None:
        """Say in the head that the length is open: in chunks, or up to the connection's end."""
        self._reframed = self.begun = True
        fields = self._fields_without(head, OF_CONTENT)
        line = head.line
        if self._minor == 1:
            # no version before 1.1 has chunks
            line = b"HTTP/1.1" + line[len(b"HTTP/1.1") :]
            fields.append((b"Transfer-Encoding", b"chunked"))
        else:
            fields = [*(one for one in fields if one[0].lower() != b"connection"), (b"Connection", b"close")]
        self._exchange.to_client(
            line + written(fields) + b"\r\n", flavor=Flavor.HEAD, recorded=self._recorded(head)
        )

    def _say_all(self, raw: bytes) -> None:
        tap, content = self._tap, self._content
        assert tap is not None
        assert content is not None
        pieces: Iterable[bytes] = content.feed(raw) if raw else ()
        for piece in pieces:
            self._say(tap.feed(piece))
        if content.unread:
            raise Unshowable(f"the answer has to be looked into, and can't be: {content.unread}")

    def _say(self, passed: tuple[bytes, bytes]) -> None:
        shown, kept = passed
        if not shown and not kept:
            return
        framed = chunk(shown) if shown and self._minor == 1 else shown
        self._exchange.to_client(framed, recorded=kept)

    # -- the end -----------------------------------------------------------------------------------

    def _end_if_done(self) -> None:
        if self._body.done and not self.done:
            self._finish_body()

    def _finish_body(self) -> None:
        self.done = True
        if self._held is not None:
            self._let_go(None)
        elif self._reframed:
            assert self._tap is not None
            self._say(self._tap.end())
            if self._minor == 1:
                body = self._body
                trailers = body.trailers if isinstance(body, Chunked) else b""
                self._exchange.to_client(last_chunk(self._hidden(trailers)), recorded=b"")
        elif isinstance(self._body, UntilClosed) and self._hiding is not None:
            rest = self._hiding.flush()
            self._exchange.to_client(rest, recorded=self._kept(rest))

    def _recorded(self, head: ResponseHead) -> bytes:
        """The head as it is recorded: without credentials."""
        kept = head.raw
        if secretive_among(head.fields.listed):
            kept = head.line + written(hidden(head.fields.listed)) + b"\r\n"
        return self._session.redaction.redact_bytes(kept)[0]

    def _without(self, head: ResponseHead, names: frozenset[bytes]) -> bytes:
        return head.line + written(self._fields_without(head, names)) + b"\r\n"

    @staticmethod
    def _fields_without(head: ResponseHead, names: frozenset[bytes]) -> list[Field]:
        return [
            (name, value)
            for name, value in head.fields.listed
            if (folded := name.lower()) not in names and folded not in DETOURS
        ]
