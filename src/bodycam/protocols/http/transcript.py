"""An HTTP session's recording decoded for people (`model.transcript`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.operation import Fact, Weight
from bodycam.model.trace import TRACE_PARENT, TraceParent, trace_parent
from bodycam.model.transcript import Asked, Body, Done, Entry, Noted, Output, Piece
from bodycam.protocols.http.details import kept, learned
from bodycam.protocols.http.dialects import recognise, said
from bodycam.protocols.http.frames import Messages, Opcode, close_code
from bodycam.protocols.http.reading import BodyText
from bodycam.protocols.http.skimming import content_type, glance, head_text, readable, shape
from bodycam.session import telling

EXCHANGES_MOST: Final = 256
KEPT_MOST: Final = 2 * 1024 * 1024
"""Bytes of one recorded body that are kept to be read as what an API means by them."""


_ANY: Final = 1 << 40


class _Way:
    """One way of an exchange: head and body as they were recorded."""

    def __init__(self, name: str) -> None:
        """`name` is what its pieces are told as: a request or a response."""
        self.name, self.head = name, b""
        self._text: BodyText | None = None
        self.body: list[bytes] = []
        self.size = 0
        self.messages: Messages | None = None

    def take(self, flavor: int, data: bytes) -> tuple[bytes, bytes]:
        """The head and the piece of body in what was recorded."""
        if flavor != Flavor.HEAD:
            self._keep(data)
            return b"", data
        head, blank, body = data.partition(b"\r\n\r\n")
        self.head = head + blank
        self._keep(body)
        return self.head, body

    def read(self, data: bytes) -> list[Body]:
        """A piece of the body, as far as it can be read without the next."""
        if not data:
            return []
        if self._text is None:
            self._text = BodyText(content_type(self.head))
        return self._output(self._text.take(data))

    def rest(self) -> list[Body]:
        """What has not been told of a body that is over."""
        text, self._text = self._text, None
        return [] if text is None else self._output(text.end())

    def _output(self, text: str) -> list[Body]:
        return [Output(f"{self.name} body", text)] if text else []

    def told(self, data: bytes) -> list[Body]:
        """The messages of a WebSocket, of which the next bytes were recorded."""
        which = "sent" if self.name == "request" else "received"
        if self.messages is None:
            self.messages = Messages(masked=False, most=_ANY)
        self.messages.add(data)
        found: list[Body] = []
        while (message := self.messages.take()) is not None:
            said, payload = "", message.payload
            if message.opcode is Opcode.CLOSE:
                said, payload = f"{close_code(payload)} ", payload[2:]
            name = f"{message.opcode.name.lower()} " if message.control else ""
            found.append(Output(f"websocket {name}{which}", said + readable(payload)))
        return found

    def _keep(self, data: bytes) -> None:
        if data and self.size < KEPT_MOST:
            self.body.append(data)
            self.size += len(data)

    def fields(self) -> dict[str, str]:
        """All fields, their names in lower case."""
        found: dict[str, str] = {}
        for line in self.head.split(b"\r\n")[1:]:
            key, colon, value = line.partition(b":")
            if colon:
                found[key.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
        return found


class _Exchange:
    """What is known of one exchange while it lasts."""

    def __init__(self, verb: str, facts: Mapping[str, Any]) -> None:
        self.verb, self.facts = verb, facts
        self.sent, self.received = _Way("request"), _Way("response")
        self.learned: Mapping[str, Fact] = {}

    def told(self) -> list[Body]:
        """What an API's request and answer mean, at the end."""
        path = f"{self.facts.get('http.path', '')}?{self.facts.get('http.query', '')}"
        sent = self.sent
        dialect = recognise(self.verb, path, content_type(sent.head), sent.fields())
        if dialect is None:
            return []
        asked = said.asked(dialect, b"".join(sent.body)) if sent.body else []
        answered: list[said.Entry] = []
        if self.received.body:
            kind = content_type(self.received.head).partition(";")[0].strip().lower()
            answer = said.answer(dialect, b"".join(self.received.body), kind)
            self.learned = learned(answer)
            answered = said.told(dialect, answer)
        return [*asked, *answered]


