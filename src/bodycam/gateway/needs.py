"""What the machines of a worker's links ask for, fulfilled: each need by the part that can."""

import time
from collections.abc import Callable
from typing import final

from bodycam.gateway import dialer
from bodycam.gateway.approvals import Approvals
from bodycam.gateway.cancels import Cancels
from bodycam.gateway.control import ControlLine
from bodycam.gateway.errand import Errands
from bodycam.gateway.glance import look
from bodycam.gateway.host_key import KnownHostKey
from bodycam.gateway.interception import Interception
from bodycam.gateway.link import ProxyLink
from bodycam.gateway.patience import Patience
from bodycam.gateway.upgrade import upgrade
from bodycam.model.target import Dial, TlsMode
from bodycam.protocols import TargetOpening
from bodycam.session.link import (
    Answer,
    AskApproval,
    AskCancel,
    AskChallenge,
    AskDial,
    AskErrand,
    AskGiveUp,
    AskHostKey,
    AskLook,
    AskOpen,
    AskRespond,
    AskServed,
    AskUpgrade,
    CancelPassed,
    DialDone,
    GivenUp,
    Need,
    Served,
)
from bodycam.session.renewal import AskRenewal, Renewed


@final
class Needs:
    """Answers needs; `target_openings` are of the protocols that the worker serves, by their names.

    `shown` is the certificate, in DER, that a link's client showed in TLS.
    """

    def __init__(
        self,
        line: ControlLine,
        *,
        cancels: Cancels,
        approvals: Approvals,
        interception: Interception,
        host_key: KnownHostKey,
        login_timeout: float,
    ) -> None:
        self._line, self._cancels, self._approvals = line, cancels, approvals
        self._interception, self._host_key, self._login_timeout = interception, host_key, login_timeout
        self._errands, self._at_target = Errands(), Patience()
        self._ready: set[ProxyLink] = set()
        self.target_openings: dict[str, Callable[[TlsMode], TargetOpening]] = {}
        self.shown: dict[ProxyLink, bytes] = {}

    async def fulfil(self, link: ProxyLink, need: Need) -> Answer:
        """Answer what a link's machine needs."""
        match need:
            case AskChallenge(name=name):
                return await self._line.challenge(
                    name,
                    secure=link.secure or need.encrypted,
                    encrypted=link.encrypted or need.encrypted,
                    address=link.address,
                    certificate=need.certificate or self.shown.get(link, b""),
                )
            case AskServed(where=where, seen_from=seen_from):
                protocol, at = await self._line.served(where, seen_from)
                return Served(where, protocol if protocol in self.target_openings else "", at)
            case AskHostKey():
                return await self._host_key.get()
            case AskRespond(login=login, data=data):
                return await self._line.respond(login, data)
            case AskOpen(login=login, proof=proof, wanted=wanted):
                return await self._line.open(login, proof, wanted)
            case AskGiveUp(login=login):
                self._line.tell("given-up", {"login": login})
                return GivenUp()
            case AskApproval():
                return await self._approvals.request(link, need)
            case AskCancel(key=key):
                await self._cancels.request(key)
                return CancelPassed()
            case AskErrand(dial=dial, errand=work):
                return await self._errands.run(dial, self.opening(link, dial), work)
            case AskDial(dial=dial):
                began = time.monotonic()
                answer = await dialer.dial(link, dial, self.opening(link, dial))
                if isinstance(answer, DialDone) and link not in self._ready:
                    self._at_target.await_login(link, dial.connect_timeout, began)
                return answer
            case AskRenewal(session=session):
                return Renewed(await self._line.renew(session))
            case AskLook():
                return await look(link, self._login_timeout)
            case AskUpgrade():
                return await upgrade(link, need, self._interception, self._login_timeout)

    def opening(self, link: ProxyLink, dial: Dial) -> TargetOpening:
        """How a connection to the target of the link's session begins."""
        assert link.session is not None
        return self.target_openings[link.session.grant.target.protocol](dial.tls)

    def ready(self, link: ProxyLink) -> None:
        """The link's login is over: the target that it has, or gets from now on, owes none."""
        self._at_target.answered(link)
        self._ready.add(link)

    def forget(self, link: ProxyLink) -> None:
        """The link is gone."""
        self._at_target.answered(link)
        self._ready.discard(link)
        self.shown.pop(link, None)
