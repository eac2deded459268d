"""Each reschedule of a booking is kept with who made it, and how many seats of a group event are taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SEATS = ("seats_taken", "seats_limit")


def upgrade() -> None:
    op.create_table(
        "booking_moves",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("old_invitee", sa.String(length=255), nullable=False),
        sa.Column("from_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_moves_booking_id_bookings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_moves")),
        sa.UniqueConstraint(
            "booking_id", "old_invitee", name=op.f("uq_booking_moves_booking_id_old_invitee")
        ),
    )
    for name in SEATS:
        op.add_column("bookings", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    for name in SEATS:
        op.drop_column("bookings", name)
    op.drop_table("booking_moves")
