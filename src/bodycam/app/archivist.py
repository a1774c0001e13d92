"""The archivist's wiring: signing key and key-encryption key, and no listener but its socket."""

import asyncio
import gc
import os
import signal
import threading
from functools import partial
from typing import Any

import structlog

from bodycam import __version__
from bodycam.app.fingerprint_key import CACHE, fingerprint_key
from bodycam.app.keyrings import journal_opener, kek_for, keys_there, open_keyring
from bodycam.app.shared import ARCHIVIST_SOCKET, open_catalog, snapshot_file
from bodycam.archive import deletions
from bodycam.archive.archivist import ArchiveSettings, Archivist, Folders
from bodycam.archive.due import Proposals
from bodycam.archive.evidence.preparing import Sources
from bodycam.archive.evidence.writing import evidence
from bodycam.archive.index import Indexer, IndexSettings
from bodycam.archive.indexing import ContainerIndexer, IndexThread, Markers
from bodycam.archive.keeper import Keeper
from bodycam.archive.keys import KeysUnusable, load_archivist, load_public
from bodycam.archive.keystore import KeyStore
from bodycam.archive.keywatch import KeyWatch
from bodycam.archive.ledger import Ledger, LedgerDamaged
from bodycam.archive.redacting import Redactor
from bodycam.archive.removal import Removal
from bodycam.archive.rewrapping import Rewrapper
from bodycam.archive.sealing import Sealer
from bodycam.archive.service import ArchivistService
from bodycam.archive.store.local import LocalStore
from bodycam.archive.store.measured import MeasuredStore
from bodycam.archive.succession import successions
from bodycam.archive.verify import Verifier
from bodycam.catalog import sessions as catalog_sessions
from bodycam.catalog.engine import reading
from bodycam.config import Settings, from_snapshot
from bodycam.config.retention import Retention
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.registry import TRANSCRIPTS

log = structlog.get_logger(__name__)

NICE = 5


async def run_archivist(settings: Settings, stop: asyncio.Event) -> None:
    """The archivist: signing key and key-encryption key, and no listener but its socket."""
    # what it does can wait a little where there is not enough of the processor; a query can't
    os.nice(NICE)
    _collect_seldom()
    data = settings.storage.data
    keys = load_archivist(settings.keys)
    engine = await open_catalog(settings)
    store = MeasuredStore(LocalStore(data / "recordings"))
    keystore = KeyStore(data / "keystore" / "keys.db", open_keyring(settings))
    ledger = Ledger(data / "ledger", keys.signing, successions(settings.keys / "public"))
    opener = journal_opener(settings.keys)
    staging = data / "staging"
    markers = Markers(staging / "unindexed")
    index = IndexThread(
        ContainerIndexer(Indexer(engine, TRANSCRIPTS, index_settings(settings)), store, keystore), markers
    )
    sealer = Sealer(staging / "intent", store, keystore, keys.signing)
    archivist = Archivist(
        Folders(journal=data / "journal", staging=staging),
        journal_key=opener,
        kek_for=kek_for(settings),
        ledger=ledger,
        keystore=keystore,
        sealer=sealer,
        index=index,
        settings=ArchiveSettings(
            seal_interval=settings.archive.seal_interval,
            checkpoint_interval=settings.archive.checkpoint_interval,
            head_interval=settings.archive.head_interval,
            block=settings.archive.block_size,
        ),
    )

    def verify() -> dict[str, Any]:
        signing = load_public(settings.keys).signing
        verifier = Verifier(data / "ledger", store, signing, pinned=False, journal_key=opener)
        with keeper.passing:  # nothing is rewritten meanwhile
            return verifier.run().to_plain()

    def find(session: str) -> catalog_sessions.Place | None:
        with reading(engine) as connection:
            found = catalog_sessions.get_session(connection, session)
            return None if found is None else found.place

    def rules() -> tuple[Retention, ...]:
        # read each time: a reload changes what the supervisor wrote there
        return from_snapshot(snapshot_file(settings).read_bytes()).retention

    tombstones = deletions.DeletionFile(data / "ledger")
    keeper = Keeper(
        archivist,
        removal=Removal(archivist, tombstones, store, keystore, engine),
        proposals=Proposals(engine, store, keystore),
        store=store,
        keystore=keystore,
        engine=engine,
        records=lambda: deletions.read(data / "ledger"),
        rules=rules,
        unindexed=markers.names,
        interval=settings.archive.retention_interval,
    )
    sources = Sources(archivist, store, keystore, engine, TRANSCRIPTS, data, __version__)
    redactor = Redactor(
        archivist,
        folder=data / "ledger",
        staging=staging,
        store=store,
        keystore=keystore,
        engine=engine,
        fingerprint=Fingerprints(fingerprint_key(data / CACHE)).of_value,
        signing=lambda: sealer.signing,
        reindex=index.anew,
        unindexed=markers.names,
        busy=keeper.passing,
    )
    watch = KeyWatch(archivist, keystore, engine, lambda: keys_there(settings, keystore.keyring))
    service = ArchivistService(
        archivist,
        store=store,
        keystore=keystore,
        find=find,
        verify=verify,
        keeper=keeper,
        evidence=partial(evidence, sources),
        redactor=redactor,
        rewrapper=Rewrapper(keystore, watch.look),
        stored=lambda: store.total,
    )

    def take_keys() -> None:
        """A reload: another signing key may have taken the old one's place."""
        try:
            archivist.sign_with(load_archivist(settings.keys).signing, successions(settings.keys / "public"))
        except (KeysUnusable, LedgerDamaged, OSError) as error:
            log.error("the signing key can't be taken over; the old one stays in use", error=str(error))

    asyncio.get_running_loop().add_signal_handler(
        signal.SIGHUP, lambda: threading.Thread(target=take_keys, name="take-keys", daemon=True).start()
    )
    keystore.keyring.start()
    index.start()
    threading.Thread(target=store.measure, name="measure", daemon=True).start()
    try:
        await service.run(settings.storage.sockets / ARCHIVIST_SOCKET, stop)
    finally:
        index.stop()
        keystore.keyring.stop()
        tombstones.close()
        keystore.close()
        engine.dispose()


def _collect_seldom() -> None:
    """Let the garbage collector leave what is loaded alone, and seldom look at all that passes through.

    They are in no cycles; looking at them again and again would be a quarter of what the index costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def index_settings(settings: Settings) -> IndexSettings:
    """How much is indexed."""
    wanted = settings.archive.index
    return IndexSettings(
        values=wanted.value_limit if wanted.values else 0,
        error=wanted.value_limit,
        output=wanted.output_limit if wanted.output else 0,
    )
