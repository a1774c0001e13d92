"""A value that must not stay in a recording: its forms are found and masked in place.

What stands for it has its length in bytes, so that the protocol's own messages stay whole. In streams it is
found over the ends of their pieces.
"""

import base64
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from bodycam.model.event import Kind

SHORTEST: Final = 6
LONGEST: Final = 4096
MARK: Final = b"[redacted]"
_DATA = (int(Kind.TO_TARGET), int(Kind.TO_CLIENT))
_OPENED, _FINISH = int(Kind.OPENED), int(Kind.FINISH)
_COLUMNS = 3
_KEPT = frozenset(
    (
        "session",
        "run",
        "worker",
        "opening",
        "started",
        "policy",
        "version",
        "grade",
        "target",
        "agent",
        "principal",
    )
)
"""Of an opening: what says whose recording it is, which stays as it is."""

Stream = tuple[int, int, bool]
Patches = dict[int, list[tuple[int, int]]]


def forms(value: bytes) -> tuple[bytes, ...]:
    """A value as it stands in text, SQL, JSON, URLs, hexadecimal and base64, the longest first."""
    found = {value, value.hex().encode(), value.hex().upper().encode(), value.replace(b"'", b"''")}
    found.add(base64.b64encode(value).rstrip(b"="))
    text = value.decode(errors="surrogateescape")
    found.add(quote(text, safe="", errors="surrogateescape").encode())
    if text.isprintable() or not any(0xDC80 <= ord(one) <= 0xDCFF for one in text):
        found.add(json.dumps(text)[1:-1].encode())
        found.add(json.dumps(text, ensure_ascii=False)[1:-1].encode())
    return tuple(sorted((one for one in found if len(one) >= SHORTEST), key=len, reverse=True))


def mask(length: int) -> bytes:
    """What stands for so many bytes."""
    return MARK + b"*" * (length - len(MARK)) if length >= len(MARK) else b"*" * length


class Finder:
    """Goes through one session's events in order; `patches` has places in streams."""

    def __init__(self, wanted: tuple[bytes, ...]) -> None:
        self._wanted, self._keep = wanted, len(wanted[0]) - 1
        self._tails: dict[Stream, list[tuple[int, int, bytes]]] = defaultdict(list)
        self.patches: Patches = {}
        self.count = 0
        self.kept = 0
        """Places where it stands in what says whose recording it is."""

    def take(self, number: int, event: list[Any]) -> None:
        """The next event; `number` counts them from 0."""
        kind, _, exchange, body = event
        if kind in _DATA and isinstance(body, list) and len(body) == 3 and isinstance(body[2], bytes):
            self._stream((exchange, kind, body[0] == _COLUMNS), number, body[2])
            return
        if kind == _FINISH:
            for way in _DATA:
                self._tails.pop((exchange, way, False), None)
                self._tails.pop((exchange, way, True), None)
        self.count += _Cleaner(self._wanted).body(kind, body)[1]
        if kind == _OPENED and isinstance(body, dict):
            self.kept += sum(_Cleaner(self._wanted).any(body[name])[1] for name in _KEPT if name in body)

    def cleaned(self, number: int, event: list[Any]) -> list[Any]:
        """An event as it is to stand; call it when all were taken."""
        kind, at, exchange, body = event
        if kind in _DATA and isinstance(body, list) and len(body) == 3 and isinstance(body[2], bytes):
            if number not in self.patches:
                return event
            data = bytearray(body[2])
            for begin, length in self.patches[number]:
                data[begin : begin + length] = mask(length)
            return [kind, at, exchange, [body[0], body[1], bytes(data)]]
        return [kind, at, exchange, _Cleaner(self._wanted).body(kind, body)[0]]

    def _stream(self, stream: Stream, number: int, data: bytes) -> None:
        tail = self._tails[stream]
        before = b"".join(piece for _, _, piece in tail)
        joined = before + data
        for begin, end in matches(joined, self._wanted):
            if end <= len(before):
                continue  # it was found when its end came
            self.count += 1
            position = 0
            for owner, offset, piece in [*tail, (number, 0, data)]:
                first, last = max(begin, position), min(end, position + len(piece))
                if first < last:
                    place = offset + first - position, last - first
                    self.patches.setdefault(owner, []).append(place)
                position += len(piece)
        tail.append((number, 0, data))
        left = self._keep
        kept = list[tuple[int, int, bytes]]()
        for owner, offset, piece in reversed(tail):
            if left <= 0:
                break
            cut = max(0, len(piece) - left)
            kept.append((owner, offset + cut, piece[cut:]))
            left -= len(piece) - cut
        self._tails[stream] = kept[::-1]


class _Cleaner:
    """Masks in texts and bytes, wherever they are in a body."""

    def __init__(self, wanted: tuple[bytes, ...]) -> None:
        self._wanted = wanted

    def body(self, kind: int, body: Any) -> tuple[Any, int]:
        if kind != _OPENED or not isinstance(body, dict):
            return self.any(body)
        kept = {name: value for name, value in body.items() if name in _KEPT}
        rest, count = self.any({name: value for name, value in body.items() if name not in _KEPT})
        return {name: kept.get(name, rest.get(name)) for name in body if name in kept or name in rest}, count

    def any(self, value: Any) -> tuple[Any, int]:
        match value:
            case str():
                data, count = masked(value.encode(errors="surrogatepass"), self._wanted)
                return (data.decode(errors="replace"), count) if count else (value, 0)
            case bytes():
                return masked(value, self._wanted)
            case list():
                done = [self.any(one) for one in value]
                return [one for one, _ in done], sum(count for _, count in done)
            case dict():
                pairs = [(self.any(key), self.any(one)) for key, one in value.items()]
                return {key: one for (key, _), (one, _) in pairs}, sum(a + b for (_, a), (_, b) in pairs)
            case _:
                return value, 0


def cleaned(plain: dict[str, Any], wanted: tuple[bytes, ...]) -> tuple[dict[str, Any], int]:
    """What JSON can say, with the value masked in its values, and how often it was there; keys stay."""
    made = {name: _Cleaner(wanted).any(value) for name, value in plain.items()}
    return {name: value for name, (value, _) in made.items()}, sum(count for _, count in made.values())


def masked(data: bytes, wanted: tuple[bytes, ...]) -> tuple[bytes, int]:
    """Bytes with what is wanted masked, and how often it was there."""
    found = list(matches(data, wanted))
    if not found:
        return data, 0
    changed = bytearray(data)
    for begin, end in found:
        changed[begin:end] = mask(end - begin)
    return bytes(changed), len(found)


def matches(data: bytes, wanted: Iterable[bytes]) -> list[tuple[int, int]]:
    """Where any of them stands, without overlaps, the longer ones first."""
    found = list[tuple[int, int]]()
    for form in wanted:
        at = data.find(form)
        while at >= 0:
            end = at + len(form)
            if all(end <= begin or at >= until for begin, until in found):
                found.append((at, end))
            at = data.find(form, at + 1)
    return sorted(found)
