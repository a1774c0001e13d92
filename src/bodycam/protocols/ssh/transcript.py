"""An SSH session's recording decoded for people (`model.transcript`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.operation import Fact, Weight
from bodycam.model.trace import TraceParent, trace_parent
from bodycam.model.transcript import Asked, Body, Column, Columns, Done, Entry, Noted, Rows, Terminal
from bodycam.protocols.ssh.details import kept
from bodycam.protocols.ssh.spoken import Spoken, Way, said_by
from bodycam.session import telling

EXCHANGES_MOST: Final = 1024
FILE: Final = Columns(tuple(Column(name, "text") for name in ("path", "direction", "bytes", "sha256")))
_TRACE: Final = "TRACEPARENT="
_INPUT, _OUTPUT, _ERRORS = Way.INPUT, Way.OUTPUT, Way.ERRORS


class SshReader:
    """Turns one session's events, in order, into entries."""

    def __init__(self) -> None:
        self._exchanges: dict[int, Spoken] = {}
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
        """Nothing: its operations have no parameters."""
        return ""

    def skim_output(self, columns: bytes | None, data: bytes, most: int) -> str | None:
        """What a program said that said it all at once."""
        if columns is not None or len(data) > 8 * most:
            return None
        return said_by(data)[:most]

    def _opened(self, event: Event, found: list[Body]) -> None:
        found.append(telling.opened(event, "account"))

    def _request(self, event: Event, found: list[Body]) -> None:
        verb, text, _, facts, weight, verdict, redactions = event.body
        if len(self._exchanges) >= EXCHANGES_MOST:
            del self._exchanges[next(iter(self._exchanges))]
        terminal = _terminal(facts)
        kind = str(facts.get("ssh.kind", ""))
        self._exchanges[event.exchange] = Spoken(kind, str(verb), on_terminal=terminal is not None)
        asked = str(text)
        if facts.get("file.to"):
            asked = f"{asked} -> {facts['file.to']}"
        aside = weight == Weight.ASIDE
        found.append(Asked(str(verb), asked, (), aside, telling.verdict(verdict), int(redactions)))
        if terminal is not None:
            found.append(terminal)

    def _to_target(self, event: Event, found: list[Body]) -> None:
        _, _, data = event.body
        found += self._spoken(event).take(_INPUT, data)

    def _to_client(self, event: Event, found: list[Body]) -> None:
        flavor, _, data = event.body
        spoken = self._spoken(event)
        if flavor == Flavor.FRAMES:
            spoken.on_terminal = True
        found += spoken.take(_ERRORS if flavor == Flavor.ERRORS else _OUTPUT, data)

    def _spoken(self, event: Event) -> Spoken:
        spoken = self._exchanges.get(event.exchange)
        return Spoken("", "", on_terminal=False) if spoken is None else spoken

    def _finish(self, event: Event, found: list[Body]) -> None:
        outcome, _, to_client, to_target, tag, error = event.body
        spoken = self._exchanges.pop(event.exchange, None)
        if spoken is not None:
            found += spoken.end()
        if error is not None:
            found.append(telling.failure(error))
        found.append(Done(str(outcome), tag, 0, to_client + to_target))

    def _note(self, event: Event, found: list[Body]) -> None:
        more = {name: value for name, value in event.body.items() if name != "note"}
        match event.body:
            case {"note": "resized", "columns": int(columns), "rows": int(rows)}:
                found.append(Terminal("", columns, rows))
            case {"note": "file", "path": path}:
                rest = [more.get(name) for name in ("direction", "size", "sha256")]
                row = (str(path), *(None if one is None else str(one) for one in rest))
                found += (FILE, Rows((row,)))
            case _:
                # one that says it all in words
                alone = str(more["what"]) if more.keys() == {"what"} else ""
                detail = alone or ", ".join(f"{name}={value}" for name, value in more.items())
                found.append(Noted(str(event.body["note"]), detail))

    def _closed(self, event: Event, found: list[Body]) -> None:
        for spoken in self._exchanges.values():
            found += spoken.end()
        self._exchanges.clear()
        found.append(telling.closed(event))


class SshTranscript:
    """SSH's decoder for people."""

    def reader(self) -> SshReader:
        """A reader for one session."""
        return SshReader()

    def trace(self, text: str, facts: Mapping[str, Any]) -> TraceParent | None:
        """What the variable says that programs hand each other, where the client sent it."""
        for one in facts.get("ssh.env") or ():
            if str(one).startswith(_TRACE):
                return trace_parent(str(one)[len(_TRACE) :])
        return None

    def kept(self, facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
        """Kind, account, programs, and how it ended."""
        return kept(facts, tag)

    def shape(self, text: str) -> None:
        """Command lines and paths are kept as they are."""


TRANSCRIPT = SshTranscript()


def _terminal(facts: Mapping[str, Any]) -> Terminal | None:
    match facts:
        case {"ssh.term": kind, "ssh.columns": int(columns), "ssh.rows": int(rows)}:
            return Terminal(str(kind), columns, rows)
        case _:
            return None
