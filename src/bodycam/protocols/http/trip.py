"""One request on its way: what was asked, how far it has come, and what is recorded of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, final

from bodycam.model.event import Flavor, Outcome
from bodycam.model.media import Media, media
from bodycam.model.operation import Fact, Operation, Weight
from bodycam.model.trace import TRACE_PARENT, trace_parent
from bodycam.protocols.http.answers import Problem
from bodycam.protocols.http.authority import Authority
from bodycam.protocols.http.capture import BodyTap, sent
from bodycam.protocols.http.content import Content
from bodycam.protocols.http.destination import Destination, url
from bodycam.protocols.http.dialects import Dialect, recognise, worth_a_look
from bodycam.protocols.http.dialects.strange import Strange
from bodycam.protocols.http.forwarding import Forwarding, recorded, request_line
from bodycam.protocols.http.framing import NO_BODY, Body, Chunked, chunk, last_chunk, request_body
from bodycam.protocols.http.head import RequestHead
from bodycam.protocols.http.injected import Injected
from bodycam.protocols.http.trailing import note_behind
from bodycam.session.session import Exchange, Session

SPOOL_MOST: Final = 8 * 1024 * 1024
"""Bytes of a request's body that are kept until it is judged, where that is done by its content."""

HELD_MOST: Final = 256 * 1024
"""Bytes of a body that wait at most until it is known how they are to be recorded."""

AGAIN_MOST: Final = 64 * 1024
"""Bytes of a body that are kept until an answer begins, so that they can be sent again."""

CONNECT: Final = "connect"


