"""Sign-ins in the browser, and the messages of SAML providers that were taken."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "sign_ins",
        sa.Column("key", KEY, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.String(length=255), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("use", sa.String(length=16), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("signed_in", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("named", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("name_digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("id", name=op.f("uq_sign_ins_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sign_ins_principal", "sign_ins", ["principal", "key"], unique=False)
    op.create_index("ix_sign_ins_name_digest", "sign_ins", ["name_digest"], unique=False)
    op.create_index("ix_sign_ins_expires", "sign_ins", ["expires"], unique=False)
    op.create_table(
        "sign_in_messages",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_messages")),
    )
    op.create_index("ix_sign_in_messages_until", "sign_in_messages", ["until"], unique=False)
