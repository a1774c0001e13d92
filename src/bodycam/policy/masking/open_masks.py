"""The masks of one session, in the terms in which protocols hand over results (`session.masks`)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bodycam.config.masking import Capture, Captured
from bodycam.model.column import Column as Described
from bodycam.model.column import Holds
from bodycam.policy.masking.columns import CellKind
from bodycam.policy.masking.copied import CopyFormat
from bodycam.policy.masking.policy import Masking, Plan, Rules
from bodycam.policy.masking.screen import Hits, Screen

_KINDS: Final = {
    Holds.NOTHING: CellKind.CANNOT_HOLD,
    Holds.TEXT: CellKind.TEXT,
    Holds.JSON: CellKind.JSON,
    Holds.HEX: CellKind.HEX,
    Holds.OTHER: CellKind.TEXT,
}
_NO_TOKEN: Final = frozenset({Holds.NOTHING, Holds.OTHER})
# options of COPY under which a line can't be taken apart without knowing all of them
_CSV: Final = re.compile(r"\bcsv\b")
_ODD_COPY: Final = ("delimiter", "quote", "escape", "null", "encoding", "using")


class Stream(Protocol):
    """Masks a stream that comes in pieces; what it holds back comes with a later piece, or with the end."""

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


Cell = bytes | None
Copier = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Screens:
    """Masks for what client and record get, and further ones for the record alone."""

    both: "Look | None"
    record: "Look | None"


@dataclass(frozen=True, slots=True)
class Copiers:
    """The same for what is copied out; each takes one message's payload."""

    both: Copier | None
    record: Copier | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A kind of sensitive data that was met: how often, and keyed fingerprints of the secrets among it."""

    detector: str
    count: int
    fingerprints: tuple[str, ...]


class Look:
    """A screen that reads values which come in another form than text before it looks into them."""

    def __init__(self, screen: Screen, columns: Sequence[Described]) -> None:
        self._screen, self._width = screen, len(columns)
        self._decoded = [
            (place, column.decode) for place, column in enumerate(columns) if column.decode is not None
        ]
        self.hits = screen.hits

    def cells(self, values: list[Cell]) -> Mapping[int, Cell] | None:
        """What values become, by their place; None where nothing changes."""
        if self._decoded:
            values = list(values)
            for place, decode in self._decoded:
                for at in range(place, len(values), self._width):
                    value = values[at]
                    if value is not None:
                        values[at] = decode(value)
        return self._screen.cells(values)


class OpenMasks:
    """The masks of one session at a target with this plan, and what of its data is kept at all."""

    def __init__(self, plan: Plan, capture: Capture) -> None:
        self._plan = plan
        self.keeps_rows = capture.rows is Captured.FULL
        self.keeps_parameters = capture.parameters is Captured.FULL
        self._hits: list[Hits] = []
        self._own = Hits(None)

    def copied_in(self) -> Stream | None:
        """What the record of copied data from the client goes through; None where it is kept as it is."""
        return self._plan.record.stream()

    def screens(self, columns: Sequence[Described], operation: object) -> Screens | None:
        """For a result with these columns; None where nothing in it can be masked."""
        plan = self._plan
        both = None if plan.client is None else self._look(plan.client, columns)
        record = None if plan.same else self._look(plan.record, columns)
        return None if both is None and record is None else Screens(both, record)

    def copied(self, columns: int, text: str, *, binary: bool) -> Copiers | None:
        """For the data that a statement copies out, in so many columns; None where nothing is masked."""
        plan = self._plan
        both = None if plan.client is None else self._copier(plan.client, columns, text, binary)
        record = None if plan.same else self._copier(plan.record, columns, text, binary)
        return None if both is None and record is None else Copiers(both, record)

    def said(self, text: str) -> str:
        """An error, notice or notification, masked."""
        rules = self._plan.client or self._plan.record
        raw = text.encode("utf-8", "surrogateescape")
        masked = rules.text(raw, self._own)
        return text if masked is raw else masked.decode("utf-8", "surrogateescape")

    def sightings(self) -> list[Sighting]:
        """What was met since this was last asked."""
        found: dict[str, tuple[int, set[str]]] = {}
        for hits in (*self._hits, self._own):
            for seen in hits.take():
                count, prints = found.setdefault(seen.detector, (0, set()))
                found[seen.detector] = (count + seen.count, prints | seen.fingerprints)
        return [Sighting(name, count, tuple(sorted(prints))) for name, (count, prints) in found.items()]

    def _look(self, rules: Rules, columns: Sequence[Described]) -> Look | None:
        made = [
            rules.column(column.name, _KINDS[column.holds], holds_text=column.holds not in _NO_TOKEN)
            for column in columns
        ]
        screen = rules.screen(made)
        if screen is None:
            return None
        self._count(screen.hits)
        return Look(screen, columns)

    def _copier(self, rules: Rules, columns: int, text: str, binary: bool) -> Copier | None:
        if binary:
            # a field's length stands before it, so that what replaces a value has its size
            stream = rules.stream(same_size=True)
            if stream is None:
                return None
            self._count(stream.hits)
            return lambda data: stream.feed(data) + stream.flush()
        form = copy_format(text)
        made = [rules.column(f"column {place}", CellKind.TEXT, holds_text=True) for place in range(columns)]
        rows = None if form is None else rules.copied(made, form)
        if rows is not None:
            self._count(rows.hits)
            # a message is a whole row
            return lambda data: rows.feed(data) + rows.flush()
        if rules.matcher is None:
            return None
        hits = rules.hits()
        self._count(hits)
        return lambda data: rules.text(data, hits)

    def _count(self, hits: Hits) -> None:
        if len(self._hits) > 1000:
            # results whose screens are remembered no longer; what they saw has been told
            del self._hits[:500]
        self._hits.append(hits)


def copy_format(text: str) -> CopyFormat | None:
    """How a COPY writes its rows, by its text; None where options make that uncertain."""
    folded = text.lower()
    if any(word in folded for word in _ODD_COPY):
        return None
    return CopyFormat(csv=_CSV.search(folded) is not None)


class OpenMasking:
    """The masking of the settings, as sessions ask for it; `adopt` changes it for sessions that come."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking

    def adopt(self, masking: Masking) -> None:
        """Mask by other settings from here on."""
        self._masking = masking

    def open(self, target: str, labels: Mapping[str, str]) -> OpenMasks | None:
        """What results of a target must not show; None where all may be shown and kept."""
        plan, capture = self._masking.for_target(target, labels), self._masking.capture(target)
        if plan is None:
            if capture == Capture():
                return None
            plan = self._masking.nothing
        return OpenMasks(plan, capture)
