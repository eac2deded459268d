"""The page of one booking: which jobs are about it, notes, and amounts that are refunded once for each form."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

JOBS = sa.table(
    "jobs", sa.column("name", sa.String), sa.column("args", sa.JSON), sa.column("booking_id", sa.Integer)
)
PAYMENTS = sa.table(
    "payments",
    sa.column("id", sa.Integer),
    sa.column("booking_id", sa.Integer),
    sa.column("checkout_session_id", sa.String),
)
REFUNDS = sa.table(
    "refunds",
    sa.column("id", sa.Integer),
    sa.column("booking_id", sa.Integer),
    sa.column("reason", sa.String),
)
HISTORY = sa.table(
    "booking_history",
    sa.column("event", sa.String),
    sa.column("cause", sa.String),
    sa.column("cause_facts", sa.JSON),
)
EVENTS = (
    "slot_taken", "slot_moved", "move_begun", "slot_lost", "payment_received", "settled", "cancel", "expire",
    "complete", "restored", "no_show", "no_show_undone",
)  # fmt: skip
CAUSES = {
    "absence_reported": "could not come",
    "mail_repeated": "sent an e-mail again",
    "check_requested": "asked Stripe and Calendly",
    "refund_decided": "refunded an amount",
}
REASONS = ("builder_absent", "shorter_session", "trouble", "too_expensive", "courtesy")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("booking_id", sa.Integer(), nullable=True))
    _fill_jobs()
    op.create_index(op.f("ix_jobs_booking_id"), "jobs", ["booking_id"])
    op.add_column("bookings", sa.Column("builder_absent_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("request_key", sa.String(length=64), nullable=True))
    op.create_index("uq_refunds_request_key", "refunds", ["request_key"], unique=True)
    op.create_table(
        "booking_notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=32), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_notes_booking_id_bookings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_notes")),
    )
    op.create_index(op.f("ix_booking_notes_booking_id"), "booking_notes", ["booking_id"])
    _check_events(())


def _check_events(events: tuple[str, ...]) -> None:
    """Let the database check the events of the history, or no longer where there are none."""
    name = op.f("ck_booking_history_event")
    with op.batch_alter_table("booking_history") as batch:
        if events:
            listed = ", ".join(f"'{event}'" for event in events)
            batch.create_check_constraint(name, sa.text(f"event IN ({listed})"))
        else:
            batch.drop_constraint(name, type_="check")


def _fill_jobs() -> None:
    """Of each job, the booking that its arguments name: itself, or by its payment, checkout session or refund."""
    payment, refund, checkout = (
        JOBS.c.args["payment_id"].as_integer(),
        JOBS.c.args["refund_id"].as_integer(),
        JOBS.c.args["checkout_session_id"].as_string(),
    )
    found = (
        JOBS.c.args["booking_id"].as_integer(),
        sa.select(PAYMENTS.c.booking_id).where(PAYMENTS.c.id == payment).scalar_subquery(),
        sa.select(PAYMENTS.c.booking_id).where(PAYMENTS.c.checkout_session_id == checkout).scalar_subquery(),
        sa.select(REFUNDS.c.booking_id).where(REFUNDS.c.id == refund).scalar_subquery(),
    )
    op.execute(sa.update(JOBS).values(booking_id=sa.func.coalesce(*found)))


def downgrade() -> None:
    op.drop_index(op.f("ix_booking_notes_booking_id"), table_name="booking_notes")
    op.drop_table("booking_notes")
    op.drop_index("uq_refunds_request_key", table_name="refunds")
    op.drop_column("refunds", "request_key")
    # The older program does not know these codes; what they say is kept in its own words.
    for cause, text in CAUSES.items():
        op.execute(
            sa.update(HISTORY)
            .where(HISTORY.c.cause == cause)
            .values(cause="other", cause_facts={"text": text})
        )
    op.execute(sa.update(REFUNDS).where(REFUNDS.c.reason.in_(REASONS)).values(reason="other"))
    op.execute(sa.update(HISTORY).where(HISTORY.c.event == "builder_absent").values(event=None))
    _check_events(EVENTS)
    op.drop_column("bookings", "builder_absent_at")
    op.drop_index(op.f("ix_jobs_booking_id"), table_name="jobs")
    op.drop_column("jobs", "booking_id")
