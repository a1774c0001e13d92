"""The bundle's manifest: an in-toto statement that names every other member with its SHA-256.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bodycam.archive.evidence.bundle import MOST_MEMBERS

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "urn:bodycam:evidence:v1"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ITEMS_MOST = 8 * MOST_MEMBERS
"""Commas and brackets in a statement of the most members there may be, and more: what JSON becomes in memory
is counted before it becomes it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed: the members in their order with their hashes, and what they are of.

    `predicate` holds `run`, `made` (Unix milliseconds), `version` (of the gateway), `log` and `size` of the
    ledger's head.
    """

    members: tuple[tuple[str, str], ...]
    predicate: Mapping[str, Any]


def encode(members: Sequence[tuple[str, str]], predicate: Mapping[str, Any]) -> bytes:
    """The statement as JSON."""
    plain = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in members],
        "predicateType": PREDICATE,
        "predicate": dict(predicate),
    }
    return json.dumps(plain, separators=(",", ":")).encode()


def decode(data: bytes) -> Statement:
    """The statement in these bytes.

    Raises:
        ValueError: they are none of a bundle.
    """
    plain = bounded_json(data, _ITEMS_MOST)
    if not isinstance(plain, dict) or plain.get("_type") != STATEMENT:
        raise ValueError("not an in-toto statement")
    if plain.get("predicateType") != PREDICATE or not isinstance(plain.get("predicate"), dict):
        raise ValueError("a statement about something else than evidence of this version")
    members = []
    for one in plain.get("subject") or ():
        match one:
            case {"name": str(name), "digest": {"sha256": str(digest)}} if _DIGEST.fullmatch(digest):
                members.append((name, digest))
            case _:
                raise ValueError("a statement with a subject that is no member with its SHA-256")
    return Statement(tuple(members), plain["predicate"])


def bounded_json(data: bytes, most: int = 100_000) -> Any:
    """JSON that may be hostile, of no more than about `most` items.

    Raises:
        ValueError: it is none, or too much.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > most:
        raise ValueError("more items than there can be")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
