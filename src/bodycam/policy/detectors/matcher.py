"""Looks for the things that some rules describe: one scan over everything, then the exact place by RE2."""

from collections.abc import Sequence
from typing import Any, final

import hyperscan
import re2

from bodycam.policy.detectors.automaton import Automaton
from bodycam.policy.detectors.marks import MARK, MARK_START
from bodycam.policy.detectors.rule import Coarse, Rule

# bytes, over all rules, that are looked at closely in one text before the whole of it counts as found
MAX_WORK = 16 << 20
MAX_HITS = 4_096
# longer texts are looked at in pieces that overlap: most rules have nothing to do in most of them
_PIECE = 64 << 10
_OVERLAP = 16 << 10
# matches of which a scan tells where they end; where there are more nearly everything is to be looked at
_MOST_ENDS = 4_096
TOO_MUCH = Rule("unread", b"")


@final
class Pattern:
    """A rule with its compiled pattern."""

    __slots__ = ("regex", "rule")

    def __init__(self, rule: Rule, regex: "re2._Regexp") -> None:
        self.rule, self.regex = rule, regex


@final
class Hit:
    """Something found: where, and by which rule."""

    __slots__ = ("end", "rule", "start")

    def __init__(self, start: int, end: int, rule: Rule) -> None:
        self.start, self.end, self.rule = start, end, rule

    def __repr__(self) -> str:
        return f"Hit({self.start}, {self.end}, {self.rule.name})"


@final
class Matcher:
    """Some rules, ready to be looked for. One thread at a time may use it.

    Where `suspicious` says no, of a text or of texts joined by line feeds, `find` finds nothing in any.
    """

    __slots__ = (
        "_each",
        "_ends",
        "_found",
        "_least",
        "_loose",
        "_noted",
        "_noted_end",
        "_patterns",
        "_scan",
        "_worded",
        "names",
    )

    def __init__(self, patterns: Sequence[Pattern], coarse: Sequence[Coarse], automaton: Automaton) -> None:
        places = {one: place for place, one in enumerate(coarse)}
        self._patterns: list[list[Pattern]] = [[] for _ in coarse]
        for pattern in patterns:
            if (place := places[pattern.rule.coarse]) not in automaton.refused:
                self._patterns[place].append(pattern)
        self.names = frozenset(pattern.rule.name for one in self._patterns for pattern in one)
        words = [pattern.rule.words for pattern in patterns if pattern.rule.words]
        self._worded = (
            re2.compile(rb"(?i)(?:^|_|\b)(?:" + b"|".join(words) + rb")(?:$|_|\b)", _latin())
            if words
            else None
        )
        self._scan, self._least = automaton.scan, automaton.least
        self._found: list[int] = []
        self._noted = self._note
        self._each: Automaton | None = None
        self._loose: Automaton | None = None
        self._ends: list[int] = []
        self._noted_end = self._note_end

    def suspicious(self, text: bytes) -> bool:
        """Whether something may be in a text: False is certain. Costs one scan, but of the shortest texts."""
        if len(text) < self._least:
            return False
        found = self._found
        self._scan(text, self._noted)
        if found:
            found.clear()
            return True
        return False

    @property
    def places(self) -> bool:
        """Whether `ends` can say where something may be."""
        return self._each is not None

    def place_by(self, each: Automaton, loose: Automaton | None) -> None:
        """Let it say so, by one of the same patterns that tells of each match.

        `loose` finds them among other things as well, for `clean_among`.
        """
        self._each, self._loose = each, loose

    def clean_among(self, framed: bytes) -> bool:
        """Whether `find` certainly finds nothing in any text that stands somewhere in these bytes.

        Costs one scan; no may be said for what is none of a text.
        """
        if self._loose is None:
            return False
        self._loose.scan(framed, self._noted)
        if self._found:
            self._found.clear()
            return False
        return True

    def ends(self, text: bytes) -> list[int] | None:
        """Where in a text what may be something ends, in order: none is certain. Costs one scan.

        Of texts joined by line feeds, one in which `find` finds something has an end behind its first byte,
        and at the latest behind the line feed that follows it. None where there are too many ends to tell, or
        it was not let know.
        """
        if self._each is None:
            return None
        ends = self._ends
        try:
            self._each.scan(text, self._noted_end)
        except hyperscan.ScanTerminated:
            self._ends = []
            return None
        if not ends:
            return ends
        self._ends = []
        ends.sort()
        return ends

    def worded(self, name: str) -> bool:
        """Whether a name, such as `ssn`, is one by which alone a kind of number is known."""
        return self._worded is not None and self._worded.search(name.encode()) is not None

    def find(self, text: bytes) -> list[Hit]:
        """What is in a text, in order and apart from each other; masks that stand there already are left.

        A text that would take too long is one hit as a whole, under the name `unread`.
        """
        size = len(text)
        if size <= _PIECE + _OVERLAP:
            work, hits = self._collected(text, MAX_WORK)
        else:
            work, hits = MAX_WORK, []
            for start in range(0, size - _OVERLAP, _PIECE):
                work, found = self._collected(text[start : start + _PIECE + _OVERLAP], work)
                # what begins where a piece does may be the rest of something, which the one before has whole
                hits += [
                    Hit(start + hit.start, start + hit.end, hit.rule)
                    for hit in found
                    if hit.start or not start
                ]
        if work < 0 or len(hits) > MAX_HITS:
            return [Hit(0, size, TOO_MUCH)]
        if not hits:
            return hits
        return apart(_unmasked(text, hits) if MARK_START in text else hits)

    def _collected(self, text: bytes, work: int) -> tuple[int, list[Hit]]:
        """What is left of the work that may be done, negative if it was not enough, and what was found."""
        hits: list[Hit] = []
        if work < 0:
            return work, hits
        self._scan(text, self._noted)
        if not self._found:
            return work, hits
        places = sorted(self._found)
        self._found.clear()
        for place in places:
            for pattern in self._patterns[place]:
                work = _collect(pattern, text, hits, work)
                if work < 0:
                    return work, hits
        return work, hits

    def _note(self, place: int, start: int, end: int, flags: int, context: object) -> None:
        self._found.append(place)

    def _note_end(self, place: int, start: int, end: int, flags: int, context: object) -> bool:
        self._ends.append(end)
        return len(self._ends) > _MOST_ENDS


