"""Times that are chosen on our own list, and payments that are authorized before they are captured."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _columns() -> dict[str, list[sa.Column[Any]]]:
    """The new columns, by table: a column belongs to one table only, so they are made anew each time."""
    return {
        "bookings": [sa.Column("answers", sa.JSON(), nullable=False, server_default="[]")],
        "payments": [
            sa.Column("captures_later", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("authorized_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("for_start", sa.DateTime(timezone=True), nullable=True),
        ],
        "session_types": [
            sa.Column("ways", sa.String(length=32), nullable=False, server_default="both"),
            sa.Column("allows_guests", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("list_refusal", sa.String(length=32), nullable=True),
        ],
        "builders": [sa.Column("scheduling_first", sa.String(length=32), nullable=True)],
    }


def upgrade() -> None:
    op.create_table(
        "slot_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("refusal", sa.String(length=32), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_slot_requests_booking_id_bookings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_requests")),
        sa.UniqueConstraint("booking_id", name=op.f("uq_slot_requests_booking_id")),
    )
    op.create_index("ix_slot_requests_state_start", "slot_requests", ["state", "starts_at"])
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)


def downgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
    op.drop_index("ix_slot_requests_state_start", table_name="slot_requests")
    op.drop_table("slot_requests")
