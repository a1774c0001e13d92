"""Where secrets turned up. Recordings of before are read again for it, beside all else."""

import sqlalchemy as sa
from alembic import op

from bodycam.catalog import renewal

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and ask for it to be filled."""
    op.create_table(
        "sightings",
        sa.Column("key", KEY, autoincrement=True, nullable=False),
        sa.Column("session", KEY, nullable=False),
        sa.Column("run", KEY, nullable=False),
        sa.Column("what", sa.String(length=255), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("secret", sa.Boolean(), nullable=False),
        sa.Column("detector", sa.String(length=255), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("exchange", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("exchanges", sa.BigInteger(), nullable=False),
        sa.Column("met", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["sessions.key"], name=op.f("fk_sightings_session")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sightings")),
        sa.UniqueConstraint("session", "what", "way", name=op.f("uq_sightings_session_what_way")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sightings_what", "sightings", ["what", "first"], unique=False)
    op.create_index("ix_sightings_run", "sightings", ["run", "what"], unique=False)
    renewal.read_again(op.get_bind())