def _collect(pattern: Pattern, text: bytes, hits: list[Hit], work: int) -> int:
    rule, search = pattern.rule, pattern.regex.search
    position, size = 0, len(text)
    while position <= size and len(hits) <= MAX_HITS:
        match = search(text, position)
        if match is None:
            return work - (size - position)
        work -= match.end() - position + rule.effort
        if work < 0:
            break
        start, end = _group(match, rule)
        confirmed = rule.confirm(text[start:end])
        if confirmed is None or confirmed[0] == confirmed[1]:
            # another may begin within what was refused
            position = match.start() + 1
            continue
        hits.append(Hit(start + confirmed[0], start + confirmed[1], rule))
        # what ends one may begin the next
        position = max(start + confirmed[1], match.start() + 1)
    return work


def _group(match: Any, rule: Rule) -> tuple[int, int]:
    for group in rule.groups:
        start, end = match.span(group)
        if start >= 0 and start < end:
            return start, end
    start, end = match.span()
    return start, end


def _unmasked(text: bytes, hits: list[Hit]) -> list[Hit]:
    masks = [match.span() for match in MARK.finditer(text)]
    return [hit for hit in hits if not any(hit.start < end and start < hit.end for start, end in masks)]


def apart(hits: list[Hit]) -> list[Hit]:
    """Hits in order, those that overlap as one under the name of the first."""
    if not hits:
        return hits
    hits.sort(key=lambda hit: (hit.start, -hit.end))
    apart = [hits[0]]
    for hit in hits[1:]:
        last = apart[-1]
        if hit.start >= last.end:
            apart.append(hit)
        elif hit.end > last.end:
            apart[-1] = Hit(last.start, hit.end, last.rule)
    return apart


def _latin() -> "re2.Options":
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return options
