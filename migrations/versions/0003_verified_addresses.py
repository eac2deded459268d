"""Clients' verified addresses, and the session types that ask for one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "client_sign_ins",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("link_token", sa.String(length=32), nullable=False),
        sa.Column("browser_hash", sa.String(length=64), nullable=True),
        sa.Column("return_to", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_sign_ins")),
        sa.UniqueConstraint("browser_hash", name=op.f("uq_client_sign_ins_browser_hash")),
        sa.UniqueConstraint("link_token", name=op.f("uq_client_sign_ins_link_token")),
    )
    with op.batch_alter_table("client_sign_ins", schema=None) as batch_op:
        batch_op.create_index("ix_client_sign_ins_email_created", ["email", "created_at"], unique=False)

    with op.batch_alter_table("bookings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bookings_client_email"), ["client_email"], unique=False)

    # Not by a batch, which on SQLite would drop the table for a moment: bookings refer to its rows.
    op.add_column(
        "session_types",
        sa.Column("requires_sign_in", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE session_types SET requires_sign_in = (category = 'pathway')")


def downgrade() -> None:
    op.drop_column("session_types", "requires_sign_in")

    with op.batch_alter_table("bookings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bookings_client_email"))

    with op.batch_alter_table("client_sign_ins", schema=None) as batch_op:
        batch_op.drop_index("ix_client_sign_ins_email_created")

    op.drop_table("client_sign_ins")
