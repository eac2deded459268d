"""Calendar files that replace each other: how often a booking has changed for calendars, and when it did last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "bookings", sa.Column("calendar_sequence", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("bookings", sa.Column("calendar_changed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("bookings", "calendar_changed_at")
    op.drop_column("bookings", "calendar_sequence")
