"""Everything that a gateway keeps, decrypted and decoded: to look whether a secret stands anywhere in it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.keys import load_archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.journal.folder import incarnations
from bodycam.journal.follower import Follower

JOURNAL, RECORDING, FILE = "journal", "recording", "file"


def decoded(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Each thing that is kept in a gateway's folder: its kind, where it is, and what it says.

    Events of journals and recordings come decrypted; every file, catalog, index and logs among them, comes as
    it is as well.
    """
    keys = load_archivist(folder / "keys")
    data = folder / "data"
    for incarnation in incarnations(data / "journal"):
        with closing(Follower(incarnation.path, keys.journal)) as follower:
            while batches := follower.poll():
                for position, entries in batches:
                    for entry in entries:
                        yield JOURNAL, f"{incarnation.path.name} at {position}", entry.body
    store = LocalStore(data / "recordings")
    with closing(KeyStore(data / "keystore" / "keys.db", keys.wrapping)) as keystore:
        for name in store.list():
            yield from _container(store, keystore, name)
    for file in sorted(folder.rglob("*")):
        try:
            if file.is_file():
                yield FILE, str(file.relative_to(folder)), file.read_bytes()
        except FileNotFoundError:
            # done with, and taken away by the gateway
            continue


def _container(store: LocalStore, keystore: KeyStore, name: str) -> Iterator[tuple[str, str, bytes]]:
    def read(offset: int, length: int) -> bytes:
        return store.get_range(name, offset, length)

    places, _ = read_footer(read, store.size(name))
    for place in places:
        key = keystore.get(place.session)
        for _, at, exchange, body in SessionReader(read, place.offset, place.length).events(key):
            yield RECORDING, f"{name}, exchange {exchange} at {at}", repr(body).encode()
