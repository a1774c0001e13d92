"""Answers by which the target takes the gateway's token no more: held until there is a new one, or none."""

from collections.abc import Callable
from dataclasses import replace
from typing import final

from h2 import events

from bodycam.model.target import Dial
from bodycam.protocols.http.h2.codes import CANCEL
from bodycam.protocols.http.h2.far_side import FarSide
from bodycam.protocols.http.h2.stream import Stream
from bodycam.protocols.http.renewal import SENT_AGAIN, UNAUTHORIZED
from bodycam.session.link import Link
from bodycam.session.renewal import AskRenewal
from bodycam.session.session import Session


@final
class Renewing:
    """The streams of one session that wait for a new token, and what has come on them; `give` lets it go on.

    What comes is bounded by their windows, of which nothing is given back meanwhile.
    """

    def __init__(
        self, link: Link, session: Session, far: FarSide, give: Callable[[events.Event], None]
    ) -> None:
        self._link, self._session, self._far, self._give = link, session, far, give
        self._held: dict[int, list[events.Event]] = {}
        self._asked = False

    def holds(self, number: int, event: events.Event) -> bool:
        """Whether what came on a stream of the target's has to wait."""
        held = self._held.get(number)
        if held is not None:
            held.append(event)
            return True
        if not isinstance(event, events.ResponseReceived):
            return False
        stream = self._far.streams[number]
        if not _renewable(stream) or not _refused(event):
            return False
        self._held[number] = [event]
        if not self._asked:
            self._asked = True
            self._link.ask(AskRenewal(self._session.grant.session))
        return True

    def renewed(self, dial: Dial | None) -> None:
        """There is something new for the target, or nothing."""
        self._asked = False
        if dial is None:
            self.give_up()
            return
        self._session.grant = replace(self._session.grant, dial=dial)
        held, self._held = self._held, {}
        again: list[Stream] = []
        for number, came in held.items():
            stream = self._far.streams.get(number)
            if stream is None:
                continue
            if stream.in_vain(SENT_AGAIN):
                del self._far.streams[number]
                self._far.endpoint.reset(number, CANCEL)
                # for the last time, and another answer comes
                stream.trip.keeps, stream.reply = False, None
                again.append(stream)
            else:
                self._go_on(came)
        self._far.back(again)

    def give_up(self) -> None:
        """What was held goes on as it came."""
        held, self._held = self._held, {}
        for came in held.values():
            self._go_on(came)

    def _go_on(self, came: list[events.Event]) -> None:
        for event in came:
            self._give(event)


def _renewable(stream: Stream) -> bool:
    """Whether all of it has gone to the target by a token that may be renewed, and could do so again."""
    return stream.trip.keeps and stream.up is not None and stream.up.closed


def _refused(event: events.ResponseReceived) -> bool:
    return dict(event.headers or ()).get(b":status") == b"%d" % UNAUTHORIZED
