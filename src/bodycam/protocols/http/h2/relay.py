"""Two connections of HTTP/2 and the streams between them: what `conversation` is to HTTP/1.1.

Every peer that asks for more than it should bear is told to leave (GOAWAY), and the session's end says why.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, final

from h2 import events

from bodycam.model.event import SessionOutcome
from bodycam.protocols.http.answers import Problem
from bodycam.protocols.http.conversation import Ends
from bodycam.protocols.http.destination import Destination, Place, tunnelled
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.h2 import heads, refusal
from bodycam.protocols.http.h2.alarms import Alarms
from bodycam.protocols.http.h2.answering import answered, on_stream
from bodycam.protocols.http.h2.budget import Budget
from bodycam.protocols.http.h2.codes import CALM, INTERNAL, NO_ERROR, REFUSED
from bodycam.protocols.http.h2.end import End
from bodycam.protocols.http.h2.endpoint import Endpoint, Leaving
from bodycam.protocols.http.h2.far_side import CLOSED, FarSide
from bodycam.protocols.http.h2.frames import Broken, goaway
from bodycam.protocols.http.h2.kept import CROWDED, Kept
from bodycam.protocols.http.h2.plain import PlainEnd
from bodycam.protocols.http.h2.renewing import Renewing
from bodycam.protocols.http.h2.stream import Stream
from bodycam.protocols.http.h2.turns import in_turns
from bodycam.protocols.http.h2.watch import HELD, LINGER, LINGER_SECONDS, OTHERS, PACE, Watch
from bodycam.protocols.http.head import RequestHead
from bodycam.protocols.http.injected import injected
from bodycam.protocols.http.opening import ALPN, H2
from bodycam.protocols.http.pace import too_slow
from bodycam.session.approval import ApprovalSaid
from bodycam.session.link import AskDial, DialDone, DialFailed, Link
from bodycam.session.renewal import Renewed
from bodycam.session.session import Session

RESETS_MOST: Final = 200
"""Streams that a client may give up at once, or get wrong; those that end well count against them."""

RESETS_A_SECOND: Final = 5.0

RENEWED: Final = "the gateway's token for the target is renewed with the next connection"


@final
class Relay:
    """The streams of one session (`stream.Trunk`): of a tunnel, or of a client that named its target."""

    def __init__(
        self,
        link: Link,
        session: Session,
        place: Place,
        ends: Ends,
        clock: Callable[[], float] = time.monotonic,
        *,
        stale: Callable[[], bool] = lambda: False,
        client: Endpoint | None = None,
        resets: Budget | None = None,
    ) -> None:
        """`stale` is whether a session of its own is due, for a new token of the gateway's.

        With the `client` of a connection that goes from one session to the next, with all its `resets`, the
        target is connected to once there is something to ask of it.
        """
        self._stale = stale
        self.link, self.session, self._place, self._ends = link, session, place, ends
        self.client = client or Endpoint(client_side=False, send=link.send_client, clock=clock)
        make = partial(Endpoint, client_side=True, send=link.send_target, clock=clock)
        plain = None if client is None else partial(PlainEnd, self._drop, link.hold_target)
        self._far = FarSide(make, self._dial, lambda why: session.note("reconnected", reason=why), plain)
        self.injected = injected(session.grant.dial)
        self._streams: dict[int, Stream] = {}
        self._kept, self._turn = Kept(), 0
        anew = partial(on_stream, far=self._far, weigh=self._weigh, held=True)
        self._renewing = Renewing(link, session, self._far, anew)
        self._far.holds = self._renewing.holds
        self._resets = resets or Budget(RESETS_MOST, RESETS_A_SECOND, clock)
        self._watch = Watch(Alarms(link.alarm, clock), self.client, self._far, link.message_seconds)
        self.crowded: Callable[[], None] = lambda: None
        self._over = False
        self._code = NO_ERROR
        self._leaving: str | None = None

    @property
    def target(self) -> End:
        """Our end of the target's connection (`stream.Trunk`)."""
        return self._far.endpoint

    @property
    def busy(self) -> bool:
        """Whether any exchange is under way, or the target is being connected to."""
        return bool(self._streams) or self._far.dialled

    def greet(self) -> None:
        """The client's TLS stands, and this is what was agreed on."""
        # what the target bears, if it has said so by now: what is more waits here
        self.client.begin(self.target.streams_most)

    # -- bytes -----------------------------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Bytes from the client."""
        try:
            for event in self.client.receive(data):
                if self._over:
                    return
                if isinstance(event, events.DataReceived):
                    self.client.took(event.flow_controlled_length or 0)
                self.take(event)
        except Broken as error:
            self._end(SessionOutcome.BROKEN, f"the client broke the protocol: {error.reason}", error.code)
        self.look()

    def receive(self, data: bytes) -> None:
        """Bytes from the target."""
        try:
            for event in self.target.receive(data):
                if self._over:
                    return
                answered(event, self._far, self._weigh, self._pump)
        except Broken as error:
            self._bad_target(f"the target broke the protocol: {error.reason}", error.code)
        self.look()

    def take(self, event: events.Event) -> None:
        """What the client did.

        Raises:
            Broken: that is more than anybody has to bear.
        """
        match event:
            case events.RequestReceived(stream_id=number, headers=listed):
                self._begin(number, listed or [], ended=event.stream_ended is not None)
            case events.DataReceived(
                stream_id=number, data=data, flow_controlled_length=size, stream_ended=end
            ):
                self._on(number, lambda stream: stream.data(data or b"", size, last=end is not None))
            case events.TrailersReceived(stream_id=number, headers=listed):
                self._on(number, lambda stream: stream.ends(heads.trailers(listed or [])))
            case events.StreamEnded(stream_id=number):
                self._on(number, lambda stream: stream.ends())
            case events.StreamReset(stream_id=number):
                self._reset(number)
            case events.WindowUpdated(stream_id=number):
                self._pump(self._streams, number)
            case events.RemoteSettingsChanged():
                self._pump(self._streams, 0)
            case Leaving():
                self._leave("")

    # -- the client's streams ------------------------------------------------------------------------------

    def _begin(self, number: int, listed: list[tuple[bytes, bytes]], *, ended: bool) -> None:
        if self._leaving is not None:
            # it may be asked of another connection: nothing of it was done
            self.client.reset(number, REFUSED)
            self.client.leave(NO_ERROR, self._leaving)
            return
        try:
            head = heads.request(listed, self._place.scheme)
            where = tunnelled(head, self._place)
        except BadMessage as error:
            self.refuse(number, error, ended=ended)
            return
        self.begin(number, head, where, ended=ended)
        if self._stale():
            # this one goes with the old token, which is good for a little longer
            self._leave(RENEWED)

    def refuse(self, number: int, error: BadMessage, *, ended: bool) -> None:
        """A head that is none: said on its own stream, and on the record.

        Raises:
            Broken: there were too many.
        """
        refusal.refuse(self.client, number, self.session.ambient, error, ended=ended)
        self._spend("requests that are none")

    def begin(self, number: int, head: RequestHead, where: Destination, *, ended: bool) -> None:
        """A request.

        Raises:
            Broken: that is more than anybody has to bear.
        """
        try:
            stream = Stream(self, number, head, where, ended=ended)
        except BadMessage as error:
            self.refuse(number, error, ended=ended)
            return
        self._streams[number] = stream
        self._on(number, lambda stream: stream.begin())

    def _on(self, number: int, step: Callable[[Stream], None]) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        try:
            step(stream)
        except BadMessage as error:
            stream.bad_request(error)
            self._spend("requests that are none")
        self._weigh(stream)

    def _reset(self, number: int) -> None:
        """A stream is given up: cheap for who does it, and dear for everybody behind (CVE-2023-44487)."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.client_reset()
        self._spend("streams given up")

    def _spend(self, on_what: str) -> None:
        if not self._resets.spend():
            raise Broken(f"too many {on_what}", CALM)

    # -- the target's streams ------------------------------------------------------------------------------

    def enter(self, stream: Stream) -> None:
        """Let it have a stream at the target, or wait for one (`stream.Trunk`)."""
        self._far.enter(stream)

    def entered(self, stream: Stream) -> None:
        """It has one."""
        self._far.streams[stream.far] = stream

    def _dial(self) -> None:
        dial = self.session.grant.dial
        assert dial is not None
        self.link.ask(AskDial(replace(dial, alpn=(H2, ALPN))))

    def reached(self, said: DialDone | DialFailed) -> None:
        """What came of another connection to the target."""
        self._far.reached(said, self.session.grant.target.name)
        self.look()

    def _drop(self) -> None:
        """A connection of HTTP/1.1 is of no use any more."""
        self.link.drop_target()
        self._far.dropped()

    def over(self, stream: Stream, *, well: bool) -> None:
        """It is done with: another may go."""
        self._streams.pop(stream.number, None)
        self._kept.forget(stream)
        if well:
            self._resets.earn(1)
        if not self._over:
            self._far.over(stream, well=well)
        if not self._streams and not self._over:
            self._ends.go_on()
            if self._leaving is not None:
                self._end(SessionOutcome.ENDED, self._leaving)

    def _leave(self, why: str) -> None:
        """Nothing new begins on this connection; what is under way goes on.

        A client that asks one thing after the other is told when it asks for more, or at the end: some end
        everything when they hear it.
        """
        if self._leaving is None and len(self._streams) > 1:
            self.client.leave(NO_ERROR, why)
        self._leaving = self._leaving or why
        if not self._streams:
            self._end(SessionOutcome.ENDED, why)

    def _bad_target(self, reason: str, code: int) -> None:
        self._far.leave(code)
        self._over = True
        for stream in list(self._streams.values()):
            stream.lost(reason)
        self._over = False
        self._end(SessionOutcome.BROKEN, reason)

    def target_gone(self) -> None:
        """The target's connection has ended: what it can't have done is asked on another."""
        for event in self.target.ended():
            answered(event, self._far, self._weigh, self._pump)
        self._renewing.give_up()
        for stream in self._far.gone():
            stream.lost(CLOSED)
        self._far.let_in()
        self.look()

    # -- windows and time ----------------------------------------------------------------------------------

    def _pump(self, streams: dict[int, Stream], number: int) -> None:
        """There is more room: of one stream, or (0) of all, each in turn."""
        if number:
            if (one := streams.get(number)) is not None:
                one.settle()
            return
        self._turn += 1
        in_turns(streams.values(), self._turn)

    def _weigh(self, stream: Stream) -> None:
        """What is kept of all streams together has a bound."""
        if not stream.gone and not self._over and self._kept.too_much(stream):
            stream.crowded_out(CROWDED)

    def alarm(self) -> None:
        """Something has lasted long enough."""
        watch, streams = self._watch, list(self._streams.values())
        for what in watch.rung():
            if what == HELD:
                for stream in streams:
                    stream.release_held()
            elif what == PACE:
                for stream in watch.trickling(streams):
                    stream.bad_request(too_slow(self.link.message_seconds))
            elif what == OTHERS:
                self.crowded()
            elif what == LINGER:
                why = f"what it has begun has not ended within {LINGER_SECONDS:g} s"
                self._far.give_up(f"{CLOSED}, and {why}")
                self._leave(CLOSED)
            elif (late := watch.overdue(what, streams)) is not None and not self._over:
                whose, reason = late
                if whose is self.client:
                    self._end(SessionOutcome.BROKEN, f"the client {reason}", CALM)
                else:
                    self._bad_target(f"the target {reason}", CALM)
        self.look()

    def look(self) -> None:
        """See what has to be waited for."""
        if not self._over:
            self._watch.look(self._streams.values())

    def renewed(self, said: Renewed) -> None:
        """There is a new token for the target, or none."""
        self.injected = self.injected if said.dial is None else injected(said.dial)
        self._renewing.renewed(said.dial)
        self.look()

    # -- people, and the end -------------------------------------------------------------------------------

    def said(self, said: ApprovalSaid) -> None:
        """A person decided, or nobody did in time."""
        stream = self._asker(said)
        if stream is not None:
            stream.decided(said)
            self.look()

    def waits(self, said: ApprovalSaid) -> None:
        """What one stream asked for waits for a person."""
        stream = self._asker(said)
        if stream is not None:
            stream.waits(said)

    def _asker(self, said: ApprovalSaid) -> Stream | None:
        asked = said.exchange
        return next((stream for stream in self._streams.values() if stream.exchange == asked), None)

    def drain(self) -> None:
        """Let the client begin nothing more."""
        self._leave("")

    def last(self, why: str) -> None:
        """The client was told that nothing new begins on this connection: it ends with what is under way."""
        self._leaving = why

    def others(self, waits: bool) -> None:
        """Whether others wait until it is at nothing; `crowded` is called when that is too long."""
        self._watch.others(waits)

    def retire(self) -> None:
        """It is at nothing, and the client goes on with another session."""
        self._over = True
        self._watch.stop()
        self._far.leave()

    def cut(self, reason: str) -> None:
        """The session ends now: who has no answer yet is told so."""
        self._over = True
        for stream in list(self._streams.values()):
            stream.cut(Problem(503, f"the gateway ended this session: {reason}"))

    def farewell(self, message: str) -> bytes:
        """The gateway itself can't go on: what the client is told at last."""
        return goaway(0x7FFFFFFF, INTERNAL, message)

    def close(self, outcome: SessionOutcome, reason: str, code: int = NO_ERROR) -> None:
        """The session is over, for whatever reason: say so on both sides."""
        self._over = True
        for stream in self._streams.values():
            stream.drop()
        self._watch.stop()
        self.client.leave(self._code or code, reason)
        self._far.leave()

    def _end(self, outcome: SessionOutcome, reason: str, code: int = NO_ERROR) -> None:
        if not self._over:
            self._code = code
            self._ends.end(outcome, reason)
