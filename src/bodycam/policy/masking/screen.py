"""Looks through the rows of one result, a batch at a time, and says which cells have to change."""

from collections.abc import Callable, Sequence
from typing import Final, final

from bodycam.config.masking import Then
from bodycam.policy.detectors.marks import mark
from bodycam.policy.detectors.matcher import TOO_MUCH, Hit, Matcher
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.columns import CellKind, Column
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.json_text import BrokenJson, Found, rewritten, scannable
from bodycam.policy.masking.transforms import COLUMN, JSON, Choose, instead, masked

# cells that are scanned together where too much is found to tell in which it is
_GROUP: Final = 16
# from so many rows on a scan for each column costs no more than one for all, and says more
_TALL: Final = 32
_MOST_FINGERPRINTS: Final = 256
# what a look in vain counts, beside 1 for one that was not, and the sum from which on there is none
_VAIN: Final = 4
_MOST_VAIN: Final = 16
Changed = dict[int, bytes | None]
"""Cells by their place in a batch, and what they become; None is SQL's null."""

_HEX: Final = b"\\x"

_OPENS: Final = (b"{", b"[")
"""How JSON begins in which a path can lead somewhere."""


@final
class Seen:
    """What a detector found: how often, and the fingerprints of those that have one."""

    __slots__ = ("count", "detector", "fingerprints")

    def __init__(self, detector: str) -> None:
        self.detector, self.count = detector, 0
        self.fingerprints: set[str] = set()

    def __repr__(self) -> str:
        return f"Seen({self.detector}, {self.count}, {sorted(self.fingerprints)})"


@final
class Hits:
    """What was found, without the values."""

    __slots__ = ("_fingerprints", "_seen")

    def __init__(self, fingerprints: Fingerprints | None) -> None:
        self._fingerprints = fingerprints
        self._seen: dict[str, Seen] = {}

    def add(self, rule: Rule, value: bytes) -> None:
        """Count one."""
        seen = self._seen.get(rule.name)
        if seen is None:
            seen = self._seen[rule.name] = Seen(rule.name)
        seen.count += 1
        if self._fingerprints is not None and len(seen.fingerprints) < _MOST_FINGERPRINTS:
            fingerprint = self._fingerprints.of(rule, value)
            if fingerprint:
                seen.fingerprints.add(fingerprint)

    def take(self) -> list[Seen]:
        """What was found since the last time, by detector."""
        taken = list(self._seen.values())
        self._seen.clear()
        return taken


@final
class _Scanned:
    """A column that is looked into: its place, how its cells are read, and what stands before each."""

    __slots__ = ("column", "place", "prefix", "read")

    def __init__(self, place: int, column: Column, prefix: bytes) -> None:
        self.place, self.column, self.prefix = place, column, prefix
        self.read: Callable[[bytes], bytes] | None = _READ[column.kind]


