"""What one exchange said, for the index: its values and the beginning of its output, read when it ended."""

from collections.abc import Mapping
from dataclasses import dataclass

import cbor2

from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.operation import Fact
from bodycam.model.transcript import Asked, Glancer, Learner, Message, Output, Piece, Reader, Rows, Skimmer

MOST_DATA = 32 * 1024
"""Bytes of an exchange's data after which no more is kept for the index; it shows far less."""
LONGEST_DATA = 64 * 1024
"""Of a single piece of data this much is kept."""
MOST_PIECES = 1024
MOST_KEYS = 4096
"""The same where somebody types at a terminal: each key is a piece, and so is its echo."""

_TO_CLIENT, _COLUMNS = int(Kind.TO_CLIENT), int(Flavor.COLUMNS)
_FRAMES_NEXT = bytes((Flavor.FRAMES,))


@dataclass(slots=True)
class Pieces:
    """Data that an exchange moved in several pieces: kinds and bodies, and how many bytes."""

    kinds: list[int]
    bodies: list[bytes]
    size: int
    typed: bool = False
    """Whether some of it is for a terminal."""


Data = bytes | Pieces
"""What an exchange has moved so far; bytes are the body of a single piece to the client."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One that has ended: when and with which bodies it was asked and finished, and what it moved."""

    number: int
    asked_at: int
    request: bytes
    moved: Data | None
    finished_at: int
    finish: bytes | None


def moved(before: Data | None, kind: int, body: bytes) -> Data:
    """What has moved with one more piece; no more is added when there is enough."""
    if isinstance(before, Pieces) and (
        before.size >= MOST_DATA or len(before.kinds) >= (MOST_KEYS if before.typed else MOST_PIECES)
    ):
        return before
    if len(body) > LONGEST_DATA:
        flavor, count, data = cbor2.loads(body)
        body = cbor2.dumps([flavor, count, data[:LONGEST_DATA]])
    if before is None:
        return body if kind == _TO_CLIENT else Pieces([kind], [body], len(body))
    pieces = before if isinstance(before, Pieces) else Pieces([_TO_CLIENT], [before], len(before))
    # an array of three, its first the flavor
    pieces.typed = pieces.typed or body[1:2] == _FRAMES_NEXT
    pieces.kinds.append(kind)
    pieces.bodies.append(body)
    pieces.size += len(body)
    return pieces


def skimmed(skimmer: Skimmer, data: Data, most: int) -> str | None:
    """The output of an exchange without reading it in full, where that can be told."""
    columns = None
    if isinstance(data, Pieces):
        # a description that was recorded apart, and the rows
        if data.kinds != [_TO_CLIENT, _TO_CLIENT]:
            return None
        flavor, _, columns = cbor2.loads(data.bodies[0])
        if flavor != _COLUMNS:
            return None
        data = data.bodies[1]
    flavor, _, rows = cbor2.loads(data)
    return None if flavor == _COLUMNS else skimmer.skim_output(columns, rows, most)


def glanced(glancer: Glancer, verb: str, facts: Mapping[str, Fact], data: Data, most: int) -> str | None:
    """The output of an exchange without an event for each of its pieces, where that can be told."""
    if isinstance(data, Pieces):
        kinds, bodies = data.kinds, data.bodies
    else:
        kinds, bodies = [_TO_CLIENT], [data]
    pieces: list[Piece] = []
    for kind, body in zip(kinds, bodies, strict=True):
        flavor, said = piece(body)
        pieces.append((kind == _TO_CLIENT, flavor, said))
    return glancer.glance(verb, facts, pieces, most)


def piece(body: bytes) -> tuple[int, bytes]:
    """Flavor and bytes of the body of a data event.

    By the heads of the items alone where there are less than 64 KiB (RFC 8949, section 3).

    Raises:
        Exception: it is no such body.
    """
    size = len(body)
    if size > 5 and body[0] == 0x83 and body[1] < 24 and body[2] < 24:
        head = body[3]
        if head == 0x59 and (body[4] << 8 | body[5]) + 6 == size:
            return body[1], body[6:]
        if head == 0x58 and body[4] + 5 == size:
            return body[1], body[5:]
    flavor, _, said = cbor2.loads(body)
    return flavor, said


def read(
    reader: Reader, exchange: Exchange, most_values: int, most_output: int
) -> tuple[str, str, Mapping[str, Fact]]:
    """Values and output as the reader's entries say them, and what else it learned of the exchange."""
    learner = reader if isinstance(reader, Learner) else None
    said = _Said(most_values, most_output)
    number = exchange.number
    asked = Event(Kind.REQUEST, exchange.asked_at, number, cbor2.loads(exchange.request))
    said.take(reader, asked)
    data = exchange.moved
    if data is not None:
        pieces = data if isinstance(data, Pieces) else Pieces([_TO_CLIENT], [data], len(data))
        for kind, body in zip(pieces.kinds, pieces.bodies, strict=True):
            if learner is None and len(said.output) >= most_output:
                break
            said.take(reader, Event(Kind(kind), exchange.finished_at, number, cbor2.loads(body)))
    if exchange.finish is not None:
        # it may hold something until the exchange's end
        said.take(reader, Event(Kind.FINISH, exchange.finished_at, number, cbor2.loads(exchange.finish)))
    return said.values, said.output, {} if learner is None else learner.learned()


class _Said:
    """Collects texts out of entries, up to their caps."""

    def __init__(self, most_values: int, most_output: int) -> None:
        self._most_values, self._most_output = most_values, most_output
        self.values = self.output = ""

    def take(self, reader: Reader, event: Event) -> None:
        for entry in reader.feed(event):
            if entry.exchange != event.exchange:
                continue
            match entry.body:
                case Asked(parameters=parameters):
                    texts = ("NULL" if one.text is None else one.text for one in parameters)
                    self.values = "\n".join(texts)[: self._most_values]
                case Rows(rows=rows):
                    for row in rows:
                        self._say("\t".join(value for value in row if value is not None))
                        if len(self.output) >= self._most_output:
                            break
                case Output(text=text):
                    self._say(text)
                case Message(level=level, text=text) if level != "error":
                    self._say(text)
                case _:
                    pass

    def _say(self, text: str) -> None:
        if text:
            joined = f"{self.output}\n{text}" if self.output else text
            self.output = joined[: self._most_output]
