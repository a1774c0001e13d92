"""The masks of one session, in the terms in which protocols hand over results (`session.masks`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bodycam.config.masking import Capture, Captured
from bodycam.model.column import Column as Described
from bodycam.model.column import Holds
from bodycam.model.media import Media
from bodycam.model.operation import DOUBT, NAMED, Operation
from bodycam.model.relation import Relations
from bodycam.policy.detectors.marks import mark
from bodycam.policy.masking.body_kinds import Audience, SniffedBody, received_body
from bodycam.policy.masking.columns import CellKind, ColumnMask, Origin
from bodycam.policy.masking.copied import CopyFormat
from bodycam.policy.masking.copied_fields import BinaryFields, Field, copied_fields
from bodycam.policy.masking.copy_format import copy_format
from bodycam.policy.masking.json_text import PathMask
from bodycam.policy.masking.looks import Looked
from bodycam.policy.masking.origins import Effects, Origins
from bodycam.policy.masking.policy import Plan, Rules
from bodycam.policy.masking.relations import MaskedRelations
from bodycam.policy.masking.screen import Hits, Screen
from bodycam.policy.masking.sighting import Sighting, sightings
from bodycam.policy.masking.stream import TextStream
from bodycam.policy.masking.terminal import TerminalStream
from bodycam.policy.masking.transforms import COLUMN
from bodycam.policy.sql.facts import SqlFacts

_KINDS: Final = {
    Holds.NOTHING: CellKind.CANNOT_HOLD,
    Holds.TEXT: CellKind.TEXT,
    Holds.JSON: CellKind.JSON,
    Holds.HEX: CellKind.HEX,
    Holds.OTHER: CellKind.TEXT,
}
_NO_TOKEN: Final = frozenset({Holds.NOTHING, Holds.OTHER})


class Stream(Protocol):
    """Masks a stream that comes in pieces; what it holds back comes with a later piece, or with the end."""

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


Cell = bytes | None


@dataclass(frozen=True, slots=True)
class Copier:
    """What a message of copied data becomes: in binary first by the `fields` of its row."""

    through: Callable[[bytes], bytes] | None
    fields: Callable[[Sequence[Cell]], Mapping[int, Cell] | None] | None = None


@dataclass(frozen=True, slots=True)
class Screens:
    """Masks for what client and record get, and further ones for the record alone."""

    both: "Look | None"
    record: "Look | None"


@dataclass(frozen=True, slots=True)
class Copiers:
    """The same for what is copied out."""

    both: Copier | None
    record: Copier | None


class Look:
    """A screen that reads values which come in another form than text before it looks into them."""

    def __init__(self, screen: Screen, columns: Sequence[Described]) -> None:
        self._screen, self._width = screen, len(columns)
        self._decoded = [
            (place, column.decode) for place, column in enumerate(columns) if column.decode is not None
        ]
        self.hits = screen.hits

    def clean_among(self, framed: bytes) -> bool:
        """Whether nothing changes in the values that stand in these bytes; no tells nothing."""
        return not self._decoded and self._screen.clean_among(framed)

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
    """The masks of one session at a target with this plan, and what of its data is kept at all.

    `origins` are there where columns are masked by name; `effects` says what an operation does.
    """

    def __init__(
        self, plan: Plan, capture: Capture, origins: Origins | None = None, effects: Effects | None = None
    ) -> None:
        self._plan, self._origins = plan, origins
        self._effects: Effects = effects or _nobody_knows
        self.keeps_rows = capture.rows is Captured.FULL
        self.keeps_parameters = capture.parameters is Captured.FULL
        self.keeps_bodies = capture.bodies is Captured.FULL
        self.body_size = capture.body_size
        rules = [one for one in (plan.client, plan.record) if one is not None]
        self._in_bodies = any(one.matcher is not None or one.paths for one in rules)
        self._changes_bodies = plan.client is not None and (
            plan.client.matcher is not None or bool(plan.client.paths)
        )
        # they are asked first, and alone where no path is masked; the record's knows what the client's does
        self._matchers = (
            None if any(one.paths for one in rules) or plan.record.matcher is None else [plan.record.matcher]
        )
        self._hits: list[Hits] = []
        self._own = (plan.client or plan.record).hits()
        self._copied_in = Hits(None)

    @property
    def by_name(self) -> bool:
        """Whether columns are masked by their names, which have to be looked up at the target."""
        return self._origins is not None

    @property
    def version(self) -> int:
        """Another number each time that a screen made before may no longer be the right one."""
        return 0 if self._origins is None else self._origins.version

    def wanted(self) -> Sequence[Sequence[str]] | None:
        """The names of columns that have to be looked up before anything more is asked; None for nothing."""
        return None if self._origins is None else self._origins.wanted()

    def learn(self, found: Relations) -> None:
        """What was looked up."""
        if self._origins is not None:
            self._origins.learn(found)

    @property
    def lasting(self) -> bool:
        """Whether what was looked up is good for anything; without it nothing may be asked."""
        return self._origins is None or self._origins.lasting

    def copied_in(self) -> Stream | None:
        """What the record of copied data from the client goes through; None where it is kept as it is."""
        stream = self._plan.record.stream()
        if stream is not None:
            self._copied_in = stream.hits
        return stream

    def screens(self, columns: Sequence[Described], operation: Operation | None) -> Screens | None:
        """For a result with these columns; None where nothing in it can be masked."""
        plan, origins = self._plan, self._origins
        shown = recorded = None
        if origins is not None:
            facts = self._facts(operation)
            shown, recorded = _Result(origins.client, facts), _Result(origins.record, facts)
        both = None if plan.client is None else self._look(plan.client, columns, shown)
        record = None if plan.same else self._look(plan.record, columns, recorded)
        return None if both is None and record is None else Screens(both, record)

    def repeats(self, operation: Operation | None) -> bool:
        """Whether a result of the same text with the same columns gets the same screens.

        What runs by a name, or comes from a cursor, may be of another statement each time.
        """
        if self._origins is None:
            return True
        facts = self._facts(operation)
        if operation is None or facts is None or facts.executes or "fetch" in facts.kinds:
            return False
        return NAMED not in operation.facts and DOUBT not in operation.facts

    def copied(self, columns: int, operation: Operation | None, *, binary: bool) -> Copiers | None:
        """For the data that an operation copies out, in so many columns; None where nothing is masked."""
        plan, origins = self._plan, self._origins
        facts = self._facts(operation)
        shown = recorded = None
        if origins is not None:
            shown = copied_fields(origins.client, facts, columns)
            recorded = copied_fields(origins.record, facts, columns)
        form = None if binary else copy_format(facts)
        both = None if plan.client is None else self._copier(plan.client, columns, form, binary, shown)
        record = None if plan.same else self._copier(plan.record, columns, form, binary, recorded)
        return None if both is None and record is None else Copiers(both, record)

    def hushed(self, operation: Operation | None) -> bool:
        """Whether the text of an error that an operation meets may hold a value of a masked column."""
        relations = None if self._origins is None else self._origins.record
        if relations is None:
            return False
        facts = self._facts(operation)
        return relations.read(facts) is not None or relations.changes(facts) or relations.maintains(facts)

    def said(self, text: str) -> str:
        """An error, notice or notification, masked."""
        rules = self._plan.client or self._plan.record
        raw = text.encode("utf-8", "surrogateescape")
        masked = rules.text(raw, self._own)
        return text if masked is raw else masked.decode("utf-8", "surrogateescape")

    def body(self, media: Media) -> SniffedBody | None:
        """What a body from the target goes through; None where nothing in it is masked."""
        if not self._in_bodies:
            return None
        plan = self._plan
        return received_body(
            media,
            lambda: None if plan.client is None else _audience(plan.client),
            lambda: None if plan.same else _audience(plan.record),
            may_change=self._changes_bodies,
            matchers=self._matchers,
        )

    def streams(self) -> "Texts | None":
        """What texts from the target go through that come in pieces of other data."""
        plan = self._plan
        texts = Texts(plan.client, None if plan.same else plan.record, TextStream)
        return None if texts.both is None and texts.record is None else texts

    def terminal(self) -> "Texts | None":
        """What programs print goes through, on a terminal or not."""
        plan = self._plan
        texts = Texts(plan.client, None if plan.same else plan.record, TerminalStream)
        return None if texts.both is None and texts.record is None else texts

    @property
    def paths(self) -> Sequence[PathMask]:
        """The paths at which JSON is masked in the record."""
        return self._plan.record.paths

    def sightings(self) -> list[Sighting]:
        """What was met since this was last asked."""
        return sightings((*self._hits, self._own))

    def sent(self) -> list[Sighting]:
        """What was met in data that the client copied in, since this was last asked."""
        return sightings((self._copied_in,))

    def _facts(self, operation: Operation | None) -> SqlFacts | None:
        return None if operation is None else self._effects(operation)

    def _look(self, rules: Rules, columns: Sequence[Described], result: "_Result | None") -> Look | None:
        made = [
            rules.column(
                column.name,
                _KINDS[column.holds],
                holds_text=column.holds not in _NO_TOKEN,
                origin=None if result is None else result.origin(column),
                mask=None if result is None else result.mask(column),
            )
            for column in columns
        ]
        screen = rules.screen(made)
        if screen is None:
            return None
        self._count(screen.hits)
        return Look(screen, columns)

    def _copier(
        self,
        rules: Rules,
        columns: int,
        form: CopyFormat | None,
        binary: bool,
        fields: Sequence[Field] | None,
    ) -> Copier | None:
        if fields is None:
            fields = [Field(f"column {place}", holds_text=True) for place in range(columns)]
        made = [
            rules.column(
                one.name, CellKind.UNTOLD, holds_text=one.mask is None or one.holds_text, mask=one.mask
            )
            for one in fields
        ]
        if binary:
            return self._binary(rules, fields)
        rows = None if form is None else rules.copied(made, form)
        if rows is not None:
            self._count(rows.hits)
            # a message is a whole row
            return Copier(lambda data: rows.feed(data) + rows.flush())
        hits = rules.hits()
        self._count(hits)
        if form is None and (rules.by_path or any(one.mask for one in fields)):
            # where one field ends and the next begins can't be told
            return Copier(lambda data: _not_told(data, hits))
        return None if rules.matcher is None else Copier(lambda data: rules.text(data, hits))

    def _binary(self, rules: Rules, fields: Sequence[Field]) -> Copier | None:
        """Values that are masked whole become null; in others what is found gets a mask of its size.

        A field's length stands before it, and what its type is nobody says.
        """
        looked = None
        if rules.by_path or any(one.mask for one in fields):
            binary = BinaryFields(rules, fields)
            self._count(binary.hits)
            looked = binary.changed
        stream = rules.stream(same_size=True)
        if stream is not None:
            self._count(stream.hits)
            return Copier(lambda data: stream.feed(data) + stream.flush(), looked)
        return Copier(None, looked) if looked is not None else None

    def _count(self, hits: Hits) -> None:
        if len(self._hits) > 1000:
            # results whose screens are remembered no longer; what they saw has been told
            del self._hits[:500]
        self._hits.append(hits)


Kind = type[TextStream] | type[TerminalStream]


class Texts:
    """Streams for texts in pieces; all for the same audience count what they meet together."""

    def __init__(self, both: Rules | None, record: Rules | None, kind: Kind) -> None:
        self._hits: list[Hits] = []
        self._kind = kind
        self.both, self.record = self._maker(both), self._maker(record)

    def sightings(self) -> list[Sighting]:
        """What was met since this was last asked."""
        return sightings(self._hits)

    def _maker(self, rules: Rules | None) -> Callable[[], TextStream | TerminalStream] | None:
        matcher = None if rules is None else rules.matcher
        if rules is None or matcher is None:
            return None
        hits, then = rules.hits(), rules.then
        self._hits.append(hits)

        def make() -> TextStream | TerminalStream:
            stream = self._kind(matcher, then)
            stream.hits = hits
            return stream

        return make


class _Result:
    """Which columns of one result are masked by name."""

    def __init__(self, relations: MaskedRelations | None, facts: SqlFacts | None) -> None:
        self._relations = relations
        self._lost = None if relations is None else relations.lost(facts)

    def origin(self, column: Described) -> Origin | None:
        return None if self._relations is None else self._relations.origin(column.origin)

    def mask(self, column: Described) -> ColumnMask | None:
        if self._relations is None:
            return None
        found = self._relations.mask(column.origin)
        if found is None and self._relations.untold(column.origin):
            return self._lost
        return found


def _audience(rules: Rules) -> Audience | None:
    if rules.matcher is None and not rules.paths:
        return None
    hits = rules.hits()

    def stream() -> TextStream | None:
        made = rules.stream()
        if made is not None:
            made.hits = hits
        return made

    return Audience(Looked(rules.matcher, rules.then, rules.paths, hits), stream)


def _not_told(data: bytes, hits: Hits) -> bytes:
    hits.add(COLUMN, data)
    return mark(COLUMN.name) + (b"\n" if data.endswith(b"\n") else b"")


def _nobody_knows(operation: Operation) -> SqlFacts | None:
    return None
