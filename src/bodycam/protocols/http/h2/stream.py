"""One exchange: a request on a stream of the client's, its response on one of ours to the target."""

from collections.abc import Callable, Sequence
from typing import Final, final

from bodycam.model.event import Flavor, Outcome
from bodycam.protocols.http.answers import Problem
from bodycam.protocols.http.content import Unshowable
from bodycam.protocols.http.destination import Destination
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.framing import NO_BODY
from bodycam.protocols.http.h2 import heads, refusal
from bodycam.protocols.http.h2.codes import CANCEL, INTERNAL, NO_ERROR, PROTOCOL, name_of
from bodycam.protocols.http.h2.endpoint import STREAM_WINDOW
from bodycam.protocols.http.h2.outflow import LOW, Outflow
from bodycam.protocols.http.h2.reply import Reply
from bodycam.protocols.http.h2.sending import Sending
from bodycam.protocols.http.h2.trunk import Trunk
from bodycam.protocols.http.h2.upload import Streamed
from bodycam.protocols.http.head import Field, RequestHead, ResponseHead
from bodycam.protocols.http.judging import Judging
from bodycam.protocols.http.pace import LEAST
from bodycam.protocols.http.trip import Trip
from bodycam.session.approval import ApprovalSaid
from bodycam.session.session import Session

_GIVE_BACK: Final = STREAM_WINDOW // 4
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_HINT: Final = "The target's own log may say more."


