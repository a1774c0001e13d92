"""From the settings to what is masked at a target: detectors, columns, JSON paths."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import final

from bodycam.config.masking import Audience, Capture, Mask, Then
from bodycam.config.matching import path_steps
from bodycam.config.settings import Settings
from bodycam.policy.access import selects
from bodycam.policy.detectors import secrets
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.patterns import Patterns
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.columns import (
    NO_NAMES,
    SAMPLES,
    CellKind,
    Column,
    ColumnMask,
    Names,
    Origin,
)
from bodycam.policy.masking.copied import CopyFormat, CopyStream
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.json_text import PathMask
from bodycam.policy.masking.screen import Hits, Screen
from bodycam.policy.masking.stream import TextStream
from bodycam.policy.masking.transforms import masked, shown
from bodycam.policy.redaction import Redactor

_STRICTNESS = {Then.PARTIAL: 0, Then.REDACT: 1, Then.NULL: 2}


@final
class Rules:
    """What is masked for one audience at one target. Of several masks for one thing, the strictest counts."""

    __slots__ = ("_columns", "_detecting", "_fingerprints", "_json", "_then", "matcher", "paths")

    def __init__(
        self, entries: Sequence[Mask], patterns: Patterns, fingerprints: Fingerprints | None
    ) -> None:
        self._fingerprints = fingerprints
        self._then: dict[str, Then] = {}
        # for each entry: the detectors, columns or paths that it names, and the columns that it leaves alone
        self._detecting: list[tuple[frozenset[str], Names]] = []
        self._columns: list[tuple[Names, Names, Then]] = []
        self._json: list[tuple[PathMask, Names]] = []
        for entry in entries:
            unless = Names(entry.unless.columns if entry.unless is not None else ())
            detectors = frozenset(pattern.rule.name for pattern in patterns.chosen(entry.detect))
            for name in detectors:
                self._then[name] = stricter(self._then.get(name), entry.then)
            if detectors:
                self._detecting.append((detectors, unless))
            if entry.columns:
                self._columns.append((Names(entry.columns), unless, entry.then))
                self._columns.append((Names(SAMPLES), Names(()), Then.REDACT))
            for path in entry.json_paths:
                self._json.append((PathMask(tuple(path_steps(path)), entry.then), unless))
        self._json.sort(key=lambda one: -_STRICTNESS[one[0].then])
        self.paths = tuple(path for path, _ in self._json)
        self.matcher: Matcher | None = (
            patterns.matcher(sorted(self._then), placed=True) if self._then else None
        )

    def then(self, rule: Rule) -> Then:
        """What becomes of what a rule found."""
        return self._then.get(rule.name, Then.REDACT)

    def column(
        self,
        name: str,
        kind: CellKind,
        *,
        holds_text: bool,
        origin: Origin | None = None,
        mask: ColumnMask | None = None,
    ) -> Column:
        """A column of a result: where it comes from, if that is known, and the mask of all of its values."""
        if origin is None:
            return Column(name, kind, holds_text, mask, paths=[path for path, _ in self._json])
        return Column(
            name,
            kind,
            holds_text,
            mask,
            self._exempt(origin),
            [path for path, unless in self._json if not unless.match(origin)],
        )

    @property
    def by_path(self) -> bool:
        """Whether anything in JSON is masked by its path."""
        return bool(self._json)

    @property
    def by_column(self) -> bool:
        """Whether columns are masked, or left alone, by their names."""
        return bool(self._columns) or any(unless for _, unless in (*self._detecting, *self._json))

    @property
    def named(self) -> Iterator[Names]:
        """All columns that are named, to be masked or to be left alone."""
        for named, unless, _ in self._columns:
            yield from (named, unless)
        for _, unless in (*self._detecting, *self._json):
            yield unless

    def entries(self, origins: Iterable[Origin]) -> int:
        """The entries that name one of these columns, a bit for each."""
        found = 0
        for place, (named, _, _) in enumerate(self._columns):
            if any(named.match(origin) for origin in origins):
                found |= 1 << place
        return found

    def mask(self, column: Origin, entries: int) -> ColumnMask | None:
        """The mask of a column, if it has one: by the entries that name it or where its values come from."""
        found: Then | None = None
        for place, (_, unless, then) in enumerate(self._columns):
            if entries >> place & 1 and not unless.match(column):
                found = stricter(found, then)
        return None if found is None else ColumnMask(found)

    def opens(self, column: Origin, entries: int) -> bool:
        """Whether one of these entries leaves a column alone that it would mask else."""
        return any(
            entries >> place & 1 and unless.match(column)
            for place, (_, unless, _) in enumerate(self._columns)
            if unless
        )

    def guess(self, origin: Origin) -> ColumnMask | None:
        """The mask of a column of which only this much is known; what is empty may be anything."""
        found: Then | None = None
        for named, _, then in self._columns:
            if named.may_be(origin):
                found = stricter(found, then)
        return None if found is None else ColumnMask(found)

    @property
    def strictest(self) -> ColumnMask | None:
        """The strictest mask by column that there is."""
        found: Then | None = None
        for _, _, then in self._columns:
            found = stricter(found, then)
        return None if found is None else ColumnMask(found)

    def screen(self, columns: Sequence[Column]) -> Screen | None:
        """A screen for a result of these columns; None when nothing in it is masked."""
        screen = Screen(columns, self.matcher, self.then, self._fingerprints)
        return None if screen.idle else screen

    def copied(self, columns: Sequence[Column], form: CopyFormat) -> CopyStream | None:
        """What rows of COPY in text or CSV go through; None when nothing in them is masked."""
        screen = self.screen(columns)
        return None if screen is None else CopyStream(screen, len(columns), form)

    def stream(self, *, same_size: bool = False) -> TextStream | None:
        """What a stream of bytes that is no rows goes through; None when nothing in it is masked."""
        if self.matcher is None:
            return None
        return TextStream(self.matcher, self.then, self._fingerprints, same_size=same_size)

    def text(self, text: bytes, hits: Hits) -> bytes:
        """One whole text, such as a notice's, masked; the same object if nothing is in it."""
        found = [] if self.matcher is None else self.matcher.find(text)
        if not found:
            return text
        for hit in found:
            hits.add(hit.rule, text[hit.start : hit.end])
        return masked(text, found, lambda rule: shown(self.then(rule))) or text

    def hits(self) -> Hits:
        """A fresh count of what is found."""
        return Hits(self._fingerprints)

    def _exempt(self, origin: Origin) -> frozenset[str]:
        """The detectors that every entry with them keeps away from a column."""
        asked = [names for names, unless in self._detecting if not unless.match(origin)]
        if len(asked) == len(self._detecting):
            return NO_NAMES
        return frozenset(self._then).difference(*asked)


