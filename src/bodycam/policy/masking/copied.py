"""Masks rows that come as COPY's text or CSV (PostgreSQL's manual, COPY, "File Formats"), in any pieces.

Records go through the result's screen as cells, so that a mask never breaks a line or a field. Records in
which nothing changes keep their bytes.
"""

import re
from typing import Final, final

from bodycam.policy.detectors.marks import mark
from bodycam.policy.detectors.matcher import TOO_MUCH
from bodycam.policy.masking.screen import Hits, Screen

MOST_HELD: Final = 1 << 20
_END_OF_DATA: Final = b"\\."
_ESCAPES: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_ESCAPED: Final = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_MUST_ESCAPE: Final = re.compile(rb"[\b\f\n\r\t\v\\]")
_ESCAPE_OF: Final = {decoded: b"\\" + letter for letter, decoded in _ESCAPES.items()} | {b"\\": b"\\\\"}


@final
class CopyFormat:
    """How rows are written: with the options of COPY that change it; the signs are one byte each."""

    __slots__ = ("csv", "delimiter", "escape", "header", "null", "quote")

    def __init__(
        self,
        *,
        csv: bool = False,
        delimiter: bytes = b"",
        null: bytes | None = None,
        quote: bytes = b'"',
        escape: bytes = b"",
        header: bool = False,
    ) -> None:
        self.csv, self.header = csv, header
        self.delimiter = delimiter or (b"," if csv else b"\t")
        self.null = null if null is not None else (b"" if csv else b"\\N")
        self.quote, self.escape = quote, escape or quote