@final
class Stream:
    """A request, from its head to the end of both ways. `number` is the client's stream."""

    def __init__(
        self, trunk: Trunk, number: int, head: RequestHead, where: Destination, *, ended: bool
    ) -> None:
        self._trunk, self.number = trunk, number
        length = heads.length_of(head.fields)
        if ended and length:
            raise BadMessage("the body is shorter than its Content-Length says")
        self._body = None if ended else Streamed(length)
        self.trip = Trip(head, where, self._body or NO_BODY)
        self._expects, self.trip.expects = self.trip.expects, False
        self._judging = Judging(trunk.link, self)
        self.down = Outflow(trunk.client, number, self._to_client)
        self._sending = Sending(trunk, self.trip, self._body)
        self.reply: Reply | None = None
        self._trailers: Sequence[Field] = ()
        # bytes that have come and for which the sender has no new window yet
        self._owed_up = self._owed_down = 0
        self._refused = self.gone = False
        self._cut_short = -1
        self._grpc = refusal.grpc(head.fields)
        self._verdict: tuple[Outcome, int, dict[str, str]] | None = None

    @property
    def far(self) -> int:
        """The target's stream; 0 while there is none."""
        return self._sending.far

    @property
    def up(self) -> Outflow | None:
        """What goes to the target; None before it may."""
        return self._sending.up

    @property
    def exchange(self) -> int:
        """Its number in the session's record; 0 before it has one."""
        return 0 if self.trip.exchange is None else self.trip.exchange.number

    @property
    def keeps(self) -> int:
        """Bytes of it that are kept beyond what its windows bound."""
        body, reply = self._body, self.reply
        spooled = 0 if body is None or self.up is not None or self._refused else body.size
        return spooled + (0 if reply is None else reply.keeps)

    @property
    def held(self) -> int:
        """Bytes that wait until more comes, or it has lasted too long."""
        upload, reply = self._sending.upload, self.reply
        return (0 if upload is None else upload.held) + (0 if reply is None else reply.held)

    @property
    def awaited(self) -> bool:
        """Whether more of the request's body has to come, and may; a call of gRPC speaks when it likes."""
        if self._done_asking or self._refused or self._grpc or self.gone:
            return False
        return self._owed_up <= STREAM_WINDOW - LEAST and (self.reply is None or not self.reply.begun)

    @property
    def waits_for_room(self) -> bool:
        """Whether a peer has given too small a window for what waits for it."""
        return self.down.waiting > 0 or (self.up is not None and self.up.waiting > 0)

    # -- the request -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Judge it."""
        self._judging.begin(self.trip, self._trunk.session)
        self._call_for_body()
        self.settle()

    def data(self, content: bytes, size: int, *, last: bool) -> None:
        """A piece of the request's body, which took `size` bytes of the windows; `ends` follows the last.

        Raises:
            BadMessage: it is longer than it said.
        """
        if self._refused or self._body is None:
            # as much of what nobody wants may come as its window lets, and no more
            return
        self._owed_up += size
        if last:
            self.trip.take(content, 0)
        else:
            self._took(content)

    def ends(self, trailers: Sequence[Field] = ()) -> None:
        """The request has ended.

        Raises:
            BadMessage: it is shorter than it said.
        """
        if self._body is not None and not self._body.done:
            self._body.end()
            self._trailers = trailers
            if not self._refused:
                self._took(b"")

    def _took(self, content: bytes) -> None:
        trip, spooling = self.trip, self.trip.spooling
        trip.take(content, 0)
        if self._sending.upload is not None:
            self._sending.upload.go_on(self._trailers)
        elif spooling and not trip.spooling:
            self._judging.known(trip, self._trunk.session)
            self._call_for_body()
        self.settle()

    def _call_for_body(self) -> None:
        """All of it is needed before the target is asked, who could call for it as well."""
        if self.trip.spooling and self._expects:
            self._expects, self.trip.continued = False, True
            trunk = self._trunk
            trunk.link.send_client(trunk.client.head(self.number, [(b":status", b"100")], end=False))

    # -- its judgement ---------------------------------------------------------------------------------

    def decided(self, said: ApprovalSaid) -> None:
        """A person decided, or nobody did in time."""
        self._judging.decided(self.trip, self._trunk.session, said)
        self.settle()

    def waits(self, said: ApprovalSaid) -> None:
        """It is known where it waits."""
        self._judging.approval.waits(self.trip.exchange, said)

    def dispatch(self, trip: Trip, session: Session) -> None:
        """It may go to the target, as soon as that has room."""
        self._trunk.enter(self)

    def deny(self, trip: Trip, problem: Problem) -> None:
        """Policy would not let it through."""
        self.fail(problem, Outcome.DENIED)

    def fail(self, problem: Problem, outcome: Outcome) -> None:
        """Answer in place of the target, on the record."""
        trip = self.trip
        self._refused = True
        fields, content = refusal.refused(problem, grpc=self._grpc, body=trip.method != "HEAD")
        status = refusal.status_of(problem, fields)
        kept = heads.recorded(b"HTTP/2 %d" % status, fields)
        self.down.head(heads.answered(status, fields), kept, end=not content)
        if content:
            self.down.put(content, content)
            self.down.end()
        error = {"code": str(problem.status), "message": problem.message}
        if problem.hint:
            error["hint"] = problem.hint
        self._verdict = (outcome, problem.status, error)

    def bad_request(self, error: BadMessage) -> None:
        """The request's body is none that can be forwarded."""
        self._leave_target(PROTOCOL)
        if self.reply is not None and self.reply.begun:
            self.reply.record_end(error.reason)
            self._leave_client(PROTOCOL)
        elif not self._refused:
            self.fail(Problem(error.status, error.reason), Outcome.ERROR)
            self.settle()

    # -- the target --------------------------------------------------------------------------------------

    def send(self) -> None:
        """Send it to the target, as far as it has come."""
        exchange, trunk = self.trip.exchange, self._trunk
        assert exchange is not None
        if self._refused:
            return  # it has had its answer while it waited
        self._sending.head()
        if self.reply is None:
            self.reply = Reply(trunk.session, exchange, self.trip, self.down, trunk.injected)
        trunk.entered(self)
        self._sending.body()
        if self._sending.upload is not None:
            self._sending.upload.go_on(self._trailers)
        self.settle()

    @property
    def harmless(self) -> bool:
        """Whether it may be done twice: a safe method, without content (RFC 9110, section 9.2.1)."""
        return self._body is None and self.trip.method in _SAFE

    def in_vain(self, why: str, *, again: bool = False) -> bool:
        """The target did nothing of it: whether `send` can send it from its beginning (`Sending.rewind`)."""
        reply = self.reply
        if self.gone or self._refused or (reply is not None and reply.head is not None):
            return False
        return self._sending.rewind(why, again=again)

    def answered(self, head: ResponseHead, *, ended: bool) -> None:
        """The response's head."""
        reply = self.reply
        if head.status < 200 and reply is not None and reply.head is None and not self._refused:
            self._take(lambda reply: reply.interim(head))
        else:
            if self.up is not None:
                self.up.settled()
            self._take(lambda reply: reply.begin(head, ended=ended))

    def answer_data(self, content: bytes, size: int, *, last: bool) -> None:
        """A piece of the response's body, of `size` bytes of the windows; `answer_ends` follows the last."""
        self._owed_down += size
        self._take(lambda reply: reply.data(content), settle=not last)

    def answer_ends(self, trailers: Sequence[Field] = ()) -> None:
        """The response has ended."""
        self._take(lambda reply: reply.end(trailers))

    def bad_answer(self, reason: str, code: int = INTERNAL) -> None:
        """The target's answer can't be given, or not to its end; the client is told by `code` then."""
        reply = self.reply
        if self.gone or reply is None:
            return
        self._leave_target(CANCEL)
        if not reply.begun and code == INTERNAL:
            self.fail(Problem(502, reason, _HINT), Outcome.ERROR)
            self.settle()
        else:
            reply.record_end(reason)
            self._leave_client(code)

    def _take(self, step: Callable[[Reply], None], *, settle: bool = True) -> None:
        reply = self.reply
        if reply is None or self._refused or reply.done:
            return
        try:
            step(reply)
        except (BadMessage, Unshowable) as error:
            self.bad_answer(str(error))
            return
        if settle:
            self.settle()

    # -- its ends ----------------------------------------------------------------------------------------

    def client_reset(self) -> None:
        """The client wants nothing more of it."""
        self._leave_target(CANCEL)
        self.down.drop()
        status = 0 if self.reply is None else self.reply.status
        self.trip.finish(*(self._verdict or (Outcome.CANCELLED, status)))
        self._over()

    def target_reset(self, code: int) -> None:
        """The target wants nothing more of it."""
        self._sending.far = 0
        reply = self.reply
        if self.up is not None:
            self.up.drop()
        if reply is not None and reply.done:
            # it has answered, and does not want the rest of the request
            self._cut_short = code
            self.settle()
        else:
            self.bad_answer(f"the target ended the stream: {name_of(code)}", code or CANCEL)

    def lost(self, reason: str) -> None:
        """The target's connection is gone, or no good any more."""
        self._sending.far = 0
        if self.reply is not None and self.reply.done:
            self.target_reset(NO_ERROR)  # the client is still at the answer
        elif self.reply is not None:
            self.bad_answer(reason)
        else:
            self._instead(Problem(502, reason, _HINT), Outcome.ERROR)

    def turned_away(self, problem: Problem, outcome: Outcome = Outcome.ERROR) -> None:
        """The target can't be asked: nothing was done of it."""
        self._sending.far = 0
        self._instead(problem, outcome)

    def crowded_out(self, problem: Problem) -> None:
        """Of this link so much waits that this has to go."""
        if self.reply is not None and self.reply.begun:
            self.bad_answer(problem.message)
        else:
            self._instead(problem, Outcome.ERROR)

    def cut(self, problem: Problem) -> None:
        """The session ends: tell whoever has no answer yet."""
        if self._refused or (self.reply is not None and self.reply.begun):
            self._leave_target(CANCEL)
        else:
            self._instead(problem, Outcome.UNKNOWN)

    def _instead(self, problem: Problem, outcome: Outcome) -> None:
        self._leave_target(CANCEL)
        if not self._refused:
            self.fail(problem, outcome)
            self.settle()

    def drop(self) -> None:
        """The link ends: nobody waits any longer."""
        self._judging.approval.drop()

    def _leave_target(self, code: int) -> None:
        self._judging.approval.drop()
        if self.up is not None:
            self.up.drop()
        if self.far:
            self._trunk.target.reset(self.far, code)

    def _leave_client(self, code: int) -> None:
        self.down.drop()
        self._trunk.client.reset(self.number, code)
        self._over()

    def _over(self, *, well: bool = False) -> None:
        if not self.gone:
            self.gone = True
            self._trunk.over(self, well=well)

    def settle(self) -> None:
        """Send what there is room for, let more come where there is, and see whether it is over."""
        while not self.gone and self.pump():
            pass

    def pump(self) -> bool:
        """One turn of both ways; whether there could be another at once."""
        up, down, trunk = self.up, self.down, self._trunk
        again = down.pump()
        if up is not None:
            again = up.pump() or again
        takes = self.trip.spooling if up is None else up.waiting <= LOW
        if takes and self._owed_up >= _GIVE_BACK and not self._done_asking:
            trunk.client.more(self.number, self._owed_up)
            self._owed_up = 0
        if self._owed_down >= _GIVE_BACK and down.waiting <= LOW and self.far:
            trunk.target.more(self.far, self._owed_down)
            self._owed_down = 0
        if down.closed and not self.gone:
            self._ends_with_answer()
        return again

    @property
    def _done_asking(self) -> bool:
        return self._body is None or self._body.done

    def _ends_with_answer(self) -> None:
        """The client has all of the answer: then it is over once the request is, or nobody wants its rest."""
        reply = self.reply
        if self._verdict is not None:
            self.trip.finish(*self._verdict)
        if self._refused or self._cut_short >= 0:
            if reply is not None and not self._refused:
                reply.record_end()
            if not self._done_asking:
                self._trunk.client.reset(self.number, max(self._cut_short, NO_ERROR))
            self._over()
        elif reply is not None and (self.up is None or self.up.closed):
            reply.record_end()
            self._over(well=True)

    def release_held(self) -> None:
        """What is held back has waited long enough."""
        if self._sending.upload is not None:
            self._sending.upload.go_on(self._trailers, now=True)
        if self.reply is not None and not self.reply.done:
            self.reply.release_held()
        self.settle()

    # -- to the outboxes ---------------------------------------------------------------------------------

    def _to_client(self, wire: bytes, flavor: Flavor, kept: bytes) -> None:
        exchange = self.trip.exchange or self._trunk.session.ambient
        exchange.to_client(wire, flavor=flavor, recorded=kept)
