"""What one recording says of itself, for those who decide how long it is kept."""

from dataclasses import dataclass

from bodycam.archive.format.container import SessionReader
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.kek import KeyAway
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.store import Store, StoreUnavailable
from bodycam.archive.told import opening_of
from bodycam.catalog.sessions import Opening, Place
from bodycam.model import ids
from bodycam.model.event import Kind
from bodycam.policy.retention import Recorded


class RecordingUnreadable(Exception):
    """It can't be told what the recording is of; the text says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """How the session opened, what rules read of it, when it ended, and how many exchanges it had.

    `closed` is in microseconds of the Unix epoch.
    """

    opening: Opening
    recorded: Recorded
    closed: int
    exchanges: int


def read_recorded(store: Store, keystore: KeyStore, session: str, place: Place) -> Told:
    """Read a sealed session's first event and its manifest.

    Raises:
        RecordingUnreadable: one of them can't be had.
    """
    reader = SessionReader(
        lambda at, size: store.get_range(place.object, at, size), place.offset, place.length
    )
    try:
        events = reader.events(keystore.get(ids.raw(session)))
        kind, _, _, body = next(events)
        if kind != Kind.OPENED:
            raise RecordingUnreadable("it does not begin with its opening")
        opening = opening_of(session, body)
        manifest = reader.manifest()
    except (FormatDamaged, KeyGone, KeyAway, StoreUnavailable) as error:
        raise RecordingUnreadable(str(error)) from error
    except (StopIteration, LookupError, TypeError, ValueError, AttributeError) as error:
        raise RecordingUnreadable(f"its opening makes no sense: {error!r}") from error
    recorded = Recorded(opening.target, opening.labels, opening.protocol, opening.agent, manifest.outcome)
    exchanges = int(manifest.totals.get("exchanges", 0))
    return Told(opening, recorded, opening.opened + manifest.last_at, exchanges)
