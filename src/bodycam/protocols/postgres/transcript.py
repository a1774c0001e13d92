"""A PostgreSQL session's recording decoded for people (`model.transcript`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.operation import Fact, Weight
from bodycam.model.trace import TraceParent
from bodycam.model.transcript import Asked, Body, Done, Entry, Noted, Shown
from bodycam.protocols.postgres import details, skimming, types
from bodycam.protocols.postgres.recorded_exchange import RecordedExchange
from bodycam.session import telling

EXCHANGES_MOST = 64
"""So many exchanges are read side by side; one more, and the oldest loses what was known of its columns."""


class PostgresReader:
    """Turns one session's events, in order, into entries."""

    def __init__(self) -> None:
        self._exchanges: dict[int, RecordedExchange] = {}
        self._encoding = "utf-8"
        self._owed = 0
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

    def skim_values(self, parameters: Sequence[tuple[int, int, bytes | None]]) -> str:
        """The parameters of a request, as its entry shows them."""
        return skimming.values(parameters, self._encoding)

    def skim_output(self, columns: bytes | None, data: bytes, most: int) -> str | None:
        """The rows of a simple answer, as its entries show them; None where it is not simple."""
        return skimming.output(columns, data, most, self._encoding)

    def _exchange(self, number: int) -> RecordedExchange:
        found = self._exchanges.get(number)
        if found is None:
            if len(self._exchanges) >= EXCHANGES_MOST:
                del self._exchanges[next(one for one in self._exchanges if one)]
            found = self._exchanges[number] = RecordedExchange(self._encoding)
        return found

    def _to_client(self, event: Event, said: list[Body]) -> None:
        flavor, _, data = event.body
        exchange = self._exchange(event.exchange)
        if flavor == Flavor.COLUMNS:
            exchange.columns(data, said)
            return
        try:
            exchange.to_client(data, said)
        finally:
            self._encoding = exchange.encoding if exchange.encoding_changed else self._encoding
            exchange.encoding_changed = False

    def _to_target(self, event: Event, said: list[Body]) -> None:
        data = event.body[2]
        if self._owed and event.exchange == 0:
            # a COPY failed in the middle of a message, whose end comes when its exchange is over
            passed = min(self._owed, len(data))
            self._owed -= passed
            data = data[passed:]
        self._exchange(event.exchange).to_target(data, said)

    def _opened(self, event: Event, said: list[Body]) -> None:
        said.append(telling.opened(event))

    def _request(self, event: Event, said: list[Body]) -> None:
        verb, text, parameters, facts, weight, verdict, redactions = event.body
        if verb == "connect" and not text:
            text = ", ".join(f"{name}={value}" for name, value in facts.items())
        shown = tuple(
            Shown(
                types.name(kind), None if value is None else types.decode(kind, form, value, self._encoding)
            )
            for kind, form, value in parameters
        )
        said.append(
            Asked(
                str(verb), str(text), shown, weight == Weight.ASIDE, telling.verdict(verdict), int(redactions)
            )
        )

    def _finish(self, event: Event, said: list[Body]) -> None:
        outcome, rows, to_client, to_target, tag, error = event.body
        exchange = self._exchanges.pop(event.exchange, None)
        if exchange is not None:
            self._owed = exchange.owed or self._owed
            exchange.end(said)
        if error is not None and (exchange is None or not exchange.error_seen):
            said.append(telling.failure(error))
        affected = _affected(tag)
        said.append(Done(str(outcome), tag, rows if affected is None else affected, to_client + to_target))

    def _note(self, event: Event, said: list[Body]) -> None:
        said.append(Noted(str(event.body["note"]), _listed(event.body, "note")))

    def _closed(self, event: Event, said: list[Body]) -> None:
        self._exchanges.clear()
        said.append(telling.closed(event))


class PostgresTranscript:
    """PostgreSQL's decoder for people."""

    def reader(self) -> PostgresReader:
        """A reader for one session."""
        return PostgresReader()

    def trace(self, text: str, facts: Mapping[str, Any]) -> TraceParent | None:
        """What a comment in the statement says."""
        return details.claimed(text)

    def kept(self, facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
        """The command that the server says was done."""
        return details.kept(tag)

    def shape(self, text: str) -> None:
        """Statements are kept as they are: applications prepare those that come again."""


TRANSCRIPT = PostgresTranscript()


def _affected(tag: str | None) -> int | None:
    """The rows that command tags report (`INSERT 0 5`, `SELECT 3`), added up; None if none does."""
    if not tag:
        return None
    counts = [
        int(last)
        for one in tag.split("; ")
        if (last := one.rpartition(" ")[2]).isascii() and last.isdigit() and len(last) < 20
    ]
    return sum(counts) if counts else None


def _listed(body: Mapping[str, Any], without: str) -> str:
    return ", ".join(f"{name}: {value}" for name, value in body.items() if name != without)
