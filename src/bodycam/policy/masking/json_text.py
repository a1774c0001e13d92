"""Masks inside JSON text, which stays valid JSON; what is not masked keeps its bytes.

Values are not parsed and written anew, because that would change numbers, blanks, and keys that stand twice.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bodycam.config.masking import Then
from bodycam.config.matching import Step
from bodycam.policy.detectors.marks import mark
from bodycam.policy.detectors.matcher import Hit, Matcher, apart
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.transforms import JSON, Choose, instead, masked

# possessive, so that no text makes it go back
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_MOST_DEPTH = 10_000
_SIGNS = b"{}[],:"
_COLON = re.compile(rb"\s*+:")

Found = list[tuple[Rule, bytes]]
"""What was masked: the rule that found it, and the value."""


Find = Callable[[bytes], list[Hit]]


class BrokenJson(Exception):
    """A text that is not JSON; where a mask would have to go in it nobody knows."""


class PathMask(NamedTuple):
    """A path, by its steps, and what becomes of the values that it leads to."""

    steps: tuple[Step, ...]
    then: Then


States = list[tuple[PathMask, int]]
"""Paths, and how many steps of each have been taken."""


class Place(NamedTuple):
    """A key or value of a text: where, and which path's mask is for it, if one is."""

    start: int
    end: int
    key: bool
    mask: PathMask | None


def scannable(text: bytes) -> bytes:
    """The text for the one scan over everything: with escapes blanked, and what they stood for behind it."""
    if b"\\" not in text:
        return text
    decoded = [content_of(match.group()) for match in _TOKEN.finditer(text) if b"\\" in match.group()]
    return b"\n".join((_blanked(text), *decoded))


def rewritten(
    text: bytes,
    paths: Sequence[PathMask],
    matcher: Matcher | None,
    then: Choose,
    found: Found,
    exempt: frozenset[str] = frozenset(),
) -> bytes:
    """The text with its masks; the same object if there are none. What was masked is added to `found`.

    `exempt` names detectors that are not asked.

    Raises:
        BrokenJson: it is not JSON, and paths or a hit in it call for masks.
    """
    find = _finder(matcher, exempt)
    return _rewritten(text, places(text, paths), find, then, found)


def loosely(text: bytes, start: int, matcher: Matcher, then: Choose, found: Found) -> bytes:
    """`rewritten` for what may be a fragment of JSON or none: its strings and words, from `start` on.

    What stands before `start` is looked at for what it tells of what follows, and not given back.
    """
    put = _rewritten(text, _tokens(text, start), matcher.find, then, found)
    return put[start:] if start else put


