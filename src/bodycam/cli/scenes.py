"""A transcript as scenes: pieces of harmless text, each with the moment at which it belongs on the screen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from bodycam.cli.asked import asked
from bodycam.cli.visible import lines_of, visible

ROWS_AT_ONCE = 200
CELL_WIDTH = 60
OUTPUT_LINES = 400
ASIDES_MOST = 256


@dataclass(frozen=True, slots=True)
class Scene:
    """Something to show `at` microseconds after the session opened; `text` is harmless and ends its line.

    `live` is what a terminal got, to be written as it is: nothing may stand in between.
    """

    at: int
    exchange: int
    text: str
    live: bool = False


def scenes(entries: Iterable[Mapping[str, Any] | Scene], *, wide: bool = False) -> Iterator[Scene]:
    """The scenes of a transcript's entries, as the control API gives them; memory is bounded.

    What is a scene already stays where it is among them. `wide` shows cells in full. Results of exchanges
    that overlap are kept apart.
    """
    tables: dict[int, _Table] = {}
    # of what a connection does for itself it is shown what went wrong, and then what was asked too
    asides: dict[int, str] = {}
    for entry in entries:
        if isinstance(entry, Scene):
            yield entry
            continue
        at, exchange = int(entry.get("at") or 0), int(entry.get("exchange") or 0)
        match entry.get("type"):
            case "asked" if entry.get("aside"):
                if len(asides) >= ASIDES_MOST:
                    del asides[next(iter(asides))]
                asides[exchange] = _plain(entry)
                continue
            case "output" if exchange in asides:
                continue
            case "frame":
                # what it says comes as output too
                continue
            case "columns":
                tables[exchange] = _Table([str(one.get("name")) for one in entry["columns"]], wide)
                continue
            case "rows":
                table = tables.setdefault(exchange, _Table([], wide))
                text = table.add(entry["rows"])
            case "done":
                ended = tables.pop(exchange, None)
                text = (ended.rest() if ended else "") + _done(entry)
                begun = asides.pop(exchange, "")
                if begun:
                    text = "" if entry.get("outcome") == "ok" else begun + text
            case "message" if exchange in asides:
                # the exchange stays an aside, whose text is not told twice
                text, asides[exchange] = asides[exchange] + _plain(entry), ""
            case _:
                text = _plain(entry)
        if text:
            yield Scene(at, exchange, text)
    for exchange, table in tables.items():
        if rest := table.rest():
            yield Scene(0, exchange, rest)


def clock(microseconds: float) -> str:
    """A position in a session: minutes, seconds, milliseconds."""
    seconds, rest = divmod(max(0, int(microseconds)), 1_000_000)
    hours, seconds = divmod(seconds, 3600)
    start = f"{hours}:" if hours else ""
    return f"{start}{seconds // 60:02d}:{seconds % 60:02d}.{rest // 1000:03d}"


def _plain(entry: Mapping[str, Any]) -> str:
    stamp = clock(entry.get("at") or 0)
    match entry.get("type"):
        case "asked":
            head, *more = lines_of(asked(entry.get("verb"), entry.get("text")))
            values = [
                f"  ${number} = {'NULL' if one.get('text') is None else visible(str(one['text']))}"
                f"  ({visible(str(one.get('type') or '?'))})"
                for number, one in enumerate(entry.get("parameters") or [], 1)
            ]
            verdict = [f"  verdict: {visible(str(entry['verdict']))}"] if entry.get("verdict") else []
            return _joined([f"{stamp}  #{entry.get('exchange')}  {head}", *_indent(more), *values, *verdict])
        case "output":
            lines = lines_of(str(entry.get("text") or "").rstrip("\n"))
            left = len(lines) - OUTPUT_LINES
            shown = lines[:OUTPUT_LINES] + ([f"… {left} more lines"] if left > 0 else [])
            return _joined(f"  {visible(str(entry.get('stream')))}| {line}" for line in shown)
        case "terminal":
            size = f"{entry.get('columns')}x{entry.get('rows')}"
            return _joined(
                [f"{stamp}  -- terminal: {visible(size)} {visible(str(entry.get('kind') or ''))}".rstrip()]
            )
        case "message":
            level, code = visible(str(entry.get("level"))), visible(str(entry.get("code") or ""))
            head, *more = lines_of(str(entry.get("text") or ""))
            extra = [
                f"  {name}: {visible(str(entry[name]))}" for name in ("detail", "hint") if entry.get(name)
            ]
            return _joined([f"  {f'{level} {code}'.strip()}: {head}", *_indent(more), *extra])
        case "noted":
            what, detail = visible(str(entry.get("what"))), visible(str(entry.get("detail") or ""))
            return _joined([f"{stamp}  -- {what}{': ' if detail else ''}{detail}"])
        case _:
            return _joined([f"{stamp}  -- {visible(str(entry.get('type')))}"])


def _done(entry: Mapping[str, Any]) -> str:
    outcome, tag, rows = entry.get("outcome"), entry.get("tag"), entry.get("rows")
    # a connection's own housekeeping is not listed, and its quiet success isn't either
    if outcome == "ok" and not tag and not rows:
        return ""
    parts = [str(tag or ""), "" if outcome == "ok" else str(outcome), "" if tag else f"{rows} rows"]
    return f"  → {visible('  '.join(part for part in parts if part))}\n"


class _Table:
    """Rows of one result, given out in portions so that a large result stays small in memory."""

    def __init__(self, columns: Sequence[str], wide: bool) -> None:
        self._columns, self._wide = [_cell(one, wide) for one in columns], wide
        self._rows: list[list[str]] = []
        self._shown = False

    def add(self, rows: Iterable[Sequence[str | None]]) -> str:
        text = ""
        for row in rows:
            self._rows.append(["NULL" if one is None else _cell(one, self._wide) for one in row])
            if len(self._rows) >= ROWS_AT_ONCE:
                text += self._portion()
        return text

    def rest(self) -> str:
        return self._portion() if self._rows or (self._columns and not self._shown) else ""

    def _portion(self) -> str:
        heads = [] if self._shown or not self._columns else [self._columns]
        widths: list[int] = []
        for row in [*([self._columns] if self._columns else []), *self._rows]:
            widths += [0] * (len(row) - len(widths))
            widths = [
                max(width, cell_len(row[at]) if at < len(row) else 0) for at, width in enumerate(widths)
            ]
        lines = [_line(row, widths) for row in heads]
        lines += ["  " + "─┼─".join("─" * width for width in widths)] if heads else []
        lines += [_line(row, widths) for row in self._rows]
        self._rows, self._shown = [], True
        return _joined(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=False)]
    return ("  " + " │ ".join(cells)).rstrip()


def _cell(value: object, wide: bool) -> str:
    text = visible(str(value))
    return text if wide or len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "…"


def _indent(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
