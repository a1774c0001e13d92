"""Labels of targets beside sessions, and what retention deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a column that the archivist fills, and a table."""
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
