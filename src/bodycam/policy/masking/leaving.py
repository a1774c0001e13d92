"""Which statements put values of masked columns where no mask follows them, or make what later would."""

from collections.abc import Iterable
from typing import Final

from bodycam.policy.masking.relations import MaskedRelations, parts
from bodycam.policy.sql.facts import SqlFacts
from bodycam.policy.sql.functions import EFFECTS

FILES: Final = "the server's files"
"""What has all values, and is told by no name."""

_ACTS_LATER: Final = ("rule:", "trigger:", "policy:")
"""What belongs to a relation and gets its values whenever somebody uses that."""

_CODE: Final = ("function:", "procedure:")

_HIDES_CALLS: Final = (
    "operator:", "operator-class:", "aggregate:", "cast:", "transform:", "conversion:", "event-trigger:",
)  # fmt: skip
"""What calls a function without its name in the statement that does."""

_ELSEWHERE: Final = ("foreign-table:", "server:", "user-mapping:", "publication:", "subscription:")
"""What leads the same values past the gateway, or under other names to it."""

_RAW: Final = frozenset(
    (
        "get_raw_page", "heap_page_items", "heap_page_item_attrs", "bt_page_items",
        "pg_get_wal_block_info", "pg_get_wal_fpi_info",
        "pg_logical_slot_get_changes", "pg_logical_slot_peek_changes",
        "pg_logical_slot_get_binary_changes", "pg_logical_slot_peek_binary_changes",
    )
)  # fmt: skip
"""Functions that give what is stored, whatever its relation.

https://www.postgresql.org/docs/current/pageinspect.html
https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
"""

_KEEPS: Final = frozenset(("setseed",))
"""Functions that leave in the session what they get, besides those that facts call writing."""

_BODY_KEEPS: Final = frozenset(("notify", "copy", "fetch"))


def leaves(record: MaskedRelations, client: MaskedRelations | None, facts: SqlFacts) -> str | None:
    """What of a statement has to be denied: a masked column or relation, a function, an object; or None."""
    for function in facts.functions:
        if parts(function)[-1] in _RAW:
            return function
    stays = _stays(record, client, facts)
    if facts.columns_stored and not stays:
        stored = record.named(facts.columns_stored, facts)
        if stored is not None:
            return stored
    passes_on = _passes_on(facts)
    if passes_on or facts.ddl or (facts.writes and not stays):
        called = record.called(facts)
        if called is not None:
            return called
    read = record.named(facts.columns_read, facts) if passes_on else None
    if read is None and (facts.program or facts.files):
        return FILES
    return _defines(record, facts) if read is None and facts.ddl else read


def _stays(record: MaskedRelations, client: MaskedRelations | None, facts: SqlFacts) -> bool:
    """Whether a statement writes to columns only that hide as much as all that it may write there."""
    written = facts.columns_written
    if not written:
        return False
    targets = SqlFacts(reads=facts.writes)
    for relations in (record,) if client is None else (record, client):
        mask = relations.read(facts)
        if mask is not None and not all(relations.hides(one, targets, mask.then) for one in written):
            return False
    return True


def _passes_on(facts: SqlFacts) -> bool:
    """Whether a statement gives what it reads to something that no mask follows."""
    if facts.writes_by_function or facts.program or facts.files or "do" in facts.kinds:
        return True
    if any(parts(function)[-1] in _KEEPS for function in facts.functions):
        return True
    if any("?" in setting for setting in facts.settings):
        return True
    return facts.ddl and _any(facts.objects, _CODE)


def _defines(record: MaskedRelations, facts: SqlFacts) -> str | None:
    """What a definition would make of masked relations, or of the functions that look at them."""
    kinds, objects = facts.kinds, facts.objects
    for one in objects:
        if one.startswith(_ELSEWHERE) or (one.startswith(_HIDES_CALLS) and "create" in kinds):
            return one
        if one.startswith(_CODE):
            name = parts(one.partition(":")[2])[-1]
            if "alter" in kinds and (name in record.functions or name in EFFECTS):
                return one
            if "create" in kinds and (
                facts.writes or facts.writes_by_function or not _BODY_KEEPS.isdisjoint(kinds)
            ):
                # called with a masked value it keeps that
                return one
        if one.startswith("schema:") and "alter" in kinds and record.in_schema(one.partition(":")[2]):
            return one
    if "alter" in kinds or _any(objects, _ACTS_LATER):
        for name in facts.writes:
            if record.changes(SqlFacts(writes=(name,))):
                return name
    return None


def _any(objects: Iterable[str], begins: tuple[str, ...]) -> bool:
    return any(one.startswith(begins) for one in objects)