class HttpReader:
    """Turns one session's events, in order, into entries."""

    def __init__(self) -> None:
        self._exchanges: dict[int, _Exchange] = {}
        self._learned: Mapping[str, Fact] = {}
        self._readers: dict[Kind, Callable[[Event, list[Body]], None]] = {
            Kind.OPENED: self._opened,
            Kind.REQUEST: self._request,
            Kind.TO_TARGET: self._to_target,
            Kind.TO_CLIENT: self._to_client,
            Kind.FINISH: self._finish,
            Kind.NOTE: self._note,
            Kind.CLOSED: self._closed,
        }

    def feed(self, event: Event) -> list[Entry]:
        """What one event says."""
        return telling.told(self._readers, event)

    def learned(self) -> Mapping[str, Fact]:
        """What the answer of an API to the exchange that ended last says of itself."""
        return self._learned

    def glance(self, verb: str, facts: Mapping[str, Any], pieces: Sequence[Piece], most: int) -> str | None:
        """The output of an exchange in which nothing but HTTP is spoken (`model.transcript.Glancer`)."""
        try:
            return glance(facts, pieces, most)
        except (LookupError, ValueError):
            # of bodies in strange charsets the entries say why they can't be read
            return None

    def _opened(self, event: Event, found: list[Body]) -> None:
        found.append(telling.opened(event))

    def _request(self, event: Event, found: list[Body]) -> None:
        verb, text, _, facts, weight, verdict, redactions = event.body
        if len(self._exchanges) >= EXCHANGES_MOST:
            del self._exchanges[next(iter(self._exchanges))]
        self._exchanges[event.exchange] = _Exchange(str(verb), facts)
        found.append(
            Asked(str(verb), str(text), (), weight == Weight.ASIDE, telling.verdict(verdict), int(redactions))
        )

    def _to_target(self, event: Event, found: list[Body]) -> None:
        exchange = self._exchange(event)
        self._moved(event, exchange.sent, found)

    def _to_client(self, event: Event, found: list[Body]) -> None:
        exchange = self._exchange(event)
        if event.body[0] == Flavor.HEAD:
            found += exchange.sent.rest()
        self._moved(event, exchange.received, found)

    def _exchange(self, event: Event) -> _Exchange:
        return self._exchanges.get(event.exchange) or _Exchange("", {})

    def _moved(self, event: Event, way: _Way, found: list[Body]) -> None:
        flavor, _, data = event.body
        if flavor == Flavor.MESSAGE:
            found += way.told(data)
            return
        head, body = way.take(flavor, data)
        if head:
            found += way.rest()
            found.append(Output(f"{way.name} head", head_text(head)))
        found += way.read(body)
        if event.exchange not in self._exchanges:
            # of no request: nothing is known to come
            found += way.rest()

    def _finish(self, event: Event, found: list[Body]) -> None:
        outcome, _, to_client, to_target, tag, error = event.body
        exchange = self._exchanges.pop(event.exchange, None)
        self._learned = {}
        if exchange is not None:
            found += [*exchange.sent.rest(), *exchange.received.rest(), *exchange.told()]
            self._learned = exchange.learned
        if error is not None:
            found.append(telling.failure(error))
        found.append(Done(str(outcome), tag, 0, to_client + to_target))

    def _note(self, event: Event, found: list[Body]) -> None:
        more = {name: value for name, value in event.body.items() if name != "note"}
        # one that says it all in words
        alone = str(more["what"]) if more.keys() == {"what"} else ""
        detail = alone or ", ".join(f"{name}={value}" for name, value in more.items())
        found.append(Noted(str(event.body["note"]), detail))

    def _closed(self, event: Event, found: list[Body]) -> None:
        self._exchanges.clear()
        found.append(telling.closed(event))


class HttpTranscript:
    """HTTP's decoder for people."""

    def reader(self) -> HttpReader:
        """A reader for one session."""
        return HttpReader()

    def trace(self, text: str, facts: Mapping[str, Any]) -> TraceParent | None:
        """What the request's own field says."""
        claimed = facts.get(TRACE_PARENT)
        return trace_parent(claimed) if isinstance(claimed, str) else None

    def kept(self, facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
        """The status, and what is asked of models and tools."""
        return kept(facts, tag)

    def shape(self, text: str) -> str | None:
        """The URL without numbers and values."""
        return shape(text)


TRANSCRIPT = HttpTranscript()
