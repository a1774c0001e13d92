"""`bodycam reindex`: the index and all rows about exchanges, built anew from the recordings."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress

from bodycam import config
from bodycam.app.archivist import index_settings
from bodycam.archive.index import Indexer
from bodycam.archive.indexing import ContainerIndexer, reindex
from bodycam.archive.keys import KeysUnusable, load_archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.catalog.schema import migrate
from bodycam.cli.catalog_door import catalog_of
from bodycam.cli.failure import NO, Failure
from bodycam.cli.options import Json, Settings
from bodycam.cli.printing import print_json, tell
from bodycam.registry import PROTOCOLS, TRANSCRIPTS


def command(settings: Settings = "bodycam.yaml", as_json: Json = False) -> None:
    """Rebuild the search index from the recordings; the gateway must be stopped."""
    loaded = config.load(Path(settings), protocols=PROTOCOLS)
    try:
        wrapping = load_archivist(loaded.keys).wrapping
    except KeysUnusable as error:
        raise Failure(f"the archivist's keys can't be used: {error}") from error
    data = loaded.storage.data
    with _alone(data / "staging"):
        engine = catalog_of(loaded)
        keystore = KeyStore(data / "keystore" / "keys.db", wrapping)
        store = LocalStore(data / "recordings")
        try:
            migrate(engine)
            names = list(store.list())
            containers = ContainerIndexer(
                Indexer(engine, TRANSCRIPTS, index_settings(loaded)), store, keystore
            )
            with Progress(console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task("recordings", total=len(names))
                sessions, faults = reindex(
                    containers, progress.track(names, task_id=task), lambda _done: None
                )
        finally:
            keystore.close()
            engine.dispose()
    if as_json:
        print_json({"sessions": sessions, "recordings": len(names), "faults": faults})
    else:
        tell(f"indexed {sessions} sessions of {len(names)} recordings")
        for fault in faults:
            tell(fault)
    if faults:
        raise typer.Exit(NO)


@contextmanager
def _alone(staging: Path) -> Iterator[None]:
    """The archivist's own lock, so that no gateway writes to the index meanwhile.

    Raises:
        Failure: a gateway is running.
    """
    staging.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(staging / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise Failure(
            f"a gateway is using {staging.parent}", hint="stop it first, then run `bodycam reindex` again"
        ) from error
    try:
        yield
    finally:
        os.close(lock)