@final
class Screen:
    """The screen of one result. Values are cells in the order of the rows, None for SQL's null.

    One thread at a time may use it.
    """

    __slots__ = (
        "_as_sent",
        "_matcher",
        "_maybe",
        "_named",
        "_paths",
        "_plain",
        "_scanned",
        "_then",
        "_vain",
        "_width",
        "hits",
    )

    def __init__(
        self,
        columns: Sequence[Column],
        matcher: Matcher | None,
        then: Choose,
        fingerprints: Fingerprints | None = None,
    ) -> None:
        self._width = len(columns)
        self._matcher, self._then = matcher, then
        self.hits = Hits(fingerprints)
        self._named: list[tuple[int, Column]] = []
        self._paths: list[tuple[int, Column]] = []
        # of these nobody said whether they are JSON, or text
        self._maybe: list[tuple[int, Column]] = []
        self._scanned: list[_Scanned] = []
        for place, column in enumerate(columns):
            if column.rule is not None:
                self._named.append((place, column))
                continue
            if column.kind is CellKind.JSON and column.paths:
                self._paths.append((place, column))
                continue
            if column.kind is CellKind.UNTOLD and column.paths:
                self._maybe.append((place, column))
            if matcher is not None and column.kind is not CellKind.CANNOT_HOLD:
                prefix = (
                    column.name.encode("utf-8", "surrogatepass") + b": "
                    if matcher.worded(column.name)
                    else b""
                )
                self._scanned.append(_Scanned(place, column, prefix))
        # the common case, in which the cells are joined as they come
        self._plain = (
            len(self._scanned) == self._width
            and not self._maybe
            and all(one.read is None and not one.prefix for one in self._scanned)
        )

        # whether what is scanned is what was sent, so that it may as well be looked for among the rest
        self._as_sent = (
            matcher is not None
            and not (self._named or self._paths or self._maybe)
            and all(one.read is None and not one.prefix for one in self._scanned)
        )
        self._vain = 0

    @property
    def idle(self) -> bool:
        """Whether nothing in this result is ever masked."""
        return not (self._named or self._paths or self._maybe or self._scanned)

    @property
    def only_scans(self) -> bool:
        """Whether a batch of which `clean` says yes has no cell to change."""
        return self._plain

    def clean(self, copy: bytes) -> bool:
        """Whether nothing is in a copy of a batch with something that is no letter round each cell.

        For those who can make one in less time than a list of cells, and only where `only_scans`; line feeds
        are best. No means that `cells` has to be asked.
        """
        return self._matcher is None or not self._matcher.suspicious(copy)

    def clean_among(self, framed: bytes) -> bool:
        """Whether nothing changes in values that stand, as they are, among other things in these bytes.

        It spares taking them apart. No tells nothing, and where that is said too often nothing is looked for.
        """
        matcher = self._matcher
        if not self._as_sent or self._vain > _MOST_VAIN or matcher is None:
            return False
        if matcher.clean_among(framed):
            if self._vain:
                self._vain -= 1
            return True
        self._vain += _VAIN
        return False

    def cells(self, values: Sequence[bytes | None]) -> Changed | None:
        """The cells of a batch that change, by their place in `values`, and what they become, if any."""
        changed: Changed = {}
        if self._scanned:
            self._scan(values, changed)
        for place, column in self._named:
            self._by_column(values, place, column, changed)
        for place, column in self._paths:
            for at in range(place, len(values), self._width):
                value = values[at]
                if value is not None:
                    self._json(at, value, column, changed)
        for place, column in self._maybe:
            for at in range(place, len(values), self._width):
                value = values[at]
                if value is not None and value[:1] in _OPENS:
                    self._json(at, value, column, changed)
        return changed or None

    def _scan(self, values: Sequence[bytes | None], changed: Changed) -> None:
        matcher = self._matcher
        if matcher is None:
            return
        if self._plain:
            for at in self._struck(values):
                value = values[at]
                if value:
                    self._cell(at, value, value, self._scanned[at % self._width], matcher, changed)
            return
        if len(values) < _TALL * self._width:
            # few rows of maybe many columns: one scan for all of them
            cells: list[bytes | None] = []
            for one in self._scanned:
                cells += _texts(values[one.place :: self._width], one)
            if not matcher.suspicious(_joined(cells)):
                return
        for one in self._scanned:
            column = values[one.place :: self._width]
            texts = _texts(column, one)
            for row in self._struck(texts):
                text = texts[row]
                if text:
                    self._cell(one.place + row * self._width, column[row] or b"", text, one, matcher, changed)

    def _struck(self, texts: Sequence[bytes | None]) -> list[int]:
        """The places of the texts in which something may be."""
        matcher = self._matcher
        if matcher is None:
            return []
        joined = _joined(texts)
        ends = matcher.ends(joined)
        if ends is not None:
            return _holding(texts, ends) if ends else ends
        struck: list[int] = []
        if not matcher.suspicious(joined):
            return struck
        for first in range(0, len(texts), _GROUP):
            group = texts[first : first + _GROUP]
            if matcher.suspicious(_joined(group)):
                struck += [at for at, text in enumerate(group, first) if text and matcher.suspicious(text)]
        return struck

    def _cell(
        self,
        at: int,
        value: bytes,
        text: bytes,
        one: _Scanned,
        matcher: Matcher,
        changed: Changed,
    ) -> None:
        column = one.column
        if column.kind is CellKind.JSON:
            # what was seen in it may begin in another, and then what is no JSON is nobody's business
            if matcher.suspicious(text):
                self._json(at, value, column, changed)
            return
        start = len(one.prefix)
        hits = [
            Hit(max(hit.start, start) - start, hit.end - start, hit.rule)
            for hit in matcher.find(text)
            if hit.end > start and hit.rule.name not in column.exempt
        ]
        if not hits:
            return
        text = text[start:]
        for hit in hits:
            self.hits.add(hit.rule, text[hit.start : hit.end])
        put = masked(text, hits, self._then) if column.holds_text else None
        if put is not None and column.kind is CellKind.HEX:
            put = _HEX + put.hex().encode()
        changed[at] = put

    def _json(self, at: int, value: bytes, column: Column, changed: Changed) -> None:
        found: Found = []
        matcher = self._matcher
        if matcher is not None and column.paths and not matcher.suspicious(scannable(value)):
            # then the strings need not be looked at one by one
            matcher = None
        try:
            put = rewritten(value, column.paths, matcher, self._then, found, column.exempt)
        except BrokenJson:
            if column.kind is CellKind.UNTOLD:
                # then it is text, and was looked at as that
                return
            # where a mask would have to go nobody knows
            found, put = [(TOO_MUCH, value)], b'"%b"' % mark(JSON.name)
        for rule, one in found:
            self.hits.add(rule, one)
        if put is not value:
            changed[at] = put

    def _by_column(
        self, values: Sequence[bytes | None], place: int, column: Column, changed: Changed
    ) -> None:
        then = column.rule.then if column.rule is not None else Then.REDACT
        for at in range(place, len(values), self._width):
            value = values[at]
            if value is not None:
                self.hits.add(COLUMN, value)
                changed[at] = _whole(value, column, then)


