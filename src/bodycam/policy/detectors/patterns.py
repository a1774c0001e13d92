"""All detectors of one gateway, and the matchers that are made of some of them."""

import difflib
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import cbor2
import kingfisher
import re2

from bodycam.policy.detectors import own, pii, secrets, stored
from bodycam.policy.detectors.automaton import Automaton
from bodycam.policy.detectors.known import chooses, hints
from bodycam.policy.detectors.matcher import Matcher, Pattern
from bodycam.policy.detectors.rule import Rule

# enough for RE2 to keep the largest rules deterministic; what needs more is slower, and no less linear
_RE2_MEMORY = 64 << 20


class UnknownDetector(Exception):
    """No detector has this name or begins with it; the message says which look like it."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"there is no detector of this name{hint}")
        self.name, self.near = name, tuple(near)


class Patterns:
    """The rules that are installed and those of the settings; matchers by names or groups of them."""

    def __init__(self, rules: Iterable[Rule], cache: Path | None = None) -> None:
        self._cache = cache
        self._patterns: list[Pattern] = []
        self.left_out: list[str] = []
        self._matchers: dict[tuple[int, ...], Matcher] = {}
        for rule in rules:
            try:
                self._patterns.append(Pattern(rule, _linear(rule.pattern)))
            except re2.error:
                self.left_out.append(rule.name)

    @classmethod
    def open(
        cls, cache: Path, patterns: Mapping[str, str] | None = None, secret: Collection[str] = ()
    ) -> "Patterns":
        """Every detector there is, with those of the settings; what takes long is kept in the folder `cache`.

        `secret` are the names of patterns that find keys and tokens.

        The first time takes seconds as matchers are made, so that one process should do it before the others
        start.

        Raises:
            RulesUnreadable: the installed rules can't be read.
        """
        return cls([*secrets.rules(_listed(cache)), *pii.RULES, *own.rules(patterns or {}, secret)], cache)

    @property
    def names(self) -> list[str]:
        """The detectors; groups and beginnings of names can be chosen too."""
        return sorted({pattern.rule.name for pattern in self._patterns})

    def chosen(self, names: Iterable[str]) -> list[Pattern]:
        """The patterns that `names` choose: detectors, `secrets`, `pii`, or the beginning of names.

        `secrets.aws` is all of `secrets.aws-...`.

        Raises:
            UnknownDetector: a name chooses nothing.
        """
        places: set[int] = set()
        for name in names:
            found = {place for place, one in enumerate(self._patterns) if chooses(name, one.rule.name)}
            if not found:
                raise UnknownDetector(
                    name, difflib.get_close_matches(name, hints(frozenset(self.names)), n=3)
                )
            places |= found
        return [self._patterns[place] for place in sorted(places)]

    def matcher(self, names: Iterable[str], *, placed: bool = False) -> Matcher:
        """A matcher for the detectors that `names` choose; the same one for the same detectors.

        `placed` makes one that also tells where something may be, for texts of many cells.

        Raises:
            UnknownDetector: a name chooses nothing.
        """
        patterns = self.chosen(names)
        key = tuple(map(id, patterns))
        coarse = list(dict.fromkeys(pattern.rule.coarse for pattern in patterns))
        found = self._matchers.get(key)
        if found is None:
            found = self._matchers[key] = Matcher(patterns, coarse, Automaton.open(coarse, self._cache))
        if placed and not found.places:
            each = Automaton.open(coarse, self._cache, each=True)
            found.place_by(each, Automaton.loose(coarse, self._cache, each.refused))
        return found


def _linear(pattern: bytes) -> "re2._Regexp":
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = _RE2_MEMORY
    return re2.compile(pattern, options)


def _listed(cache: Path) -> list[dict[str, object]]:
    program = Path(kingfisher.get_binary_path()).stat()
    text = f"{kingfisher.__version__} {program.st_size} {program.st_mtime_ns}"
    path = cache / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.rules"
    if (body := stored.load(path)) is not None:
        with suppress(ValueError):
            return list(cbor2.loads(body))
    plain = secrets.listed()
    with suppress(OSError):
        stored.save(path, cbor2.dumps(plain))
    return plain
