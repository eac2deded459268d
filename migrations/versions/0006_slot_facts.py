"""Who said what Calendly says of a time and when, times on the move, and no-shows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FACTS = (
    ("slot_source", sa.String(length=32)),
    ("slot_checked_at", sa.DateTime(timezone=True)),
    ("moving_since", sa.DateTime(timezone=True)),
    ("moving_to", sa.String(length=255)),
    ("restoring_since", sa.DateTime(timezone=True)),
    ("no_show_at", sa.DateTime(timezone=True)),
    ("no_show_uri", sa.String(length=255)),
    ("no_show_undone_uri", sa.String(length=255)),
)
STATUSES = ("pending", "scheduled", "paid", "confirmed", "completed", "canceled", "expired")
ACTORS = ("client", "builder", "operator", "calendly", "stripe", "system")
EVENTS = (
    "slot_taken",
    "slot_moved",
    "slot_lost",
    "payment_received",
    "settled",
    "cancel",
    "expire",
    "complete",
)
NEW_EVENTS = ("move_begun", "restored", "no_show", "no_show_undone")


def upgrade() -> None:
    # Plain ALTER TABLE on both databases: a batch would make the table anew, and others point to it.
    for name, kind in FACTS:
        op.add_column("bookings", sa.Column(name, kind, nullable=True))
    _allow((*EVENTS, *NEW_EVENTS))


def downgrade() -> None:
    # A row of an event that the older program does not know keeps its words.
    events = ", ".join(f"'{event}'" for event in NEW_EVENTS)
    op.execute(f"UPDATE booking_history SET event = NULL WHERE event IN ({events})")  # noqa: S608 - constants.
    _allow(EVENTS)
    for name, _ in reversed(FACTS):
        op.drop_column("bookings", name)


def _allow(events: tuple[str, ...]) -> None:
    """Let the history take these events."""
    if op.get_bind().dialect.name == "postgresql":
        listed = ", ".join(f"'{event}'" for event in events)
        op.drop_constraint(op.f("ck_booking_history_event"), "booking_history", type_="check")
        op.create_check_constraint(
            op.f("ck_booking_history_event"), "booking_history", f"event IN ({listed})"
        )
        return
    # SQLite knows no change of a check: the table is made anew. Nothing points to it.
    with op.batch_alter_table("booking_history", copy_from=_history(events), recreate="always"):
        pass


def _history(events: tuple[str, ...]) -> sa.Table:
    def choice(name: str, values: tuple[str, ...], *, checked: bool) -> sa.Enum:
        return sa.Enum(*values, name=name, native_enum=False, create_constraint=checked, length=32)

    return sa.Table(
        "booking_history",
        sa.MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"}),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("from_status", choice("status", STATUSES, checked=False), nullable=True),
        sa.Column("to_status", choice("status", STATUSES, checked=False), nullable=False),
        sa.Column("event", choice("event", events, checked=True), nullable=True),
        sa.Column("actor", choice("actor", ACTORS, checked=True), nullable=False),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.Column("inbox_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_history_booking_id_bookings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_history")),
        sa.Index(op.f("ix_booking_history_booking_id"), "booking_id"),
        sa.Index(op.f("ix_booking_history_inbox_id"), "inbox_id"),
    )
