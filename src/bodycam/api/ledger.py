"""/v1/verify and /v1/ledger: what proves that the records are whole."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from bodycam.api.caller import In, Reader, Who
from bodycam.api.errors import ApiError

router = APIRouter()

Size = Annotated[int, Query(ge=1, lt=2**63)]


class ProofOut(BaseModel):
    """A consistency proof (RFC 9162, section 2.1.4): hashes in hexadecimal."""

    proof: list[str]


@router.post("/v1/verify")
async def verify(context: In, who: Reader) -> dict[str, Any]:
    """Check all recordings and the ledger against each other, on the gateway itself."""
    return await context.archivist.verify()


@router.get("/v1/ledger/head")
async def ledger_head(context: In, who: Who) -> dict[str, Any]:
    """The latest signed head: its log, size, root, time and signature."""
    return await context.archivist.head()


@router.get("/v1/ledger/consistency")
async def ledger_consistency(context: In, who: Who, first: Size, second: Size) -> ProofOut:
    """The proof that the ledger of size `second` extends the one of size `first`."""
    if first > second:
        raise ApiError(422, "invalid", "first is larger than second", "Give the older head's size as first.")
    return ProofOut(proof=[one.hex() for one in await context.archivist.consistency(first, second)])