@final
class Plan:
    """What is masked at one target: for clients, and for the record, which never gets less masked.

    `redactor` is for statements and parameters in the record: it knows secrets and what is detected here.
    """

    __slots__ = ("client", "record", "redactor", "same")

    def __init__(self, client: Rules | None, record: Rules, redactor: Redactor) -> None:
        self.client, self.record, self.redactor = client, record, redactor
        self.same = client is record


@final
class Masking:
    """The masking of one version of the settings."""

    def __init__(
        self, settings: Settings, patterns: Patterns, fingerprints: Fingerprints | None = None
    ) -> None:
        self._settings, self._patterns, self._fingerprints = settings, patterns, fingerprints
        self._plans: dict[tuple[int, ...], Plan] = {}
        # for targets without a plan
        self.redactor = Redactor(matcher=patterns.matcher([secrets.GROUP]))

    def for_target(self, name: str, labels: Mapping[str, str]) -> Plan | None:
        """The plan for a target; None when nothing is masked there.

        Raises:
            UnknownDetector: an entry names a detector that doesn't exist.
        """
        entries = self._settings.masking
        places = tuple(place for place, entry in enumerate(entries) if _for(entry, name, labels))
        if not places:
            return None
        plan = self._plans.get(places)
        if plan is None:
            plan = self._plans[places] = self._plan([entries[place] for place in places])
        return plan

    @property
    def nothing(self) -> Plan:
        """A plan in which nothing is masked."""
        return Plan(None, Rules((), self._patterns, None), self.redactor)

    def capture(self, target: str) -> Capture:
        """What of a target's data is kept."""
        declared = self._settings.targets.get(target)
        return Capture() if declared is None else declared.capture

    def prepare(self) -> None:
        """Make the plans of all targets, so that none is made later; the first time takes seconds."""
        for name, target in self._settings.targets.items():
            self.for_target(name, target.labels)

    def _plan(self, entries: Sequence[Mask]) -> Plan:
        record = Rules(entries, self._patterns, self._fingerprints)
        both = [entry for entry in entries if entry.mask is Audience.BOTH]
        client: Rules | None = record
        if len(both) < len(entries):
            client = Rules(both, self._patterns, self._fingerprints) if both else None
        detectors = {name for entry in entries for name in entry.detect}
        redactor = Redactor(matcher=self._patterns.matcher({secrets.GROUP, *detectors}))
        return Plan(client, record, redactor)


def _for(entry: Mask, name: str, labels: Mapping[str, str]) -> bool:
    unless = entry.unless.targets if entry.unless is not None else None
    if unless is not None and selects(unless, name, labels):
        return False
    return entry.targets is None or selects(entry.targets, name, labels)


def stricter(one: Then | None, other: Then) -> Then:
    """The stricter of two."""
    return other if one is None or _STRICTNESS[other] > _STRICTNESS[one] else one
