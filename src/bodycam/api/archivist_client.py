"""The line to the archivist: kept up, and made again when it breaks.

A transcript has a connection of its own, so that a large one never holds up the other verbs, and so that
ending it early ends the archivist's work on it too.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from bodycam.api.archivist import ArchivistAway, ArchivistRefused, Entered, Settled
from bodycam.net.channel import Channel, ChannelClosed, RemoteError, connect

log = structlog.get_logger(__name__)

CALL_SECONDS = 10.0
SETTLE_SECONDS = 60.0
RETENTION_SECONDS = 3600.0
VERIFY_SECONDS = 3600.0
TRANSCRIPT_SECONDS = 60.0
EVIDENCE_SECONDS = 600.0
"""For one piece: before the first, the ledger is looked through."""
RECONNECT_FIRST, RECONNECT_MOST = 0.05, 1.0


class ArchivistClient:
    """A client of `archivist.sock`; `run` keeps its line up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._channel: Channel | None = None

    @property
    def connected(self) -> bool:
        """Whether the line is up."""
        return self._channel is not None and not self._channel.closed.is_set()

    async def run(self) -> None:
        """Keep the line up until cancelled."""
        pause = RECONNECT_FIRST
        while True:
            try:
                channel = await connect(self._path, _hear)
            except ChannelClosed:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_MOST)
                continue
            pause, self._channel = RECONNECT_FIRST, channel
            try:
                await channel.run()
                log.warning("the archivist went away; transcripts and the ledger wait for it")
            finally:
                self._channel = None
                channel.close()

    def transcript(self, session: str) -> AsyncIterator[Sequence[Any]]:
        """The decrypted events of a session; the archivist stops when the iterator is closed."""
        return self._stream("transcript", {"session": session}, TRANSCRIPT_SECONDS)

    def evidence(self, run: str, kept: Sequence[int]) -> AsyncIterator[Any]:
        """How many sessions, then the pieces; the archivist stops when the iterator is closed."""
        return self._stream("evidence", {"run": run, "kept": list(kept)}, EVIDENCE_SECONDS)

    async def _stream(self, verb: str, body: Any, timeout: float) -> AsyncIterator[Any]:
        try:
            channel = await connect(self._path, _hear)
        except ChannelClosed as error:
            raise ArchivistAway(str(error)) from error
        reading = asyncio.create_task(channel.run())
        try:
            with _said():
                async for one in channel.stream(verb, body, timeout=timeout):
                    yield one
        finally:
            channel.close()
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def head(self) -> dict[str, Any]:
        """The latest signed head of the ledger."""
        return dict(await self._call("head", {}))

    async def settle(self, sessions: Sequence[str], timeout: float) -> Settled:
        """Wait up to `timeout` seconds until these sessions are sealed."""
        body = {"sessions": list(sessions), "timeout": timeout}
        said = await self._call("settle", body, timeout + CALL_SECONDS)
        return Settled(tuple(said["sealed"]), tuple(said["missing"]), dict(said["head"]))

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof that one size of the ledger extends another."""
        return [bytes(one) for one in await self._call("consistency", {"first": first, "second": second})]

    async def enter(self, action: str, actor: str, object: str, detail: dict[str, Any]) -> Entered:  # noqa: A002
        """Put an act, as a salted hash, into the ledger."""
        body = {"action": action, "actor": actor, "object": object, "detail": detail}
        said = await self._call("admin", body)
        return Entered(int(said["index"]), bytes(said["salt"]))

    async def retention_plan(self, within: float, limit: int) -> dict[str, Any]:
        """What retention would delete now and within so many seconds."""
        body = {"within": within, "limit": limit}
        return dict(await self._call("retention-plan", body, RETENTION_SECONDS))

    async def retention_apply(self, actor: str, *, trust_clock: bool) -> dict[str, Any]:
        """Delete what is due."""
        body = {"actor": actor, "trust_clock": trust_clock}
        return dict(await self._call("retention-apply", body, RETENTION_SECONDS))

    async def redaction_fingerprint(self, value: bytes) -> str:
        """The keyed fingerprint of a value."""
        return str(await self._call("redaction-fingerprint", {"value": value}))

    async def redact(
        self,
        value: bytes,
        *,
        actor: str,
        reason: str,
        run: str | None,
        plan: bool,
        held: bool,
        wait: float,
    ) -> dict[str, Any]:
        """Take a value out of recordings, index and the catalog's records, after `wait` seconds at most."""
        body = {"value": value, "actor": actor, "reason": reason, "run": run, "plan": plan, "held": held}
        return dict(await self._call("redact", body | {"wait": wait}, RETENTION_SECONDS + wait))

    async def settle_holds(self) -> None:
        """Wait until holds that are in the catalog are heeded."""
        await self._call("settle-holds", {}, SETTLE_SECONDS)

    async def verify(self) -> dict[str, Any]:
        """Check recordings and ledger against each other."""
        return dict(await self._call("verify", {}, VERIFY_SECONDS))

    async def status(self) -> dict[str, Any]:
        """The archivist's gauges and counters."""
        return dict(await self._call("status", {}, 3.0))

    async def _call(self, verb: str, body: Any, timeout: float = CALL_SECONDS) -> Any:
        if self._channel is None:
            raise ArchivistAway(f"the archivist does not listen at {self._path}")
        with _said():
            return await self._channel.call(verb, body, timeout=timeout)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (ChannelClosed, TimeoutError) as error:
        raise ArchivistAway(str(error) or "the archivist did not answer in time") from error
    except RemoteError as error:
        raise ArchivistRefused(error.code, str(error)) from error


async def _hear(_channel: Channel, verb: str, _body: Any) -> None:
    log.info("the archivist said something that this process does not know", verb=verb)