def _texts(column: Sequence[bytes | None], one: _Scanned) -> Sequence[bytes | None]:
    """The cells of a column as they are scanned."""
    read, prefix = one.read, one.prefix
    if read is None and not prefix:
        return column
    return [None if cell is None else prefix + (cell if read is None else read(cell)) for cell in column]


def _joined(cells: Sequence[bytes | None]) -> bytes:
    try:
        return b"\n".join(cells)  # type: ignore[arg-type] # nulls are rare: looked for only if one is there
    except TypeError:
        return b"\n".join([cell for cell in cells if cell is not None])


def _holding(texts: Sequence[bytes | None], ends: list[int]) -> list[int]:
    """The places of those that, joined by line feeds, have one of `ends` in them or behind their feed."""
    holding: list[int] = []
    count, number, behind = len(ends), 0, 0
    for at, text in enumerate(texts):
        if text is None:
            continue
        behind += len(text) + 1
        if ends[number] > behind:
            continue
        holding.append(at)
        while ends[number] <= behind:
            number += 1
            if number == count:
                return holding
    return holding


def _whole(value: bytes, column: Column, then: Then) -> bytes | None:
    if not column.holds_text:
        return None
    put = instead(then, COLUMN, _hex(value) if column.kind is CellKind.HEX else value)
    if put is None:
        return None
    match column.kind:
        case CellKind.JSON:
            return b'"%b"' % put
        case CellKind.HEX:
            return _HEX + put.hex().encode()
        case _:
            return put


def _hex(value: bytes) -> bytes:
    if not value.startswith(_HEX):
        return value
    try:
        return bytes.fromhex(value[2:].decode("ascii"))
    except ValueError:
        return value


_READ: Final[dict[CellKind, Callable[[bytes], bytes] | None]] = {
    CellKind.TEXT: None,
    CellKind.JSON: scannable,
    CellKind.HEX: _hex,
    CellKind.CANNOT_HOLD: None,
    CellKind.UNTOLD: None,
}
