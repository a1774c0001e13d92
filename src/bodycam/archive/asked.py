"""Bodies of REQUEST and FINISH as the journal holds them, read without decoding what comes again and again.

What a prepared statement's executions differ in is mostly their values. So the bytes before the values and
those behind them are looked up among those that came lately, and only the values are taken out by hand
(RFC 8949, section 3); a body in another form than the gateway writes is decoded whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cbor2

from bodycam.catalog.statement import Statement, is_long, statement_of, storable
from bodycam.model.operation import Weight

_MOST_KNOWN = 1024
_LONGEST_KNOWN = 8 * 1024
_MOST_COUNT = 1 << 48
"""Rows and bytes of one exchange are counted up to here, so that no sum is too large for the catalog."""

Value = tuple[int, int, bytes | None]
"""A parameter: the protocol's number of its type and of its format, and its value."""


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """What the executions of one statement have in common.

    `own` is the request's text where the statement only stands for those of its shape, else empty.
    """

    verb: str
    statement: Statement
    aside: bool
    own: str = ""

    @property
    def text(self) -> str:
        """What was asked, as it is kept."""
        return self.own or self.statement.text


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """What a request says beside its text and values: `error` is why it was refused if it was.

    `verdict` are the decision and the rule where it was no plain allow; `details` is room for what the index
    makes of the facts, once for all requests that end in the same bytes.
    """

    aside: bool
    error: str
    facts: Mapping[str, Any]
    verdict: tuple[str, str] | None
    details: dict[tuple[str, str | None], str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an exchange ended; `bytes` are those of both ways, `error` what the target said of its failure."""

    status: str
    rows: int
    bytes: int
    code: str | None
    error: str
    tag: str | None = None


class Requests:
    """Reads REQUEST bodies.

    `kept` is how many characters of a statement are kept; `shape` is a transcript's.
    """

    def __init__(self, kept: int, shape: Callable[[str], str | None] | None = None) -> None:
        self._kept, self._shape = kept, shape
        self._shapes: dict[str, Statement] = {}
        self._texts: dict[bytes, tuple[Asking, Asking]] = {}
        self._rests: dict[bytes, Rest] = {}
        self._latest: tuple[bytes, tuple[Asking, Asking] | None] = b"", None

    def read(self, body: bytes) -> tuple[Asking, Sequence[Value], Rest]:
        """What was asked, with which values, and what else is said of it.

        Raises:
            Exception: it is no body of a request.
        """
        begin, both = self._latest
        try:
            # what begins with this whole verb and text has no others
            known = both is not None and body.startswith(begin)
            end = len(begin) if known else _end_of_text(body)
            values, behind = _values(body, end)
        except (IndexError, ValueError):
            return self._whole(body)
        rest = self._rests.get(body[behind:])
        if rest is None:
            rest = self._rest(body[behind:])
        if both is None or not known:
            begin = body[:end]
            both = self._texts.get(begin) or self._text(begin)
            self._latest = begin, both
        return both[rest.aside], values, rest

    def _text(self, begin: bytes) -> tuple[Asking, Asking]:
        verb, text, *_ = cbor2.loads(begin + b"\xf6\xf6\xf6\xf6\xf6")
        statement, own = self._statement(text)
        verb = _word(verb)
        both = Asking(verb, statement, False, own), Asking(verb, statement, True, own)
        if len(begin) <= _LONGEST_KNOWN:
            if len(self._texts) >= _MOST_KNOWN:
                self._texts.clear()
            self._texts[begin] = both
        return both

    def _statement(self, text: str) -> tuple[Statement, str]:
        """The statement to keep, and the text itself where that is another."""
        # a long text has a document of its own: it would be in each bundle's
        if self._shape is None or is_long(text) or len(text) > self._kept:
            return statement_of(text, self._kept), ""
        shape = self._shape(text)
        if shape is None:
            return statement_of(text, self._kept), ""
        statement = self._shapes.get(shape)
        if statement is None:
            statement = statement_of(shape, self._kept)
            if len(self._shapes) >= _MOST_KNOWN:
                self._shapes.clear()
            self._shapes[shape] = statement
        return statement, storable(text)

    def _rest(self, end: bytes) -> Rest:
        facts, weight, verdict, _redactions = cbor2.loads(b"\x84" + end)
        rest = _said(facts, weight, verdict)
        if len(end) <= _LONGEST_KNOWN:
            if len(self._rests) >= _MOST_KNOWN:
                self._rests.clear()
            self._rests[end] = rest
        return rest

    def _whole(self, body: bytes) -> tuple[Asking, Sequence[Value], Rest]:
        verb, text, parameters, facts, weight, verdict, _redactions = cbor2.loads(body)
        values = [(kind, form, value) for kind, form, value in parameters]
        statement, own = self._statement(text)
        asking = Asking(_word(verb), statement, weight == Weight.ASIDE, own)
        return asking, values, _said(facts, weight, verdict)


@lru_cache(maxsize=4096)
def ending(body: bytes) -> Ending:
    """A FINISH body; most come again and again.

    Raises:
        Exception: it is none.
    """
    outcome, rows, to_client, to_target, tag, error = cbor2.loads(body)
    code, said = None, ""
    if error is not None:
        code = _word(error.get("code") or "") or None
        said = "\n".join(str(error[name]) for name in ("message", "detail", "hint") if error.get(name))
    return Ending(_word(outcome)[:16], _counted(rows), _counted(to_client + to_target), code, said, tag)


def _word(word: Any) -> str:
    return storable(str(word))[:64]


def _counted(number: int) -> int:
    return max(0, min(int(number), _MOST_COUNT))


def _said(facts: Any, weight: Any, verdict: Any) -> Rest:
    if verdict is None:
        return Rest(weight == Weight.ASIDE, "", facts, None)
    refusal = str(verdict[3]) if verdict[0] != "allow" else ""
    return Rest(weight == Weight.ASIDE, refusal, facts, (_word(verdict[0]), _word(verdict[1])))


def _end_of_text(body: bytes) -> int:
    """Where the third item of a body begins.

    Raises:
        ValueError, IndexError: it does not begin with a short word and a text.
    """
    verb = body[1] - 0x60
    if body[0] != 0x87 or not 0 <= verb < 24:
        raise ValueError("another form")
    at = 2 + verb
    head = body[at]
    if 0x60 <= head < 0x78:
        end = at + 1 + head - 0x60
    elif head == 0x78:
        end = at + 2 + body[at + 1]
    elif head == 0x79:
        end = at + 3 + (body[at + 1] << 8 | body[at + 2])
    else:
        raise ValueError("another form")
    if end >= len(body):
        raise ValueError("another form")
    return end


def _values(body: bytes, at: int) -> tuple[list[Value], int]:
    """The list of parameters that begins there, and where it ends.

    Raises:
        ValueError, IndexError: it is in another form.
    """
    count, at = _number(body, at, 0x80)
    found: list[Value] = []
    for _ in range(count):
        if body[at] != 0x83:
            raise ValueError("another form")
        kind, form, head = body[at + 1], body[at + 2], body[at + 3]
        if kind < 24 and form < 24 and 0x40 <= head < 0x58:
            # a short value of a type that was not told, which is the most common form
            begin, at = at + 4, at + 4 + head - 0x40
            found.append((kind, form, body[begin:at]))
            continue
        kind, at = _number(body, at + 1)
        form, at = _number(body, at)
        if body[at] == 0xF6:
            found.append((kind, form, None))
            at += 1
            continue
        size, at = _number(body, at, 0x40)
        found.append((kind, form, body[at : at + size]))
        at += size
    if at >= len(body):
        raise ValueError("another form")
    return found, at


def _number(body: bytes, at: int, major: int = 0) -> tuple[int, int]:
    """A head of up to 32 bits: its number, and where it ends.

    Raises:
        ValueError, IndexError: it is another.
    """
    short = body[at] - major
    if 0 <= short < 24:
        return short, at + 1
    if short == 24:
        return body[at + 1], at + 2
    if short == 25:
        return body[at + 1] << 8 | body[at + 2], at + 3
    if short == 26:
        return int.from_bytes(body[at + 1 : at + 5], "big"), at + 5
    raise ValueError("another form")
