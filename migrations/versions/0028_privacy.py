"""Erasure and retention: bookings without a person, what is left to erase elsewhere, and what is due to be deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TO_ERASE = sa.text("erased_at IS NULL AND status IN ('completed', 'canceled', 'expired')")
TO_DELETE = sa.text("erased_at IS NOT NULL")
CREATED = sa.text("from_status IS NULL")
# Each of these jobs was enqueued again every day.
OLD_JOBS = ("accounts.delete_old", "webhooks.retention")
NEW_JOBS = ("privacy.retention", "privacy.erase_in_calendly", "privacy.search_bodies")
FLAGS = ("erase_in_calendly", "erase_in_stripe")
CAUSES = {"data_erased": "erased the personal data", "erasure_sent": "erased the personal data too"}
JOBS = sa.table("jobs", sa.column("name", sa.String))
ATTENTION = sa.table("attention_flags", sa.column("code", sa.String))
HISTORY = sa.table("booking_history", sa.column("cause", sa.String), sa.column("cause_facts", sa.JSON))


def upgrade() -> None:
    op.add_column("bookings", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    for name, condition in (("ix_bookings_to_erase", TO_ERASE), ("ix_bookings_to_delete", TO_DELETE)):
        columns = ["updated_at", "id"]
        op.create_index(name, "bookings", columns, sqlite_where=condition, postgresql_where=condition)
    op.create_index(
        "ix_booking_history_created",
        "booking_history",
        ["at", "id"],
        sqlite_where=CREATED,
        postgresql_where=CREATED,
    )
    op.create_table(
        "erasure_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_erasure_requests_booking_id_bookings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_requests")),
    )
    for column in ("booking_id", "asked_at"):
        op.create_index(op.f(f"ix_erasure_requests_{column}"), "erasure_requests", [column])
    op.execute(sa.delete(JOBS).where(JOBS.c.name.in_(OLD_JOBS)))


def downgrade() -> None:
    # What is erased stays so; the older release shows a dash where the name was.
    op.execute(sa.delete(JOBS).where(JOBS.c.name.in_(NEW_JOBS)))
    op.execute(sa.delete(ATTENTION).where(ATTENTION.c.code.in_(FLAGS)))
    for cause, text in CAUSES.items():
        op.execute(
            sa.update(HISTORY)
            .where(HISTORY.c.cause == cause)
            .values(cause="other", cause_facts={"text": text})
        )
    op.drop_table("erasure_requests")
    op.drop_index("ix_booking_history_created", table_name="booking_history")
    op.drop_index("ix_bookings_to_delete", table_name="bookings")
    op.drop_index("ix_bookings_to_erase", table_name="bookings")
    op.drop_column("bookings", "erased_at")
