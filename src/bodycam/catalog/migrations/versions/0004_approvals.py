"""Approvals with their votes, and accounts of people."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = sa.text("state IN ('pending', 'approved')")


def upgrade() -> None:
    """Makes the tables; the accounts that are there are all services."""
    op.add_column(
        "service_accounts",
        sa.Column("kind", sa.String(length=16), server_default="service", nullable=False),
    )
    op.create_table(
        "approvals",
        sa.Column("key", KEY, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("run", KEY, nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("database", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("verb", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("by", sa.JSON(), nullable=False),
        sa.Column("minimum", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name=op.f("fk_approvals_run")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_approvals")),
        sa.UniqueConstraint("id", name=op.f("uq_approvals_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_approvals_digest", "approvals", ["digest", "key"], unique=False)
    op.create_index("ix_approvals_run", "approvals", ["run", "key"], unique=False)
    op.create_index("ix_approvals_state", "approvals", ["state", "key"], unique=False)
    op.create_index("ix_approvals_expires", "approvals", ["expires"], unique=False)
    op.create_index(
        "uq_approvals_live",
        "approvals",
        ["digest"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    op.create_table(
        "approval_groups",
        sa.Column("approval", KEY, autoincrement=False, nullable=False),
        sa.Column("group", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["approval"], ["approvals.key"], name=op.f("fk_approval_groups_approval")),
        sa.PrimaryKeyConstraint("approval", "group", name=op.f("pk_approval_groups")),
    )
    op.create_table(
        "approval_votes",
        sa.Column("approval", KEY, autoincrement=False, nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("approve", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["approval"], ["approvals.key"], name=op.f("fk_approval_votes_approval")),
        sa.PrimaryKeyConstraint("approval", "principal", name=op.f("pk_approval_votes")),
    )
