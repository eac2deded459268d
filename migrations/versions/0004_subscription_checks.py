"""What the hourly look at Calendly's subscriptions found, and payments that Calendly itself has taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscription_checks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("builder_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "found",
            sa.Enum(
                "active",
                "retrying",
                "incomplete",
                "disabled",
                "missing",
                "unknown",
                name="found",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("repaired", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(length=300), nullable=True),
        sa.ForeignKeyConstraint(
            ["builder_id"], ["builders.id"], name=op.f("fk_subscription_checks_builder_id_builders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_checks")),
    )
    with op.batch_alter_table("subscription_checks", schema=None) as batch_op:
        batch_op.create_index("ix_subscription_checks_builder_at", ["builder_id", "at"], unique=False)

    # Not by a batch, which on SQLite would drop the table for a moment: other tables refer to its rows.
    op.add_column(
        "bookings",
        sa.Column("paid_in_calendly", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("bookings", "paid_in_calendly")
    with op.batch_alter_table("subscription_checks", schema=None) as batch_op:
        batch_op.drop_index("ix_subscription_checks_builder_at")
    op.drop_table("subscription_checks")
