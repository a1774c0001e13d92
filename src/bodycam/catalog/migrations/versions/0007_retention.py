"""Labels of targets beside sessions, legal holds, and what retention deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Adds a column that the archivist fills, and two tables."""
    op.add_column("sessions", sa.Column("labels", sa.JSON(), nullable=True))
    op.create_table(
        "deletions",
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("sealed", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_deletions")),
    )
    op.create_index("ix_deletions_run", "deletions", ["run", "session"], unique=False)
    op.create_index("ix_deletions_object", "deletions", ["object"], unique=False)
    op.create_index("ix_deletions_removed", "deletions", ["removed"], unique=False)
    op.create_table(
        "legal_holds",
        sa.Column("key", KEY, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("run", sa.String(length=64), nullable=True),
        sa.Column("agent", sa.String(length=255), nullable=True),
        sa.Column("principal", sa.Text(), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("released", sa.BigInteger(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_legal_holds")),
        sa.UniqueConstraint("id", name=op.f("uq_legal_holds_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_legal_holds_released", "legal_holds", ["released"], unique=False)
