"""The groups of whoever started a recording's run, which viewing may be decided by."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PARTS = ("principal", "agent", "target", "protocol")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

provenances = sa.table(
    "provenances",
    sa.column("key", KEY),
    *(sa.column(name, sa.Text()) for name in PARTS),
    sa.column("groups", sa.JSON()),
    sa.column("groups_hash", sa.String()),
)
sessions = sa.table("sessions", sa.column("provenance", KEY), sa.column("run", KEY))
runs = sa.table("runs", sa.column("key", KEY), sa.column("groups", sa.JSON()))


def upgrade() -> None:
    """Add the columns, and part the sessions of a provenance by the groups of their runs' starters."""
    none, text = hashlib.sha256(b"[]").hexdigest(), sa.String(length=64)
    with op.batch_alter_table("provenances", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(sa.Column("groups", sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("groups_hash", text, nullable=False, server_default=none))
        batch.drop_constraint(batch.f("uq_provenances_principal_agent_target_protocol"), type_="unique")
        batch.create_unique_constraint(
            batch.f("uq_provenances_principal_agent_target_protocol_groups_hash"), [*PARTS, "groups_hash"]
        )
    with op.batch_alter_table("provenances", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("groups", server_default=None)
        batch.alter_column("groups_hash", server_default=None)
    connection = op.get_bind()
    p, s = provenances.c, sessions.c
    # JSON can't be told apart by every database: by key, and the groups beside it
    pairs = sa.select(s.provenance, s.run).where(s.provenance.is_not(None)).distinct()
    for old, run in connection.execute(pairs.order_by(s.provenance, s.run)).all():
        groups = connection.execute(sa.select(runs.c.groups).where(runs.c.key == run)).scalar() or []
        if not groups:
            continue
        hashed = hashlib.sha256(json.dumps(groups, separators=(",", ":")).encode()).hexdigest()
        parts = connection.execute(sa.select(*(p[name] for name in PARTS)).where(p.key == old)).first()
        if parts is None:
            continue
        same = [p[name] == value for name, value in zip(PARTS, parts, strict=True)]
        wanted = sa.select(p.key).where(*same, p.groups_hash == hashed)
        if connection.execute(wanted).scalar() is None:
            values = dict(zip(PARTS, parts, strict=True)) | {"groups": groups, "groups_hash": hashed}
            connection.execute(sa.insert(provenances).values(**values))
        new = connection.execute(wanted).scalar_one()
        moved = sa.update(sessions).where(s.provenance == old, s.run == run)
        connection.execute(moved.values(provenance=new))
    used = sa.select(s.provenance).where(s.provenance == p.key).exists()
    connection.execute(sa.delete(provenances).where(~used))
