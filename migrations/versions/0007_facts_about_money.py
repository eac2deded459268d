"""Who said what of the money and when, disputes, fees, and what was found missing when both providers were asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FACTS = ("payments", "refunds")
POSITIVE = ("amount_positive", "amount_minor > 0")


def _recheck(table: str, column: str, name: str, values: tuple[str, ...], *others: tuple[str, str]) -> None:
    """Give a checked text its values anew. ``others`` are the table's other checks, by name: SQLite makes the
    table anew, and Alembic does not read them from the old one.
    """
    listed = ", ".join(f"'{value}'" for value in values)
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(table, schema=None) as batch_op:
        if not on_sqlite:
            batch_op.drop_constraint(op.f(f"ck_{table}_{name}"), type_="check")
        batch_op.create_check_constraint(op.f(f"ck_{table}_{name}"), sa.text(f"{column} IN ({listed})"))
        for other, condition in others if on_sqlite else ():
            batch_op.create_check_constraint(op.f(f"ck_{table}_{other}"), sa.text(condition))


def upgrade() -> None:
    # Not by a batch, which on SQLite would drop the table for a moment: other tables refer to its rows.
    for table in FACTS:
        op.add_column(table, sa.Column("said_by", sa.String(length=200), nullable=True))
        op.add_column(table, sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    _recheck(
        "refunds", "state", "refundstate", ("owed", "pending", "succeeded", "failed", "dropped"), POSITIVE
    )
    _recheck("ledger_entries", "kind", "entrykind", ("charge", "refund", "dispute", "fee"))

    op.create_table(
        "disputes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("stripe_id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("due_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said_by", sa.String(length=200), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_disputes_booking_id_bookings")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_disputes_payment_id_payments")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disputes")),
        sa.UniqueConstraint("stripe_id", name=op.f("uq_disputes_stripe_id")),
    )
    with op.batch_alter_table("disputes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_disputes_booking_id"), ["booking_id"], unique=False)

    op.create_table(
        "reconciliations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=True),
        sa.Column("with_events", sa.Boolean(), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_reconciliations_booking_id_bookings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    with op.batch_alter_table("reconciliations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reconciliations_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_reconciliations_booking_id"), ["booking_id"], unique=False)


def downgrade() -> None:
    for name in ("ix_reconciliations_booking_id", "ix_reconciliations_at"):
        with op.batch_alter_table("reconciliations", schema=None) as batch_op:
            batch_op.drop_index(batch_op.f(name))
    op.drop_table("reconciliations")
    with op.batch_alter_table("disputes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_disputes_booking_id"))
    op.drop_table("disputes")
    # What the older schema has no word for.
    op.execute("DELETE FROM ledger_entries WHERE kind IN ('dispute', 'fee')")
    op.execute("DELETE FROM refunds WHERE state = 'dropped'")
    _recheck("ledger_entries", "kind", "entrykind", ("charge", "refund"))
    _recheck("refunds", "state", "refundstate", ("owed", "pending", "succeeded", "failed"), POSITIVE)
    op.drop_column("refunds", "tries")
    for table in FACTS:
        op.drop_column(table, "checked_at")
        op.drop_column(table, "said_by")
