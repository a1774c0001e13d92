"""The key-encryption keys at hand: by name for what is wrapped, by id for what is unwrapped.

The folder is looked at again whenever it has changed, so that a key that was just made is used at once. Keys
of a command are kept in memory for a bounded time, a bounded number of them.
"""

import fcntl
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bodycam.archive import kek, kms
from bodycam.archive.kek import DEFAULT, OLDER, KekFile, KeyAway, kek_id
from bodycam.archive.keys import WRAPPING_BYTES, KeysUnusable
from bodycam.archive.kms import KeyCommand

log = structlog.get_logger(__name__)

CACHED_MOST = 64
RETRY_FIRST, RETRY_MOST = 0.5, 30.0
TEND = 0.25
"""Seconds between two looks at the keys that will be wanted."""


class KekMissing(LookupError):
    """A key-encryption key is not in the keys folder; the text says which."""


@dataclass(frozen=True, slots=True)
class Kek:
    """A key-encryption key, ready to be used."""

    id: bytes
    secret: bytes = field(repr=False)


@dataclass(slots=True)
class _Trouble:
    """What a command's last failures come to."""

    retry_at: float = 0.0
    pause: float = 0.0
    said: str = ""


class Keyring:
    """The keys of one folder (the archivist's). Safe to use from several threads.

    `commands` are those of keys that a command wraps, by name.
    """

    def __init__(
        self,
        folder: Path,
        commands: Mapping[str, KeyCommand] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._commands, self._clock = folder, dict(commands or {}), clock
        self._lock = threading.RLock()
        self._asking = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._current: dict[str, KekFile] = {}
        self._by_id: dict[bytes, KekFile] = {}
        self._faults: dict[str, str] = {}
        self._cached: OrderedDict[bytes, tuple[Kek, float]] = OrderedDict()
        self._trouble: dict[bytes, _Trouble] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # -- what is there ---------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the folder again if something in it has changed."""
        with self._lock:
            seen = tuple(
                (entry.path, entry.inode())
                for folder in (self._folder, self._folder / OLDER)
                if folder.is_dir()
                for entry in sorted(os.scandir(folder), key=lambda one: one.name)
                if entry.name.endswith(".key")
            )
            if seen == self._seen:
                return
            self._current, self._by_id, self._faults = {}, {}, {}
            for path, name, current in kek.names(self._folder):
                try:
                    found = kek.read(path, name, current=current)
                except KeysUnusable as error:
                    self._faults[path.name] = str(error)
                    log.error("a key-encryption key can't be used", file=str(path), error=str(error))
                    continue
                self._by_id.setdefault(found.id, found)
                if current:
                    self._current[name] = found
            self._seen = seen

    def files(self) -> list[KekFile]:
        """All keys that are there, the newest of each name first."""
        with self._lock:
            self.refresh()
            return sorted(self._by_id.values(), key=lambda one: (one.name, not one.current, one.id))

    def faults(self) -> list[str]:
        """What is wrong with files of keys."""
        with self._lock:
            self.refresh()
            return list(self._faults.values())

    @contextmanager
    def using(self) -> Iterator[None]:
        """Let nobody retire a key meanwhile."""
        # the folder itself is locked: to a gateway that runs as a service it may be read-only
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            self.refresh()
            yield
        finally:
            os.close(descriptor)

    # -- keys to use -----------------------------------------------------------------------------------

    def current(self, name: str) -> Kek:
        """The newest key of a name, at once or not at all: no command is waited for.

        Raises:
            KeyAway: it is not there, or its command has not given it yet.
        """
        with self._lock:
            self.refresh()
            found = self._current.get(name)
            if found is None:
                raise KeyAway(
                    f"the key-encryption key {name} is not in {self._folder}; `bodycam init` makes it"
                )
            ready = self._ready(found)
            if ready is None:
                said = self._trouble.get(found.id, _Trouble()).said
                raise KeyAway(said or f"the key-encryption key {name} is being asked for")
            return ready

    def opening(self, id: bytes) -> Kek:  # noqa: A002
        """The key of an id; its command is asked if need be.

        Raises:
            KekMissing: it is not in the folder.
            KeyAway: its command does not give it.
        """
        with self._lock:
            self.refresh()
            found = self._by_id.get(id)
            if found is None:
                raise KekMissing(f"the key-encryption key {id.hex()} is not in {self._folder}")
            ready = self._ready(found)
        return ready or self._ask(found)

    def unnamed(self) -> Iterator[Kek]:
        """The keys that may have wrapped what names none: those of the name `default`, as in older versions.

        Raises:
            KeyAway: a command does not give one.
        """
        for found in self.files():
            if found.name == DEFAULT:
                yield self.opening(found.id)

    def newest(self) -> dict[bytes, str]:
        """The ids of the newest keys, with their names."""
        with self._lock:
            self.refresh()
            return {one.id: name for name, one in self._current.items()}

    def name_of(self, id: bytes) -> str | None:  # noqa: A002
        """The name of a key that is in the folder."""
        with self._lock:
            found = self._by_id.get(id)
            return None if found is None else found.name

    def has(self, id: bytes) -> bool:  # noqa: A002
        """Whether a key is in the folder."""
        with self._lock:
            self.refresh()
            return id in self._by_id

    # -- commands --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Keep the newest keys of commands at hand, asking for them before they are over."""
        self.tend()
        if self._commands:
            self._thread = threading.Thread(target=self._run, name="keyring", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()

    def tend(self) -> None:
        """Ask for those newest keys of commands that are not at hand, or not for much longer."""
        with self._lock:
            self.refresh()
            wanted = [one for one in self._current.values() if one.blob is not None]
        for found in wanted:
            command = self._commands.get(found.name)
            with self._lock:
                kept = self._cached.get(found.id)
            if kept is not None and command is not None and kept[1] - self._clock() > command.cache / 2:
                continue
            try:
                self._ask(found)
            except KeyAway:
                continue  # it was logged, and `away` counts it

    def away(self) -> list[str]:
        """The names of newest keys that can't be used just now."""
        with self._lock:
            self.refresh()
            return sorted(name for name, one in self._current.items() if self._ready(one) is None)

    def without(self, names: Collection[str]) -> dict[str, str]:
        """Of these names those whose newest key can't be used just now, and why."""
        found = {}
        for name in names:
            try:
                self.current(name)
            except KeyAway as error:
                found[name] = str(error)
        return found

    def _run(self) -> None:
        while not self._stopping.wait(TEND):
            self.tend()

    def _ready(self, found: KekFile) -> Kek | None:
        if found.plain is not None:
            return Kek(found.id, found.plain)
        kept = self._cached.get(found.id)
        if kept is None:
            return None
        if kept[1] <= self._clock():
            del self._cached[found.id]
            return None
        return kept[0]

    def _ask(self, found: KekFile) -> Kek:
        """Have the command unwrap a key.

        Raises:
            KeyAway: it does not, or did not a short time ago.
        """
        if found.plain is not None:
            return Kek(found.id, found.plain)
        with self._lock:
            trouble = self._trouble.setdefault(found.id, _Trouble())
            if self._clock() < trouble.retry_at:
                raise KeyAway(trouble.said)
        try:
            ready, good = self._asked(found)
        except KeyAway as error:
            with self._lock:
                trouble.pause = min(max(trouble.pause * 2, RETRY_FIRST), RETRY_MOST)
                trouble.retry_at = self._clock() + trouble.pause
                trouble.said = str(error)
                log.error(
                    "a key-encryption key can't be had; what it is for waits",
                    key=found.name,
                    error=trouble.said,
                    in_seconds=trouble.pause,
                )
            raise
        with self._lock:
            if trouble.said:
                log.info("a key-encryption key is there again", key=found.name)
            self._trouble.pop(found.id, None)
            self._cached[found.id] = ready, self._clock() + good
            self._cached.move_to_end(found.id)
            while len(self._cached) > CACHED_MOST:
                self._cached.popitem(last=False)
        return ready

    def _asked(self, found: KekFile) -> tuple[Kek, float]:
        command = self._commands.get(found.name)
        if command is None or found.blob is None:
            what = f"the key-encryption key {found.name} was wrapped by a command"
            raise KeyAway(f"{what}, and storage.key_encryption.{found.name} names none")
        with self._asking:
            secret = kms.ask(command.unwrap, found.blob, command.timeout)
        if len(secret) != WRAPPING_BYTES or kek_id(secret) != found.id:
            program = Path(command.unwrap[0]).name
            raise KeyAway(f"the key command {program} did not give back the key {found.name} that it wrapped")
        return Kek(found.id, secret), command.cache


class FixedKeyring(Keyring):
    """One key of the name `default`, and no folder."""

    def __init__(self, secret: bytes) -> None:
        super().__init__(Path())
        only = KekFile(DEFAULT, kek_id(secret), Path(), True, None, secret)
        self._current, self._by_id = {DEFAULT: only}, {only.id: only}

    def refresh(self) -> None:
        """There is nothing to look at."""

    @contextmanager
    def using(self) -> Iterator[None]:
        """Nobody can retire it."""
        yield
