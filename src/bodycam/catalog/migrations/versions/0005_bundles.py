"""Exchanges in bundles. The index is emptied: the archivist builds it anew from the recordings by itself."""

import sqlalchemy as sa
from alembic import op

from bodycam.catalog import documents, renewal

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Drops what held an exchange a row, and makes what holds a bundle a row."""
    connection = op.get_bind()
    documents.drop(connection, ("statements", "extras"))
    for table in ("extras", "exchanges", "statements"):
        op.drop_table(table)
    op.create_table(
        "statements",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("long", sa.Boolean(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
        sa.UniqueConstraint("digest", name=op.f("uq_statements_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "bundles",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("session", KEY, nullable=False),
        sa.Column("run", KEY, nullable=False),
        sa.Column("statement", KEY, nullable=False),
        sa.Column("verb", sa.String(length=64), nullable=False),
        sa.Column("aside", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("exchanges", sa.Integer(), nullable=False),
        sa.Column("wordy", sa.Boolean(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["sessions.key"], name=op.f("fk_bundles_session")),
        sa.ForeignKeyConstraint(["statement"], ["statements.id"], name=op.f("fk_bundles_statement")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundles")),
    )
    op.create_index("ix_bundles_run", "bundles", ["run", "id"], unique=False)
    op.create_index("ix_bundles_session", "bundles", ["session", "id"], unique=False)
    op.create_index("ix_bundles_verb", "bundles", ["verb", "id"], unique=False)
    op.create_index("ix_bundles_statement", "bundles", ["statement", "id"], unique=False)
    op.create_index(
        "ix_bundles_status",
        "bundles",
        ["status", "id"],
        unique=False,
        sqlite_where=sa.text("status != 'ok'"),
        postgresql_where=sa.text("status != 'ok'"),
    )
    documents.create(connection, ("statements", "bundles"))
    op.execute("DELETE FROM arrivals")
    renewal.demand(connection)
