"""Keys that came and went, entered into ledger and audit by the archivist, which sees it by the files.

Rotation is done in the keys folder by whoever may write there, whether the gateway runs or not; so it is
entered when the archivist next looks.
"""

import time
from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from bodycam.archive.archivist import Archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.leaf import Leaf, detail_text, new_salt, salted
from bodycam.catalog import audit
from bodycam.catalog.engine import writing

log = structlog.get_logger(__name__)

ADDED, GONE = "key-added", "key-gone"
ITSELF = "archivist"

Known = frozenset[tuple[str, str, str]]
"""Kind (`kek`, `signing`, `journal`), name, and id of each key."""


class KeyWatch:
    """Compares the keys that there are with those that there were; `there` gives them."""

    def __init__(
        self, archivist: Archivist, keystore: KeyStore, engine: Engine, there: Callable[[], Known]
    ) -> None:
        self._archivist, self._keystore, self._engine, self._there = archivist, keystore, engine, there

    def look(self) -> None:
        """Enter what has changed; keys that were there before anybody looked are not entered.

        Raises:
            OSError, SQLAlchemyError, sqlite3.Error: it is not written, or not all of it; look again.
        """
        before, now = self._keystore.known_keys(), self._there()
        if before:
            for action, keys in ((ADDED, now - before), (GONE, before - now)):
                for kind, name, key in sorted(keys):
                    self._enter(action, f"{kind} {name}".strip(), {"id": key})
        if before != now:
            self._keystore.know_keys(now)

    def _enter(self, action: str, what: str, detail: dict[str, str]) -> None:
        salt = new_salt()
        digest = salted(action, ITSELF, what, detail_text(detail), salt=salt)
        with self._archivist.lock:
            leaf = self._archivist.ledger.append([Leaf.ADMIN, digest])
            self._archivist.ledger.commit()
        at = time.time_ns() // 1000
        with writing(self._engine) as connection:
            audit.add_event(
                connection,
                at=at,
                actor=ITSELF,
                action=action,
                object=what,
                detail=detail,
                salt=salt,
                leaf=leaf,
            )
        log.info("a key came or went", action=action, key=what)
