"""/v1/sessions/{session}/transcript: a recording decoded for people, a line an entry."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from typing import Any, assert_never

import structlog
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from bodycam.api import masked_view
from bodycam.api.archivist import ArchivistAway, ArchivistRefused
from bodycam.api.caller import In, Who
from bodycam.api.errors import ApiError
from bodycam.api.found import visible_session
from bodycam.api.fresh import must_be_fresh
from bodycam.api.ndjson import MEDIA_TYPE, line, streamed
from bodycam.api.purpose import Purpose, PurposeAsked
from bodycam.config.viewing import Act, View
from bodycam.model.event import Event, Kind
from bodycam.model.transcript import (
    Asked,
    Body,
    Columns,
    Done,
    Entry,
    Frame,
    Message,
    Noted,
    Output,
    Reader,
    Rows,
    Terminal,
)

log = structlog.get_logger(__name__)
router = APIRouter()

# decoding more than this at once would hold up logins, so it goes to a thread
INLINE_BYTES = 16 * 1024


@router.get(
    "/v1/sessions/{session}/transcript",
    response_class=StreamingResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "An entry a line, in order."}},
)
async def transcript(
    session: str, context: In, who: Who, purpose: PurposeAsked = Purpose.LOOK
) -> StreamingResponse:
    """What went by in a session, up to now if it is open. That it was viewed enters the ledger first."""
    record = await visible_session(context, who, session)
    sight = await context.sights.of(who.principal, who.roles)
    permit = sight.permitted(purpose.act(Act.PLAY), record.provenance)
    must_be_fresh(context, who)
    decoder = context.transcripts.get(record.protocol)
    if decoder is None:
        raise ApiError(
            501,
            "no-transcript",
            f"this version can't decode {record.protocol}",
            "Export the recording instead.",
        )
    events = context.archivist.transcript(session)
    try:
        # the first event is awaited here, so that a recording that can't be had is an error, not a cut answer
        first = await anext(events, None)
        detail = {"run": record.run, "grant": permit.grant, "view": permit.view.value}
        if purpose is Purpose.EXPORT:
            await context.looks.exported(str(who.principal), session, detail)
        else:
            await context.looks.viewed(str(who.principal), session, detail)
    except BaseException:
        await _close(events)
        raise
    masked = permit.view is View.MASKED
    literals = context.literals.get(record.protocol)
    show: Show = (lambda entry: masked_view.entry(entry, literals)) if masked else (lambda entry: entry)
    head = [masked_view.announcement(permit.grant)] if masked else []
    return streamed(_lines(head, first, events, decoder.reader(), show))


Show = Callable[[Entry], Entry | None]
"""Makes of an entry what is shown of it."""


async def _lines(
    head: Sequence[Entry],
    first: Sequence[Any] | None,
    events: AsyncIterator[Sequence[Any]],
    reader: Reader,
    show: Show,
) -> AsyncIterator[bytes]:
    try:
        for entry in head:
            yield line(shown(entry))
        if first is not None:
            yield await _decoded(reader, first, show)
            async for event in events:
                if decoded := await _decoded(reader, event, show):
                    yield decoded
    except (ArchivistAway, ArchivistRefused) as error:
        # the status is sent already: the break is said in the stream, so that nobody takes it for the end
        log.warning("a transcript broke off", error=str(error))
        noted = Noted("broken-off", f"the transcript breaks off here: {error}")
        yield line(shown(Entry(0, 0, noted)))
    finally:
        await _close(events)


async def _decoded(reader: Reader, plain: Sequence[Any], show: Show) -> bytes:
    kind, at, exchange, body = plain
    try:
        event = Event(Kind(kind), at, exchange, body)
    except ValueError:
        return line(
            shown(Entry(at, exchange, Noted("unknown-event", f"an event of the unknown kind {kind}")))
        )

    def work() -> bytes:
        seen = map(show, reader.feed(event))
        return b"".join(line(shown(entry)) for entry in seen if entry is not None)

    return await asyncio.to_thread(work) if _size(body) > INLINE_BYTES else work()


def _size(body: Any) -> int:
    parts = body if isinstance(body, list | tuple) else ()
    return sum(len(part) for part in parts if isinstance(part, bytes | str))


async def _close(events: AsyncIterator[Sequence[Any]]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        with contextlib.suppress(ArchivistAway):
            await close()


def shown(entry: Entry) -> dict[str, Any]:
    """An entry as a plain map: `at` in microseconds, `exchange`, `type`, and the fields of its body."""
    return {"at": entry.at, "exchange": entry.exchange, "type": _type(entry.body), **asdict(entry.body)}


def _type(body: Body) -> str:
    match body:
        case Asked():
            return "asked"
        case Columns():
            return "columns"
        case Rows():
            return "rows"
        case Output():
            return "output"
        case Terminal():
            return "terminal"
        case Frame():
            return "frame"
        case Message():
            return "message"
        case Done():
            return "done"
        case Noted():
            return "noted"
        case _:
            assert_never(body)
