"""`bodycam reindex`: rebuild the search index and all rows about exchanges from the recordings."""

import asyncio
import socket
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.exc import SQLAlchemyError

from bodycam.app.archivist import index_settings
from bodycam.app.judging import load_settings
from bodycam.app.keyrings import open_keyring
from bodycam.app.shared import ARCHIVIST_SOCKET, open_catalog
from bodycam.archive.index import Indexer
from bodycam.archive.indexing import ContainerIndexer, reindex
from bodycam.archive.keys import KeysUnusable, load_archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.cli.failure import NO, Failure
from bodycam.cli.options import Json
from bodycam.cli.options import Settings as SettingsFile
from bodycam.cli.printing import print_json, tell
from bodycam.config import Settings
from bodycam.registry import TRANSCRIPTS


def command(settings: SettingsFile = "bodycam.yaml", as_json: Json = False) -> None:
    """Rebuild the index from the recordings, which are the truth; the gateway must be stopped.

    Exits 1 if a recording could not be read; the others are indexed all the same.
    """
    loaded = load_settings(Path(settings))
    _refuse_running(loaded.storage.sockets / ARCHIVIST_SOCKET)
    try:
        done, faults = _rebuild(loaded)
    except KeysUnusable as error:
        raise Failure(f"the archivist's keys can't be used: {error}") from error
    except SQLAlchemyError as error:
        first = str(error).splitlines()[0]
        raise Failure(f"the catalog can't be written: {first}", hint="bodycam doctor") from error
    if as_json:
        print_json({"sessions": done, "faults": faults})
    else:
        tell(f"{done} sessions are indexed")
        for fault in faults:
            tell(f"could not be read: {fault}")
    if faults:
        raise typer.Exit(NO)


def _rebuild(settings: Settings) -> tuple[int, list[str]]:
    data = settings.storage.data
    store = LocalStore(data / "recordings")
    load_archivist(settings.keys)  # without them nothing is begun
    keystore = KeyStore(data / "keystore" / "keys.db", open_keyring(settings))
    try:
        engine = asyncio.run(open_catalog(settings))
        try:
            indexer = Indexer(engine, TRANSCRIPTS, index_settings(settings))
            names = list(store.list())
            console = Console(stderr=True)
            with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
                task = progress.add_task("recordings", total=len(names))
                return reindex(
                    ContainerIndexer(indexer, store, keystore),
                    progress.track(names, task_id=task),
                )
        finally:
            engine.dispose()
    finally:
        keystore.close()


def _refuse_running(path: Path) -> None:
    """Two writers would undo each other's work.

    Raises:
        Failure: an archivist listens there.
    """
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(2)
        try:
            one.connect(str(path))
        except OSError:
            return
    raise Failure("the gateway is running", hint="stop it; what it indexes meanwhile would be lost")
