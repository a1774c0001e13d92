"""Of which trace exchanges claim to be, and what their protocols have kept of them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; they stay empty for what is indexed already, until `bodycam reindex`."""
    op.add_column("bundles", sa.Column("trace", sa.String(length=32), nullable=True))
    op.add_column("bundles", sa.Column("span", sa.String(length=16), nullable=True))
    op.add_column("bundles", sa.Column("details", sa.Text(), nullable=True))
    op.create_index(
        "ix_bundles_trace",
        "bundles",
        ["trace", "id"],
        unique=False,
        sqlite_where=sa.text("trace IS NOT NULL"),
        postgresql_where=sa.text("trace IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_trace",
        "runs",
        ["trace"],
        unique=False,
        sqlite_where=sa.text("trace IS NOT NULL"),
        postgresql_where=sa.text("trace IS NOT NULL"),
    )
    op.create_index("ix_runs_expires", "runs", ["expires", "key"], unique=False)
