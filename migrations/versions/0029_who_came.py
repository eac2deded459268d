"""Who came, and who canceled: what the client says of a builder who did not come, and of a no-show mark."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

HISTORY = sa.table("booking_history", sa.column("cause", sa.String), sa.column("cause_facts", sa.JSON))
FLAGS = sa.table("attention_flags", sa.column("code", sa.String))
JOBS = sa.table("jobs", sa.column("name", sa.String), sa.column("args", sa.JSON))
ACTS = sa.table("operator_acts", sa.column("act", sa.String), sa.column("facts", sa.JSON))
CAUSES = {
    "absence_claimed": "says that the builder did not come",
    "absence_withdrawn": "says that the builder came after all",
    "absence_denied": "says that they were there",
    "absence_dismissed": "decided that the session took place",
    "absence_unanswered": "refunds everything, because the builder did not answer",
    "no_show_denied": "says that they were there",
    "no_show_kept": "decided that the mark stays",
}
MAILS = (
    "absence-asked-builder", "absence-withdrawn-builder", "absence-denied", "absence-denied-builder",
    "absence-dismissed", "absence-dismissed-builder", "no-show", "no-show-denied-builder", "no-show-kept",
    "no-show-kept-builder", "no-show-removed", "reminder-day", "reminder-day-builder", "reminder-hour",
    "reminder-hour-builder",
)  # fmt: skip


def upgrade() -> None:
    for name in ("no_show_denied_at", "absence_claimed_at"):
        op.add_column("bookings", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in ("absence_claim", "canceled_by"):
        op.add_column("bookings", sa.Column(name, sa.String(length=32), nullable=True))


def downgrade() -> None:
    # The older program does not know these codes: what it shows is kept in words, and what it would run goes.
    for cause, text in CAUSES.items():
        op.execute(
            sa.update(HISTORY)
            .where(HISTORY.c.cause == cause)
            .values(cause="other", cause_facts={"text": text})
        )
    op.execute(
        sa.delete(FLAGS).where(FLAGS.c.code.in_(("absence_claimed", "absence_denied", "no_show_denied")))
    )
    op.execute(sa.delete(JOBS).where(JOBS.c.name.in_(("bookings.remind", "bookings.absence_deadline"))))
    op.execute(
        sa.delete(JOBS).where(JOBS.c.name == "mail.booking", JOBS.c.args["mail"].as_string().in_(MAILS))
    )
    op.execute(
        sa.update(ACTS)
        .where(ACTS.c.act.in_(("booking.absence_dismissed", "booking.no_show_kept")))
        .values(act="booking.flags_resolved", facts={"flags": []})
    )
    for name in ("canceled_by", "absence_claim", "absence_claimed_at", "no_show_denied_at"):
        op.drop_column("bookings", name)
