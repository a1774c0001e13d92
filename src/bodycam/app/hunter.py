"""A process of `bodycam leaks --hunt`: it decrypts sessions and looks for what the rules describe."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event as Flag
from typing import Any

from bodycam.app.fingerprint_key import CACHE, fingerprint_key
from bodycam.app.keyrings import open_keyring
from bodycam.app.masking import patterns
from bodycam.archive.format.container import Place, SessionReader
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.hunt import Hunted, SessionHunt
from bodycam.archive.kek import KeyAway
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.store import StoreUnavailable
from bodycam.archive.store.local import LocalStore
from bodycam.config import Settings, from_snapshot
from bodycam.model import ids
from bodycam.model.event import Event, Kind
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.registry import TRANSCRIPTS


@dataclass(frozen=True, slots=True)
class Quarry:
    """What a hunt looks for, and where: settings as a snapshot, with the rules' detectors in them.

    Of the fingerprint `wanted`, if any, the value is kept.
    """

    settings: bytes
    detectors: tuple[str, ...]
    wanted: str = ""


class Stopped(Exception):
    """The hunt was given up."""


class Hunter:
    """Looks into sessions of containers; `read` counts the bytes for a progress bar, `stop` ends it."""

    def __init__(self, quarry: Quarry, stop: Flag, read: "Synchronized[int]") -> None:
        settings = from_snapshot(quarry.settings)
        data = settings.storage.data
        self._matcher = matcher(settings, quarry.detectors)
        self._fingerprints = Fingerprints(fingerprint_key(data / CACHE), quarry.wanted)
        self._store = LocalStore(data / "recordings")
        self._keystore = KeyStore(data / "keystore" / "keys.db", open_keyring(settings))
        self._stop, self._read = stop, read

    def look(self, name: str, places: Sequence[Place]) -> list[Hunted]:
        """These sessions of one container."""
        # of a recording that was redacted, only the one that took its place
        current = [place for place in places if not self._keystore.superseded(place.root)]
        return [self._session(name, place) for place in current]

    def _session(self, name: str, place: Place) -> Hunted:
        hunted = Hunted(ids.session_id(place.session))
        hunt = SessionHunt(TRANSCRIPTS, self._matcher, self._fingerprints)
        try:
            for event in self._events(name, place):
                hunt.take(hunted.session, event)
        except KeyGone:
            hunted.gone = True
        except (FormatDamaged, StoreUnavailable, KeyAway) as error:
            hunted.fault = str(error)
        except Stopped:
            raise
        except Exception as error:  # whatever is in it, the other recordings are looked into
            hunted.fault = f"an event makes no sense ({type(error).__name__})"
        hunted.opening, hunted.found, hunted.cut = hunt.opening, list(hunt.found()), hunt.cut
        hunted.caught = self._fingerprints.caught
        return hunted

    def _events(self, name: str, place: Place) -> Iterator[Event]:
        key = self._keystore.get(place.session)
        reader = SessionReader(lambda at, size: self._range(name, at, size), place.offset, place.length)
        for kind, at, exchange, body in reader.events(key):
            yield Event(Kind(kind), at, exchange, body)

    def _range(self, name: str, at: int, size: int) -> bytes:
        if self._stop.is_set():
            raise Stopped
        data = self._store.get_range(name, at, size)
        with self._read.get_lock():
            self._read.value += len(data)
        return data


def matcher(settings: Settings, detectors: Sequence[str]) -> Matcher:
    """What looks for these; what is compiled once is kept in the data folder."""
    return patterns(settings).matcher(detectors)


_hunter: Hunter | None = None


def begin(quarry: Quarry, stop: Flag, read: Any) -> None:
    """A process of the pool begins: patterns are loaded once."""
    global _hunter
    _hunter = Hunter(quarry, stop, read)


def look(name: str, places: Sequence[Place]) -> list[Hunted]:
    """One task of the pool."""
    assert _hunter is not None
    return _hunter.look(name, places)
