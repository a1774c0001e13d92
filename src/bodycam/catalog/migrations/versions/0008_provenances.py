"""Where recordings come from, once for all sessions that come from there: what viewing is decided by."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PARTS = ("principal", "agent", "target", "protocol")


def upgrade() -> None:
    """Adds the table and the column, and fills both from the sessions that are there."""
    op.create_table(
        "provenances",
        sa.Column("key", KEY, autoincrement=True, nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("agent", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("protocol", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_provenances")),
        sa.UniqueConstraint(*PARTS, name=op.f("uq_provenances_principal_agent_target_protocol")),
        sqlite_autoincrement=True,
    )
    op.add_column("sessions", sa.Column("provenance", KEY, nullable=True))
    names = ", ".join(PARTS)
    op.execute(f"INSERT INTO provenances ({names}) SELECT DISTINCT {names} FROM sessions")  # noqa: S608
    same = " AND ".join(f"p.{name} = sessions.{name}" for name in PARTS)
    op.execute(f"UPDATE sessions SET provenance = (SELECT p.key FROM provenances p WHERE {same})")  # noqa: S608
    op.create_index("ix_sessions_provenance", "sessions", ["provenance", "opened"], unique=False)
