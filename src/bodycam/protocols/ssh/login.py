"""From a proof to a session: who it is, whether they may, and the target's login before the client's ends."""

import asyncio
import binascii
from collections.abc import Callable, Mapping
from typing import Final, final

import asyncssh

from bodycam.model.event import SessionOutcome
from bodycam.protocols.ssh.place import JUMP, NAME, Place, place
from bodycam.protocols.ssh.target import TargetConnection, TargetUnusable
from bodycam.session.grant import Challenge, Grant, Method, Refusal, Wanted
from bodycam.session.link import (
    Answer,
    AskChallenge,
    AskDial,
    AskGiveUp,
    AskOpen,
    DialDone,
    DialFailed,
    Link,
    Need,
)
from bodycam.session.session import Session

_GIVEN_UP: Final = "the client began another login, or left"

_OTHER_PROOF: Final = (
    "this user name can't be proved by a password\n"
    "Use the run's certificate (`bodycam run` gives one), its credential, or a provider's token."
)


@final
class Login:
    """The logins of one client, one at a time: as long as none has opened a session, another may be tried.

    asyncssh gives one up when the client begins the next, whatever has been asked for it by then: the answer
    to that is waited for, and taken back, before anything is asked for the next.
    """

    def __init__(
        self,
        link: Link,
        connection: Callable[[], TargetConnection],
        claims: Callable[[], Mapping[str, str]],
        host: str = "",
    ) -> None:
        """`connection` makes one to a target; `host` is `host:port` where a client has jumped to."""
        self._link, self._make, self._claims, self._host = link, connection, claims, host
        self.target = connection()
        """The connection to the target of the login that is under way, or that was the last."""
        self._answer: asyncio.Future[Answer] | None = None
        self.session: Session | None = None
        self.jumping = False
        """Whether the client only goes through, to log in at targets."""

    def answer(self, answer: Answer) -> None:
        """The answer to what was asked last."""
        asked, self._answer = self._answer, None
        if asked is None or asked.done():
            self._take_back(answer)
        else:
            asked.set_result(answer)

    def drop(self) -> None:
        """Nobody waits any more."""
        if self._answer is not None:
            self._answer.cancel()

    def _take_back(self, answer: Answer) -> None:
        """An answer to nobody: what it has opened elsewhere is closed, so that it counts no longer."""
        match answer:
            case Challenge(login=login):
                self._link.ask(AskGiveUp(login))
            case Grant():
                self._link.open(answer, self._claims()).close(SessionOutcome.FAILED, _GIVEN_UP)
            case Refusal():
                self._refused(answer)
            case DialDone():
                self._link.drop_target()
            case _:
                return
        self._link.stir()

    async def by_certificate(self, name: str, blob: bytes) -> str | None:
        """None once a session is open for the certificate's holder, else why not, in lines for people."""
        run = _run_of(blob)
        if run is None:
            return "a bare key proves nothing here: show the certificate of a run"
        if name == JUMP and not self._host:
            return await self._jump(run, blob)
        return await self._open(place(name, self._host), run, blob, b"", Method.CERTIFICATE)

    async def by_password(self, name: str, password: str) -> str | None:
        """The same by a password."""
        wanted = place(name, self._host)
        return await self._open(wanted, wanted.claimed, b"", password.encode(), Method.CLEARTEXT)

    async def _jump(self, run: str, blob: bytes) -> str | None:
        """Who holds a run's certificate may go through: what for is asked where it arrives."""
        challenge = await self._ask(AskChallenge(run, blob, encrypted=True))
        if isinstance(challenge, Refusal):
            return self._refused(challenge)
        assert isinstance(challenge, Challenge)
        self._link.ask(AskGiveUp(challenge.login))
        self.jumping = True
        self._link.ready()
        return None

    async def _open(
        self, where: Place, claimed: str, certificate: bytes, proof: bytes, method: Method
    ) -> str | None:
        challenge = await self._ask(AskChallenge(claimed, certificate, encrypted=True))
        if isinstance(challenge, Refusal):
            return self._refused(challenge)
        assert isinstance(challenge, Challenge)
        if challenge.method is not method:
            self._link.ask(AskGiveUp(challenge.login))
            return _OTHER_PROOF
        wanted = Wanted(
            NAME, where.target, where.account, self._link.address, self._claims(), where.host, named=True
        )
        answer = await self._ask(AskOpen(challenge.login, proof, wanted))
        if isinstance(answer, Refusal):
            return self._refused(answer)
        assert isinstance(answer, Grant)
        return await self._reach(answer)

    def _refused(self, refusal: Refusal) -> str:
        said = f"{refusal.message}\n{refusal.hint}" if refusal.hint else refusal.message
        if refusal.grant is not None:
            # who is known is on the record, with what was refused
            session = self._link.open(refusal.grant, self._claims())
            session.close(SessionOutcome.FAILED, refusal.message)
            self._link.stir()
        return said

    async def _reach(self, grant: Grant) -> str | None:
        """Log in to the target: the client is told that it is in only when it is."""
        session = self.session = self._link.open(grant, self._claims())
        # nothing of a login before, at this target or another, is to reach this one
        self.target.close()
        target = self.target = self._make()
        dial = grant.dial
        assert dial is not None
        why: TargetUnusable | None = None
        try:
            dialled = await self._ask(AskDial(dial))
            if isinstance(dialled, DialFailed):
                why = TargetUnusable(dialled.message, dialled.hint)
            else:
                assert isinstance(dialled, DialDone)
                await target.log_in(dial)
        except TargetUnusable as error:
            why = error
        except asyncio.CancelledError:
            self._failed(session, _GIVEN_UP)
            raise
        if why is None:
            self._link.ready()
            return None
        said = f"target {grant.target.name}: {why.message}"
        self._failed(session, said)
        return f"{said}\n{why.hint}" if why.hint else said

    def _failed(self, session: Session, why: str) -> None:
        self.session = None
        session.close(SessionOutcome.FAILED, why)
        self._link.drop_target()
        self._link.stir()

    async def _ask(self, need: Need) -> Answer:
        while self._answer is not None and not self._answer.done():
            # asked for a login before, which the client gave up
            await asyncio.wait((self._answer,))
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._link.ask(need)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if not answer.cancelled():
                answer.add_done_callback(self._came_late)
            raise

    def _came_late(self, answer: asyncio.Future[Answer]) -> None:
        if not answer.cancelled():
            self._take_back(answer.result())


def _run_of(blob: bytes) -> str | None:
    """The run that a certificate says it was given to; the control process finds out whether that is so."""
    try:
        kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")]
        shown = asyncssh.import_certificate(kind + b" " + binascii.b2a_base64(blob))
    except (asyncssh.KeyImportError, ValueError):
        return None
    principals = getattr(shown, "principals", None) or []
    return str(principals[0]) if len(principals) == 1 else None
