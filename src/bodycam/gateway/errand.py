"""Runs an errand at a target: a connection of the gateway's own, ended with it, within a deadline."""

import asyncio
from collections.abc import Hashable
from typing import Final, cast, final

from bodycam.gateway import dialer
from bodycam.model.target import Dial
from bodycam.net.opening import Retry
from bodycam.protocols import TargetOpening
from bodycam.session.errands import Errand, ErrandFailed
from bodycam.session.link import DialFailed, ErrandDone

SECONDS: Final = 15.0
"""How long an errand may take once its connection stands."""


@final
class Errands:
    """The errands of one worker; whoever asks for one that is under way waits for that."""

    def __init__(self) -> None:
        self._pending: dict[tuple[Dial, Hashable], asyncio.Task[ErrandDone]] = {}

    async def run(self, wanted: Dial, opening: TargetOpening, errand: Errand) -> ErrandDone:
        """Do it, unless another for the same is under way; the answer says which was done."""
        key = (wanted, errand.purpose)
        task = self._pending.get(key)
        if task is None:
            task = self._pending[key] = asyncio.create_task(run(wanted, opening, errand))
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        # who leaves doesn't take the answer away from others
        return await asyncio.shield(task)


async def run(wanted: Dial, opening: TargetOpening, errand: Errand) -> ErrandDone:
    """Do it; what fails is said in the answer."""
    side = _Side(errand)
    try:
        async with asyncio.timeout(wanted.connect_timeout + SECONDS):
            while isinstance(outcome := await dialer.attempt(wanted, opening, lambda: side), Retry):
                pass
            if isinstance(outcome, DialFailed):
                return ErrandDone(outcome.message)
            side.begin(outcome.secure, outcome.certificate)
            return ErrandDone(await side.done, errand)
    except TimeoutError:
        return ErrandDone("the target did not answer in time")
    finally:
        side.close()


@final
class _Side(asyncio.Protocol):
    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def begin(self, secure: bool, certificate: bytes) -> None:
        """The opening is over."""
        assert self._transport is not None
        self._transport.write(self._errand.begun(secure, certificate))

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self.done.done():
            return
        try:
            self._transport.write(self._errand.receive(data))
        except ErrandFailed as error:
            self._end(str(error))
            return
        if self._errand.over:
            self._end("")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the target closed the connection")

    def close(self) -> None:
        """Let go of the connection."""
        if self._transport is not None:
            self._transport.close()

    def _end(self, failure: str) -> None:
        if not self.done.done():
            self.done.set_result(failure)
