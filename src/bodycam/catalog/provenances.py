"""Where recordings come from, a row each for however many sessions: what viewing is decided by.

Keys only grow and none is given twice, so that whoever remembers them needs to ask for the newer ones only,
and for a few before them: of two that are added at once the later one may be seen first.
"""

import hashlib
import json
from typing import Any

from sqlalchemy import Connection, and_, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from bodycam.catalog.tables import provenances, sessions
from bodycam.model.provenance import Provenance

_PARTS = ("principal", "agent", "target", "protocol")


def key_of(connection: Connection, provenance: Provenance) -> int:
    """The key of a provenance, which is added if it is new; until the transaction's end nobody drops it."""
    plain = json.dumps(provenance.groups, separators=(",", ":"))
    values: dict[str, Any] = {name: getattr(provenance, name) for name in _PARTS}
    values["groups_hash"] = hashlib.sha256(plain.encode()).hexdigest()
    same = and_(*(provenances.c[name] == value for name, value in values.items()))
    held = select(provenances.c.key).where(same).with_for_update(read=True)
    known = connection.execute(held).scalar()
    if known is not None:
        return int(known)
    values["groups"] = list(provenance.groups)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(provenances).values(**values).on_conflict_do_nothing())
    return int(connection.execute(held).scalar_one())


def newer(connection: Connection, after: int, most: int) -> list[tuple[int, Provenance]]:
    """Those with a higher key than `after`, `most` of the newest, in the order of their keys."""
    p = provenances.c
    asked = select(p.key, *(p[name] for name in _PARTS), p.groups).where(p.key > after)
    rows = connection.execute(asked.order_by(p.key.desc()).limit(most)).all()
    return [
        (int(key), Provenance(principal, agent, target, protocol, tuple(groups)))
        for key, principal, agent, target, protocol, groups in reversed(rows)
    ]


def drop_unused(connection: Connection, provenance: int | None) -> None:
    """Deletes a provenance that no session has any more."""
    own = provenances.c.key == provenance
    # waits for a session that is being added; the next statement sees it
    connection.execute(select(provenances.c.key).where(own).with_for_update()).all()
    used = select(sessions.c.key).where(sessions.c.provenance == provenances.c.key).exists()
    connection.execute(delete(provenances).where(own, ~used))
