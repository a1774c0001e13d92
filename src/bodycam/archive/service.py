"""The archivist as a process: a thread that steps, and a socket at which the control process asks."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bodycam.archive.archivist import Archivist
from bodycam.archive.evidence.preparing import EvidenceRefused
from bodycam.archive.format.container import SessionReader
from bodycam.archive.keeper import Failures, Keeper
from bodycam.archive.kek import KeyAway
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.leaf import detail_text
from bodycam.archive.ledger import Leaf, new_salt, salted
from bodycam.archive.redacting import Redactor
from bodycam.archive.rewrapping import Rewrapper
from bodycam.archive.store import Store, StoreUnavailable
from bodycam.catalog.sessions import Place
from bodycam.model import ids
from bodycam.net.channel import Channel, ChannelServer, RemoteError

log = structlog.get_logger(__name__)

HURRIED_PAUSE, IDLE_PAUSE, LONGEST_PAUSE = 0.001, 0.01, 0.05
"""Seconds between steps: while there is more than one takes, after one that found nothing, and at most.

An archivist that keeps up takes the longest: a step costs as much for ten exchanges as for a thousand.
"""

TRANSCRIPTS_AT_ONCE = 8
BUNDLES_AT_ONCE = 2
SETTLE_POLL = 0.02
CHUNK = 256

FindPlace = Callable[[str], Place | None]
Evidence = Callable[[str, list[int]], tuple[int, Iterator[bytes]]]
"""A run and sizes of kept heads -> how many sessions its bundle tells of, and the bundle."""


class ArchivistService:
    """Runs an archivist, and answers what the control process asks of it."""

    def __init__(
        self,
        archivist: Archivist,
        *,
        store: Store,
        keystore: KeyStore,
        find: FindPlace,
        verify: Callable[[], dict[str, Any]],
        keeper: Keeper | None = None,
        evidence: Evidence | None = None,
        redactor: Redactor | None = None,
        rewrapper: Rewrapper | None = None,
        stored: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`stored` says how many bytes the recordings take, or None while it is not known."""
        self._stored = stored
        self._redactor, self._rewrapper = redactor, rewrapper
        self._archivist, self._store, self._keystore = archivist, store, keystore
        self._find, self._verify, self._keeper = find, verify, keeper
        self._evidence, self._bundles = evidence, asyncio.Semaphore(BUNDLES_AT_ONCE)
        self._server = ChannelServer(self._answer)
        self._transcripts = asyncio.Semaphore(TRANSCRIPTS_AT_ONCE)
        self._verifying = asyncio.Lock()
        self._stopping = threading.Event()

    async def run(self, socket: Path, stop: asyncio.Event) -> None:
        """Serve until `stop`, or until the stepping thread fails; then seal what has ended.

        Raises:
            Exception: what made the stepping thread fail; the supervisor starts a new process.
        """
        await asyncio.to_thread(self._archivist.recover)
        if self._rewrapper is not None:
            self._rewrapper.start()
        if self._redactor is not None:
            done = await asyncio.to_thread(self._redactor.recover, self._archivist.known.redacted)
            if done:
                log.info("redactions that were under way are finished", recordings=done)
        if self._keeper is not None:
            self._keeper.start()
        await self._server.start(socket)
        stepping = asyncio.create_task(asyncio.to_thread(self._step))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stepping, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            stopped.cancel()
            await self._server.stop()
            # nobody else writes to the ledger any more when it is closed
            for other in (self._redactor, self._rewrapper):
                if other is not None:
                    await asyncio.to_thread(other.stop)
            if self._keeper is not None:
                await asyncio.to_thread(self._keeper.stop)
            await stepping
            await asyncio.to_thread(self._archivist.close)

    def _step(self) -> None:
        pause = IDLE_PAUSE
        while not self._stopping.is_set():
            if not self._archivist.step():
                pause = min(pause * 1.5, LONGEST_PAUSE)
                self._stopping.wait(pause)
            elif self._archivist.behind:
                self._stopping.wait(HURRIED_PAUSE)
            else:
                pause = IDLE_PAUSE
                self._stopping.wait(LONGEST_PAUSE)

    async def _answer(self, channel: Channel, verb: str, body: Any) -> Any:
        match verb:
            case "transcript":
                return self._transcript(str(body["session"]))
            case "head":
                return self._archivist.ledger.head().to_plain()
            case "settle":
                return await self._settle([str(one) for one in body["sessions"]], float(body["timeout"]))
            case "consistency":
                return await asyncio.to_thread(self._consistency, int(body["first"]), int(body["second"]))
            case "admin":
                return await asyncio.to_thread(self._admin, body)
            case "verify":
                async with self._verifying:
                    return await asyncio.to_thread(self._verify)
            case "status":
                told = await asyncio.to_thread(self._archivist.status)
                told["recordings_bytes"] = self._stored()
                return told if self._keeper is None else told | self._keeper.status()
            case "retention-plan" if self._keeper is not None:
                within, limit = float(body["within"]), int(body["limit"])
                with _retention():
                    return (await asyncio.to_thread(self._keeper.plan, within, limit)).to_plain()
            case "retention-apply" if self._keeper is not None:
                apply = partial(self._keeper.apply, str(body["actor"]), trust_clock=bool(body["trust_clock"]))
                with _retention():
                    return (await asyncio.to_thread(apply)).to_plain()
            case "evidence" if self._evidence is not None:
                return self._bundle(self._evidence, str(body["run"]), [int(one) for one in body["kept"]])
            case "redaction-fingerprint" if self._redactor is not None:
                return self._redactor.fingerprint(bytes(body["value"]))
            case "redact" if self._redactor is not None:
                redact = partial(
                    self._redactor.redact,
                    bytes(body["value"]),
                    actor=str(body["actor"]),
                    reason=str(body["reason"]),
                    run=None if body["run"] is None else str(body["run"]),
                    plan=bool(body["plan"]),
                    held=bool(body["held"]),
                )
                await self._sealed(self._redactor, redact.keywords["run"], float(body["wait"]))
                with _redaction():
                    return (await asyncio.to_thread(redact)).to_plain()
            case "settle-holds" if self._keeper is not None:
                return await asyncio.to_thread(self._keeper.settle)
            case _:
                raise RemoteError("unknown-verb", f"the archivist has no answer to {verb!r}")

    async def _transcript(self, session: str) -> AsyncIterator[Any]:
        async with self._transcripts:
            events = await asyncio.to_thread(self._events, session)
            while chunk := await asyncio.to_thread(_take, events, CHUNK):
                for event in chunk:
                    yield event

    async def _bundle(self, evidence: Evidence, run: str, kept: list[int]) -> AsyncIterator[Any]:
        """How many sessions there are, then the bundle, piece by piece."""
        async with self._bundles:
            with _evidence():
                sessions, pieces = await asyncio.to_thread(evidence, run, kept)
                yield sessions
                while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                    yield piece

    def _events(self, session: str) -> Iterator[list[Any]]:
        """The events of a session, live or sealed.

        Raises:
            RemoteError: there is no such session, or its key was destroyed.
        """
        try:
            raw = ids.raw(session)
        except ValueError as error:
            raise RemoteError("not-found", str(error)) from error
        live = self._archivist.live(raw)
        if live is not None:
            return live
        recent = self._archivist.recent(raw)
        if recent is None:
            found = self._find(session)
            if found is None:
                raise RemoteError("not-found", f"no recording of session {session}")
            name, offset, length = found.object, found.offset, found.length
        else:
            name, offset, length = recent[0], recent[1].offset, recent[1].length
        try:
            key = self._keystore.get(raw)
        except KeyGone as error:
            raise RemoteError(
                "deleted", f"the recording of {session} can't be read: {error.args[0]}"
            ) from error
        except KeyAway as error:
            raise RemoteError("key-away", f"the recording of {session} can't be read now: {error}") from error
        reader = SessionReader(lambda at, size: self._store.get_range(name, at, size), offset, length)
        return reader.events(key)

    async def _settle(self, sessions: list[str], timeout: float) -> dict[str, Any]:
        """Wait until these sessions are sealed, then give a head that covers them."""
        waiting = set(sessions)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    waiting = {one for one in waiting if not self._archivist.is_sealed(ids.raw(one))}
                    if not waiting:
                        break
                    await asyncio.sleep(SETTLE_POLL)
        return {
            "sealed": [one for one in sessions if one not in waiting],
            "missing": sorted(waiting),
            "head": self._archivist.ledger.head().to_plain(),
        }

    async def _sealed(self, redactor: Redactor, run: str | None, seconds: float) -> None:
        """Until what is open now is sealed and indexed, or that time is over."""
        deadline = time.monotonic() + seconds
        waited = await asyncio.to_thread(redactor.unsealed, run)
        while time.monotonic() < deadline and not self._stopping.is_set():
            if not await asyncio.to_thread(redactor.away, waited):
                return
            await asyncio.sleep(LONGEST_PAUSE)

    def _consistency(self, first: int, second: int) -> list[bytes]:
        with self._archivist.lock:
            try:
                return self._archivist.ledger.consistency(first, second)
            except ValueError as error:
                raise RemoteError("no-such-head", str(error)) from error

    def _admin(self, body: dict[str, Any]) -> dict[str, Any]:
        """Enter an administrative act, or a viewing, by its salted hash; the caller keeps the details."""
        salt = new_salt()
        action, target = str(body["action"]), str(body["object"])
        digest = salted(action, str(body["actor"]), target, detail_text(body.get("detail")), salt=salt)
        with self._archivist.lock:
            ledger = self._archivist.ledger
            if action == "viewed" and target.startswith(f"{ids.SESSION}_"):
                ledger.append([Leaf.VIEWED, ids.raw(target), digest])
            else:
                ledger.append([Leaf.ADMIN, digest])
            head = ledger.commit()
        return {"index": head.size - 1, "salt": salt, "leaf": digest}


@contextlib.contextmanager
def _retention() -> Iterator[None]:
    try:
        yield
    except Failures as error:
        log.error("retention was asked for and did not come to its end", error=str(error))
        raise RemoteError("retention-failed", f"retention did not come to its end: {error}") from error


@contextlib.contextmanager
def _evidence() -> Iterator[None]:
    try:
        yield
    except EvidenceRefused as error:
        raise RemoteError(error.code, str(error)) from error
    except (StoreUnavailable, OSError) as error:
        log.error("a bundle of evidence could not be made", error=str(error))
        raise RemoteError("evidence-failed", f"the bundle can't be made: {error}") from error


@contextlib.contextmanager
def _redaction() -> Iterator[None]:
    try:
        yield
    except Failures as error:
        log.error("a redaction did not come to its end", error=str(error))
        what = "the redaction did not come to its end; what it changed is whole"
        raise RemoteError("redaction-failed", f"{what}: {error}") from error


def _take(events: Iterator[list[Any]], count: int) -> list[list[Any]]:
    taken = []
    for event in events:
        taken.append(event)
        if len(taken) >= count:
            break
    return taken
