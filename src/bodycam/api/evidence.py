"""/v1/runs/{run}/evidence: all that proves what happened in a run, as one file."""

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import structlog
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Send

from bodycam.api.archivist import ArchivistAway, ArchivistRefused
from bodycam.api.caller import In, Reader
from bodycam.api.found import visible_run
from bodycam.api.fresh import must_be_fresh

log = structlog.get_logger(__name__)
router = APIRouter()

MEDIA_TYPE = "application/x-tar"
SESSIONS = "Bodycam-Sessions"
"""The header that says how many sessions the bundle tells of."""

MOST_HEADS = 200


class EvidenceIn(BaseModel):
    """`kept` are the sizes of ledger heads that were kept outside: the bundle proves that the ledger has only
    grown since each."""

    model_config = ConfigDict(extra="forbid")

    kept: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(default_factory=list, max_length=MOST_HEADS)


@router.post(
    "/v1/runs/{run}/evidence",
    response_class=StreamingResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The bundle, a tar file."}},
)
async def evidence(run: str, context: In, who: Reader, body: EvidenceIn | None = None) -> StreamingResponse:
    """A run's bundle of evidence. That it was exported enters the ledger first, and so is in the bundle."""
    record = await visible_run(context, who, run)
    must_be_fresh(context, who)
    await context.trail.before("exported", str(who.principal), record.id, {"kind": "evidence"})
    kept = [*(body.kept if body else ()), *context.anchoring.sizes]
    pieces = context.archivist.evidence(record.id, kept)
    try:
        # awaited here, so that a bundle that can't be made is an error, not a cut answer
        sessions = int(await anext(pieces))
    except BaseException:
        await _close(pieces)
        raise
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", SESSIONS: str(sessions)}
    return _Unended(_bytes(pieces), media_type=MEDIA_TYPE, headers=headers)


class _BrokenOff(Exception):
    """There is no more of a bundle, and it is not whole."""


class _Unended(StreamingResponse):
    """An answer that has no end when what it is made of breaks off: the server closes the connection then."""

    async def stream_response(self, send: Send) -> None:
        """Send what comes, and the end only behind all of it."""
        with contextlib.suppress(_BrokenOff):
            await super().stream_response(send)


async def _bytes(pieces: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield bytes(piece)
    except (ArchivistAway, ArchivistRefused) as error:
        # half a bundle must not pass for one
        log.error("a bundle of evidence broke off", error=str(error))
        raise _BrokenOff from error
    finally:
        await _close(pieces)


async def _close(pieces: AsyncIterator[Any]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        with contextlib.suppress(ArchivistAway):
            await close()