@final
class Trip:
    """A request, from its head to the end of its response.

    Where the body has a say in the verdict it is spooled first; `due` says what has come and not gone on.
    `keeps` is whether it may have to be sent again, and can be.
    """

    __slots__ = (
        "_again", "_content", "_due", "_session", "_spooled", "_spooled_size", "_tap", "_wire", "_wire_size",
        "body", "continued", "destination", "dialect", "exchange", "expects", "facts", "head", "keeps",
        "media", "operation", "sending", "spooling", "taken", "text",
    )  # fmt: skip

    def __init__(self, head: RequestHead, destination: Destination, body: Body | None = None) -> None:
        self.head, self.destination = head, destination
        self.body: Body = body or (NO_BODY if destination.connect else request_body(head))
        # HTTP/1.0 knows no interim answer
        self.expects = head.minor == 1 and head.fields.get(b"expect").lower() == b"100-continue"
        self.exchange: Exchange | None = None
        self.operation: Operation | None = None
        self.dialect: Dialect | None = None
        self.spooling = self.sending = self.continued = self.keeps = False
        self._again: list[bytes] = []
        self._session: Session | None = None
        self.text = ""
        self.facts: dict[str, Fact] = {}
        self._spooled: list[bytes] = []
        self._spooled_size = self._wire_size = self.taken = 0
        self._due: list[bytes] = []
        self._wire: list[bytes] = []
        self._tap: BodyTap | None = None
        self._content: Content | None = None
        self.media: Media = media(head.fields.get(b"content-type").decode("latin-1"))

    @property
    def method(self) -> str:
        """The request's method."""
        return self.head.method

    def describe(self, scheme: str, authority: Authority) -> None:
        """Say in plain facts what is asked, now that it is known of whom."""
        path = self.destination.path
        place, _, query = path.decode("utf-8", "backslashreplace").partition("?")
        if self.destination.connect:
            self.facts = {
                "http.method": self.method,
                "http.scheme": scheme,
                "http.host": authority.host,
                "http.port": authority.port,
            }
            self.text = str(authority)
            return
        self.text = url(scheme, authority, path)
        self.facts = {
            "http.method": self.method,
            "http.scheme": scheme,
            "http.host": authority.host,
            "http.port": authority.port,
            "http.path": place,
            "http.query": query,
            "http.version": self.head.version,
            "http.media": self.media.name,
            "http.length": _announced(self.head, self.body),
        }
        fields = self.head.fields
        claimed = fields.every(b"traceparent")
        # several are none (W3C Trace Context)
        if len(claimed) == 1 and (parent := trace_parent(claimed[0].decode("latin-1"))) is not None:
            self.facts[TRACE_PARENT] = str(parent)
        if (self.body is not NO_BODY or self.method == "GET") and worth_a_look(path, fields):
            headers = {name.lower().decode(): value.decode("latin-1") for name, value in fields.listed}
            content_type = fields.get(b"content-type").decode("latin-1")
            self.dialect = recognise(self.method, self.text_path, content_type, headers)
        self.spooling = self.dialect is not None and not self.body.done

    @property
    def text_path(self) -> str:
        """Path and query as text."""
        return self.destination.path.decode("utf-8", "replace")

    def spool(self) -> None:
        """Keep what comes of the body until it is all there: what was asked can't be told without it."""
        self.spooling = not self.body.done

    @property
    def spooled(self) -> bytes:
        """The body as far as it was kept, without its framing."""
        return b"".join(self._spooled)

    @property
    def overlong(self) -> bool:
        """Whether the body is longer than what is kept of one."""
        return not self.body.done or self._spooled_size > SPOOL_MOST

    def take(self, data: bytes, start: int) -> int:
        """Take what belongs to the body; returns up to where.

        Raises:
            BadMessage: it is no body as its head announced it.
        """
        content, end = self.body.feed(data, start)
        self.taken += end - start
        if content:
            self._due.append(content)
            if self.keeps:
                self._again.append(content)
                self.keeps = self.taken <= AGAIN_MOST
            if self.spooling:
                self._spooled.append(content)
                self._spooled_size += len(content)
        if self.spooling and (self.body.done or self._spooled_size > SPOOL_MOST):
            self.spooling = False
        return end

    def take_due(self) -> bytes:
        """What has come of the body and has not gone on: for whoever sends it in a way of its own."""
        due, self._due = b"".join(self._due), []
        self._spooled.clear()
        return due

    def judge_by(self, session: Session) -> Exchange:
        """Ask the session what is to become of it, with all that is known by now."""
        facts: Mapping[str, Fact] = self.facts
        if self.dialect is not None:
            content, unread = self._decoded()
            told = Strange(self.dialect, unread) if unread else self.dialect
            facts = {**facts, **told.request_facts(content)}
        connect, dial = self.destination.connect, session.grant.dial
        self.operation = Operation(
            CONNECT if connect else self.method,
            self.text,
            facts=facts,
            weight=Weight.ASIDE if connect else Weight.STATEMENT,
            # a tunnel that is read asks for nothing by itself: each request in it is judged
            inert=connect and dial is not None and dial.intercept,
        )
        self.exchange = session.request(self.operation)
        return self.exchange

    def bound_operation(self) -> Operation:
        """What a person approves: with the body, which the record has apart."""
        assert self.operation is not None
        spooled = self.spooled
        if not spooled:
            return self.operation
        return Operation(
            self.operation.verb,
            self.text,
            ((0, 0, self._decoded()[0]),),
            self.operation.facts,
            self.operation.weight,
        )

    def send_head(
        self, session: Session, host: str, forwarding: Forwarding, injected: Injected | None = None
    ) -> None:
        """Send the head to the target, and what has come of the body with it.

        What is `injected` by the gateway is in no record, and the answer must be one that it can be found in.
        """
        exchange, dial = self.exchange, session.grant.dial
        assert exchange is not None
        assert dial is not None
        masks, again = session.masks, self.sending
        self._session = session
        self.sending = True
        whole = masks is not None or injected is not None
        path, drops = self.destination.path, self.destination.drops
        onward = forwarding.onward(self.head, host, dial, drops, whole=whole, continued=self.continued)
        wire = request_line(self.head, path, dial) + onward.wire
        kept = wire
        if injected is not None or onward.secretive:
            kept = recorded(self.head, path, onward.listed, dial)
        if injected is not None:
            kept = injected.hidden(kept)
        kept, _ = session.redaction.redact_bytes(kept)
        if again:
            # its body is on the record
            exchange.to_target(wire + self._body_again(), flavor=Flavor.HEAD, recorded=kept)
            return
        if self.body is not NO_BODY:
            self._tap = sent(self.media, masks, session.redaction)
            self._content = Content(self.head.fields)
        body, content = self._body_due()
        exchange.to_target(
            wire + body if body else wire,
            flavor=Flavor.HEAD,
            recorded=kept + content if content else kept,
        )
        self._spooled.clear()
        self._ended()

    @property
    def whole(self) -> bool:
        """Whether all of it has gone to the target, and could do so again."""
        return self.keeps and self.sent_all

    def _body_again(self) -> bytes:
        """All of the body, framed; it is sent again once."""
        content, self._again, self.keeps = b"".join(self._again), [], False
        if not isinstance(self.body, Chunked):
            return content
        return (chunk(content) if content else b"") + last_chunk(self.body.trailers)

    def send_due(self, *, now: bool = False) -> None:
        """Send what has come of the body since; `now` what has been held back for long enough too."""
        assert self.exchange is not None
        body, content = self._body_due(now=now)
        if body or content:
            self.exchange.to_target(body, recorded=content)
        self._ended()

    @property
    def held(self) -> int:
        """Bytes of the body that wait until it is known how they are to be recorded."""
        return self._wire_size

    @property
    def sent_all(self) -> bool:
        """Whether the whole request has gone to the target."""
        return self.sending and self.body.done and not self._due and not self._wire

    def final(self, problem: Problem) -> Problem:
        """An answer to it: a body that waits for leave may come or not, so that the connection has to end."""
        return replace(problem, close=True) if self.expects and not self.body.done else problem

    def finish(self, outcome: Outcome, status: int = 0, error: Mapping[str, str] | None = None) -> None:
        """The exchange is over."""
        if self.exchange is not None:
            self.exchange.finish(outcome, str(status) if status else None, error)

    def _body_due(self, *, now: bool = False) -> tuple[bytes, bytes]:
        """What has to go on of the body, framed, and what is recorded of it; nothing goes on before that."""
        body, tap = self.body, self._tap
        if body is NO_BODY or tap is None:
            return b"", b""
        due, self._due = b"".join(self._due), []
        if due:
            self._hold(chunk(due) if isinstance(body, Chunked) else due)
        if body.done and isinstance(body, Chunked):
            assert self.exchange is not None
            assert self._session is not None
            note_behind(self._session, self.exchange, "sent", body)
            self._hold(last_chunk(body.trailers))
        kept = self._looked_into(tap, due)
        if body.done:
            kept += tap.end()[1]
        elif tap.held and (now or self.held > HELD_MOST):
            kept += tap.release_held()[1]
        elif tap.held:
            return b"", kept
        framed, self._wire, self._wire_size = b"".join(self._wire), [], 0
        return framed, kept

    def _hold(self, framed: bytes) -> None:
        self._wire.append(framed)
        self._wire_size += len(framed)

    def _looked_into(self, tap: BodyTap, due: bytes) -> bytes:
        content = self._content
        assert content is not None
        kept = b"".join([tap.feed(piece)[1] for piece in content.feed(due)]) if due else b""
        if self.body.done:
            content.end()
        return kept

    def _ended(self) -> None:
        """Say at the body's end what its record leaves out."""
        tap, exchange = self._tap, self.exchange
        if tap is None or exchange is None or not self.body.done:
            return
        self._tap = None
        unread = "" if self._content is None else self._content.unread
        left_out = "; ".join(filter(None, (unread, tap.left_out())))
        if left_out:
            exchange.truncated(left_out)
        exchange.sent(tap.sightings())

    def unread(self) -> str:
        """Why nobody can be shown what the spooled body says, all of it; "" where they can."""
        return self._decoded()[1]

    def _decoded(self) -> tuple[bytes, str]:
        """What was spooled, decoded, and why that is not all of it, "" if it is."""
        decoding = Content(self.head.fields, 4 * SPOOL_MOST)
        content = b"".join(decoding.feed(self.spooled))
        if self.overlong:
            return content, f"it is longer than {SPOOL_MOST >> 20} MiB"
        decoding.end()
        return content, decoding.unread


def _announced(head: RequestHead, body: Body) -> int:
    if body is NO_BODY:
        return 0
    length = head.fields.get(b"content-length")
    return int(length) if length else -1
