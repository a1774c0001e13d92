"""A worker's wiring: the archivist's public key, the runs' authority's certificate, and no other key."""

import asyncio
import gc
import secrets
import signal
import socket
from collections.abc import Mapping
from functools import partial

import structlog

from bodycam import __version__
from bodycam.app.judging import adopt, decision_point
from bodycam.app.key_files import RUN_AUTHORITY_PUBLIC
from bodycam.app.masking import WorkerMasking
from bodycam.app.shared import CONTROL_SOCKET, snapshot_file
from bodycam.archive.keys import load_public
from bodycam.config import Settings, from_snapshot
from bodycam.config.keeping import Fsync as FsyncSetting
from bodycam.gateway.certificate import ListenerCertificate
from bodycam.gateway.control import ControlLine
from bodycam.gateway.listener import Door, Listener
from bodycam.gateway.worker import Worker
from bodycam.gateway.worker_limits import WorkerLimits
from bodycam.journal.settings import Fsync, JournalSettings
from bodycam.journal.writer import JournalWriter
from bodycam.registry import PROTOCOLS

log = structlog.get_logger(__name__)

GC_ALLOCATIONS = 50_000


async def run_worker(
    settings: Settings, number: int, listeners: Mapping[str, int], stop: asyncio.Event
) -> None:
    """A worker: it loads the archivist's public key and the public half of the runs' authority, no other."""
    incarnation = secrets.token_bytes(16)
    journal = await asyncio.to_thread(
        JournalWriter.create,
        settings.storage.data / "journal" / incarnation.hex(),
        incarnation=incarnation,
        recipient=load_public(settings.keys).archivist,
        settings=journal_settings(settings),
    )
    limits = settings.limits
    own = None
    if settings.tls.certificate is not None and settings.tls.key is not None:
        own = (settings.tls.key, settings.tls.certificate)
    clients = None
    if settings.tls.enabled:
        clients = (settings.keys / RUN_AUTHORITY_PUBLIC).read_bytes()
    masking = await asyncio.to_thread(WorkerMasking, settings)
    policy = decision_point(settings, masking.open.origins)
    worker = Worker(
        number,
        journal=journal,
        line=lambda orders: ControlLine(settings.storage.sockets / CONTROL_SOCKET, orders),
        certificate=ListenerCertificate(enabled=settings.tls.enabled, own=own, clients=clients),
        policy=policy,
        redaction=masking.redactor,
        masking=masking.open,
        used=policy.used,
        limits=WorkerLimits(
            login_timeout=limits.login_timeout,
            pending_logins=max(1, limits.pending_logins // settings.workers),
            connections=limits.connections,
            message_size=limits.message_size,
            message_seconds=limits.message_timeout,
            drain_timeout=limits.drain_timeout,
        ),
        version=__version__,
    )
    for name, descriptor in listeners.items():
        protocol = PROTOCOLS[name]
        protocol.load()
        door = Door(
            protocol,
            tls=partial(worker.certificate.context, protocol.alpn),
            make_link=worker.make_link,
            admit=worker.admit,
            stranger=worker.strangers.add,
            login_timeout=limits.login_timeout,
        )
        listener = Listener(
            socket.socket(fileno=descriptor), door, pending_limit=worker.limits.pending_logins
        )
        worker.listen(listener, protocol)

    async def mask_by(changed: Settings) -> None:
        await asyncio.to_thread(masking.adopt, changed)
        worker.redaction = masking.redactor
        log.info("changed masks are in use", worker=number)

    def reload() -> None:
        """The supervisor has written changed settings; what is wrong with them was found there."""
        changed = from_snapshot(snapshot_file(settings).read_bytes())
        journal.write_to(load_public(settings.keys).archivist)
        adopt(policy, changed)
        worker.spawn(mask_by(changed))
        log.info("changed rules are in use", worker=number, policy=policy.version)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
    # what is alive now stays alive; of what comes, little is left after a message, and nothing in cycles
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)
    await worker.run(stop)


def journal_settings(settings: Settings) -> JournalSettings:
    """The journal as the settings want it; a segment is a whole number of pages."""
    wanted = settings.journal
    return JournalSettings(
        segment_bytes=wanted.segment_size // 4096 * 4096,
        max_bytes=wanted.max_size,
        fsync=Fsync.STRICT if wanted.fsync is FsyncSetting.STRICT else Fsync.INTERVAL,
        fsync_interval=wanted.fsync_interval,
    )