@final
class CopyStream:
    """The rows of one COPY through a screen. What it holds back is the record that isn't whole yet.

    A record longer than `most_held` becomes one line with a mask for what couldn't be read.
    """

    __slots__ = (
        "_field",
        "_format",
        "_header",
        "_held",
        "_inside",
        "_most",
        "_screen",
        "_skipping",
        "_width",
    )

    def __init__(self, screen: Screen, width: int, form: CopyFormat, *, most_held: int = MOST_HELD) -> None:
        self._screen, self._width, self._format, self._most = screen, width, form, most_held
        self._held = bytearray()
        self._header = form.header
        # the rest of a record that was too long, and whether that is within quotes
        self._skipping = self._inside = False
        quote, escape, delimiter = map(re.escape, (form.quote, form.escape, form.delimiter))
        if quote == escape:
            within = b"(?:[^" + quote + b"]|" + quote + quote + b")*+"
        else:
            within = b"(?:[^" + quote + escape + b"]|" + escape + b".)*+"
        # a field may be quoted in parts, as the server reads it too
        self._field = re.compile(
            b"(?:" + quote + within + quote + b"|[^" + quote + delimiter + b"\r\n])*+", re.DOTALL
        )

    @property
    def hits(self) -> Hits:
        """What was found."""
        return self._screen.hits

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what came; gives the records that are whole."""
        self._held += data
        if b"\n" not in data and len(self._held) < self._most:
            return b""
        return self._whole()

    def flush(self) -> bytes:
        """The rows have ended: what is held, as a last record without its line's end."""
        out = self._whole()
        rest = bytes(self._held)
        self._held.clear()
        if self._skipping:
            self._skipping = False
            return out
        return out + (self._records(rest) if rest else b"")

    def release_held(self) -> bytes:
        """Nothing: a record that isn't whole can't go on."""
        return b""

    def _whole(self) -> bytes:
        data = bytes(self._held)
        out = b""
        if self._skipping:
            end = self._skipped(data)
            if not end:
                self._held.clear()
                return b""
            self._skipping = False
            data, out = data[end:], b"\n"
        cut = self._end(data)
        if cut:
            out += self._records(data[:cut])
        rest = data[cut:]
        self._held.clear()
        if len(rest) >= self._most:
            self._skipping = True
            self._inside = self._format.csv and rest.count(self._format.quote) % 2 == 1
            return out + mark(TOO_MUCH.name)
        self._held += rest
        return out

    def _skipped(self, data: bytes) -> int:
        """Where the record ends that is left out; 0 if not here."""
        quote = self._format.quote if self._format.csv else b"\n"
        position = 0
        while (end := data.find(b"\n", position)) >= 0:
            self._inside ^= data.count(quote, position, end) % 2 == 1
            position = end + 1
            if not self._inside:
                return position
        self._inside ^= data.count(quote, position) % 2 == 1
        return 0

    def _end(self, data: bytes) -> int:
        """Where the last record that is whole ends."""
        form = self._format
        if not form.csv or form.quote not in data:
            return data.rfind(b"\n") + 1
        # a line's end within quotes is a part of the field
        end = position = 0
        size = len(data)
        while position < size:
            match = self._field.match(data, position)
            position = match.end() if match is not None else position
            sign = data[position : position + 1]
            position += 1
            if sign == b"\n":
                end = position
            elif sign == form.quote:
                # it isn't closed yet
                break
        return end

    def _records(self, data: bytes) -> bytes:
        form, screen = self._format, self._screen
        if self._header:
            # the columns' names are no values of theirs
            self._header = self._inside = False
            first = self._skipped(data) or len(data)
            return data[:first] + (self._records(data[first:]) if first < len(data) else b"")
        if screen.only_scans and self._as_written(data) and screen.clean(data.replace(form.delimiter, b"\n")):
            return data
        lines = self._lines(data)
        cells: list[bytes | None] = []
        good: list[tuple[int, list[bytes]]] = []
        for number, (fields, _) in enumerate(lines):
            if len(fields) == self._width:
                good.append((number, fields))
                cells += [self._read(field) for field in fields]
        changed = screen.cells(cells)
        if changed is not None:
            for at, value in changed.items():
                fields = good[at // self._width][1]
                fields[at % self._width] = form.null if value is None else self._written(value)
        out: list[bytes] = []
        for fields, ending in lines:
            if len(fields) != self._width and fields != [_END_OF_DATA] and fields != [b""]:
                # not a row of this table: nothing is known of it
                fields = [mark(TOO_MUCH.name)]
            out += (form.delimiter.join(fields), ending)
        return b"".join(out)

    def _as_written(self, data: bytes) -> bool:
        """Whether every value is written as it is, and the text can be scanned without taking it apart."""
        form = self._format
        if form.csv:
            return form.quote not in data
        backslashes = data.count(b"\\")
        return not backslashes or (form.null == b"\\N" and backslashes == data.count(b"\\N"))

    def _lines(self, data: bytes) -> list[tuple[list[bytes], bytes]]:
        """Each record's fields, as they are written, and its line's end."""
        form = self._format
        if form.csv and form.quote in data:
            return self._quoted_lines(data)
        lines: list[tuple[list[bytes], bytes]] = []
        for line in _by_feeds(data):
            bare = line.rstrip(b"\r\n") if form.csv else line.rstrip(b"\n")
            lines.append((bare.split(form.delimiter), line[len(bare) :]))
        return lines

    def _quoted_lines(self, data: bytes) -> list[tuple[list[bytes], bytes]]:
        lines: list[tuple[list[bytes], bytes]] = []
        fields: list[bytes] = []
        position, size = 0, len(data)
        while position < size:
            match = self._field.match(data, position)
            end = match.end() if match is not None else position
            if data[end : end + 1] == self._format.quote:
                # quotes that don't close are no record: the rest is one field
                end = size
            fields.append(data[position:end])
            if data[end : end + 1] == self._format.delimiter:
                position = end + 1
                if position == size:
                    fields.append(b"")
                continue
            after = end
            while after < size and data[after : after + 1] in (b"\r", b"\n"):
                after += 1
                if data[after - 1 : after] == b"\n":
                    break
            lines.append((fields, data[end:after]))
            fields, position = [], max(after, end + (after == end))
        if fields:
            lines.append((fields, b""))
        return lines

    def _read(self, field: bytes) -> bytes | None:
        form = self._format
        if field == form.null:
            return None
        if not form.csv:
            return _ESCAPED.sub(_decoded, field) if b"\\" in field else field
        quote, escape = form.quote, form.escape
        if quote not in field:
            return field
        inner = field[1:-1] if field.startswith(quote) and field.endswith(quote) and len(field) > 1 else field
        return inner.replace(escape + quote, quote).replace(escape + escape, escape)

    def _written(self, value: bytes) -> bytes:
        form = self._format
        if not form.csv:
            text = _MUST_ESCAPE.sub(lambda match: _ESCAPE_OF[match.group()], value)
            return text.replace(form.delimiter, b"\\" + form.delimiter) if form.delimiter != b"\t" else text
        signs = (form.delimiter, form.quote, b"\n", b"\r")
        if value != form.null and not any(sign in value for sign in signs):
            return value
        inner = value.replace(form.escape, form.escape * 2)
        if form.escape != form.quote:
            inner = inner.replace(form.quote, form.escape + form.quote)
        return form.quote + inner + form.quote


def _by_feeds(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _decoded(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = match.groups()
    if octal is not None:
        return bytes((int(octal, 8) & 0xFF,))
    if hexadecimal is not None:
        return bytes((int(hexadecimal, 16),))
    return _ESCAPES.get(letter, letter)
