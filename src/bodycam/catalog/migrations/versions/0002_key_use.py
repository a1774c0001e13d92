"""When an API key was used last, and which key started a run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds both columns; of what was before, neither is known."""
    op.add_column("api_keys", sa.Column("last_used", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("api_key", sa.String(length=64), nullable=True))
    op.create_index("ix_runs_api_key", "runs", ["api_key", "key"], unique=False)