def strings(text: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where the strings and words of a text stand that need not be whole JSON, and whether each is a key."""
    for match in _TOKEN.finditer(text):
        if text[match.start()] not in _SIGNS:
            yield match.start(), match.end(), _COLON.match(text, match.end()) is not None


def _tokens(text: bytes, start: int) -> Iterator[Place]:
    for match in _TOKEN.finditer(text, start):
        if text[match.start()] not in _SIGNS:
            yield Place(match.start(), match.end(), _COLON.match(text, match.end()) is not None, None)


def _rewritten(text: bytes, where: Iterator[Place], find: Find, then: Choose, found: Found) -> bytes:
    # a secret is often known by the key before it, so that the text is looked at as a whole too
    hits = find(_blanked(text))
    pieces: list[bytes] = []
    position = first = 0
    for place in where:
        while first < len(hits) and hits[first].end <= place.start:
            first += 1
        token = text[place.start : place.end]
        put = token
        if place.mask is not None:
            found.append((JSON, token))
            value = instead(place.mask.then, JSON, content_of(token))
            put = b"null" if value is None else b'"%b"' % value
        elif find is not _nothing:
            within = _touching(hits, first, place)
            if token.startswith(b'"'):
                put = _string(token, place, within, find, then, found)
            else:
                put = _scalar(token, within or find(token), then, found)
        if put is not token:
            pieces += (text[position : place.start], put)
            position = place.end
    if not pieces:
        return text
    pieces.append(text[position:])
    return b"".join(pieces)


def _nothing(text: bytes) -> list[Hit]:
    return []


def _finder(matcher: Matcher | None, exempt: frozenset[str]) -> Find:
    if matcher is None:
        return _nothing
    if not exempt:
        return matcher.find
    return lambda text: [hit for hit in matcher.find(text) if hit.rule.name not in exempt]


def _touching(hits: Sequence[Hit], first: int, place: Place) -> list[Hit]:
    """The hits in a place, from the text's start; those in a key only if all of them is in it."""
    touching: list[Hit] = []
    for hit in hits[first:]:
        if hit.start >= place.end:
            break
        if not place.key or (place.start <= hit.start and hit.end <= place.end):
            touching.append(hit)
    return touching


def _string(
    token: bytes, place: Place, within: Sequence[Hit], find: Find, then: Choose, found: Found
) -> bytes:
    content, escaped = content_of(token), b"\\" in token
    start, size = place.start + 1, len(content)
    spans = find(content)
    if not escaped:
        spans += [
            Hit(max(hit.start - start, 0), min(hit.end - start, size), hit.rule)
            for hit in within
            if hit.start - start < size and hit.end > start
        ]
    elif within and not spans:
        # where in it the escapes put what was found is not worth knowing
        spans = [Hit(0, size, within[0].rule)]
    if not spans:
        return token
    spans = apart(spans)
    found += [(hit.rule, content[hit.start : hit.end]) for hit in spans]
    put = masked(content, spans, then)
    if put is None:
        return b'"%b"' % mark(spans[0].rule.name) if place.key else b"null"
    return written(put) if escaped else b'"%b"' % put


def _scalar(token: bytes, within: Sequence[Hit], then: Choose, found: Found) -> bytes:
    if not within:
        return token
    rule = within[0].rule
    found.append((rule, token))
    put = instead(then(rule), rule, token)
    return b"null" if put is None else b'"%b"' % put


def places(text: bytes, paths: Sequence[PathMask]) -> Iterator[Place]:
    """Every key and every value that is no container, in order; a container at a path is one place.

    Raises:
        BrokenJson: the text is not JSON.
    """
    # for each container that is open: whether it is an object, and how far which paths have come; and the
    # index of the child in it
    above: list[tuple[bool, States]] = []
    at: list[int] = []
    here: States = [(path, 0) for path in paths]
    taken: tuple[int, int, PathMask] | None = None
    wants_key = False
    for match in _TOKEN.finditer(text):
        token = match.group()
        sign = token[0]
        if sign in b"{[":
            mask, inner = _reached(here)
            if taken is None and mask is not None:
                taken = (match.start(), len(above), mask)
            if len(above) == _MOST_DEPTH:
                raise BrokenJson
            above.append((sign == 0x7B, inner))
            at.append(0)
            wants_key = sign == 0x7B
            here = [] if wants_key else _after(inner, 0)
        elif sign in b"}]":
            if not above or above.pop()[0] is not (sign == 0x7D):
                raise BrokenJson
            at.pop()
            if taken is not None and taken[1] == len(above):
                yield Place(taken[0], match.end(), False, taken[2])
                taken = None
        elif sign == 0x2C:
            if not above:
                raise BrokenJson
            is_object, inner = above[-1]
            wants_key = is_object
            if not is_object:
                at[-1] += 1
                here = _after(inner, at[-1])
        elif sign == 0x3A:
            wants_key = False
        elif wants_key:
            if taken is None:
                yield Place(match.start(), match.end(), True, None)
            here = _after(above[-1][1], content_of(token).decode("utf-8", "surrogateescape"))
        elif taken is None:
            yield Place(match.start(), match.end(), False, _reached(here)[0])
    if above:
        raise BrokenJson


def _reached(states: States) -> tuple[PathMask | None, States]:
    """The mask of a path that ends here, and the paths that go on."""
    mask = next((path for path, done in states if done == len(path.steps)), None)
    return mask, [state for state in states if state[1] < len(state[0].steps)]


def _after(states: States, child: str | int) -> States:
    """How far the paths have come at a child."""
    found: States = []
    for path, done in states:
        deep, wanted = path.steps[done]
        if wanted is None or (wanted == child and type(wanted) is type(child)):
            found.append((path, done + 1))
        if deep:
            found.append((path, done))
    return found


def _blanked(text: bytes) -> bytes:
    """The text with blanks for escapes, of the same length, so that what follows one begins a word."""
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: b" " * len(match.group()), text)


def content_of(token: bytes) -> bytes:
    """What a string means, in UTF-8; anything else as it stands."""
    if not token.startswith(b'"'):
        return token
    if b"\\" not in token:
        return token[1:-1]
    try:
        said = json.loads(token.decode("utf-8", "replace"), strict=False)
    except ValueError:
        # an escape that JSON doesn't have, which some readers take for the letter behind it
        return _ESCAPE.sub(_unescaped, token[1:-1])
    return str(said).encode("utf-8", "surrogatepass")


def _unescaped(match: "re.Match[bytes]") -> bytes:
    escape = match.group()
    if len(escape) > 2:
        return chr(int(escape[2:], 16)).encode("utf-8", "surrogatepass")
    return _LETTERS.get(escape[1:], escape[1:])


def written(content: bytes) -> bytes:
    """A string of JSON that means this text; what is no UTF-8 in it becomes signs that say so."""
    try:
        text = content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
    written = json.dumps(text, ensure_ascii=False)
    try:
        return written.encode()
    except UnicodeEncodeError:
        return json.dumps(text).encode()
