"""Rows of work say how far they are, deliveries may lose their bodies, and workers leave a sign of life."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OPEN = "state IN ('received', 'processing', 'failed')"
OLD = ("ready", "done", "ignored", "dead")
NEW = ("received", "processing", "failed", "done", "ignored", "dead")
TABLES = ("inbox_events", "jobs")


def _states(*names: str) -> sa.Enum:
    return sa.Enum(*names, name="workstate", native_enum=False, create_constraint=True, length=32)


def _plain() -> sa.String:
    return sa.String(length=32)


def upgrade() -> None:
    for table in TABLES:
        # The check goes first and comes back last, because the values change in between.
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_index(f"ix_{table}_due")
            batch_op.drop_constraint(op.f(f"ck_{table}_workstate"), type_="check")
        # What a worker holds at this moment keeps its lease, and may only be ended by the worker that has it.
        op.execute(
            f"UPDATE {table} SET state = 'processing', run_at = lease_until"  # noqa: S608 - our own names.
            " WHERE state = 'ready' AND lease_until IS NOT NULL"
        )
        op.execute(f"UPDATE {table} SET state = 'received' WHERE state = 'ready'")  # noqa: S608
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column(
                "state", existing_type=_plain(), type_=_states(*NEW), existing_nullable=False
            )
            batch_op.drop_column("lease_until")
            batch_op.create_index(
                f"ix_{table}_due",
                ["run_at", "id"],
                unique=False,
                sqlite_where=sa.text(OPEN),
                postgresql_where=sa.text(OPEN),
            )
    with op.batch_alter_table("inbox_events", schema=None) as batch_op:
        batch_op.alter_column("body", existing_type=sa.LargeBinary(), nullable=True)
        batch_op.create_index(batch_op.f("ix_inbox_events_received_at"), ["received_at"], unique=False)

    op.create_table(
        "worker_beats",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_beats")),
        sa.UniqueConstraint("name", name=op.f("uq_worker_beats_name")),
    )
    with op.batch_alter_table("worker_beats", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_worker_beats_beat_at"), ["beat_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("worker_beats", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_worker_beats_beat_at"))
    op.drop_table("worker_beats")

    # A body that was let go cannot come back; an empty one is as unreadable.
    op.execute("UPDATE inbox_events SET body = '' WHERE body IS NULL")
    with op.batch_alter_table("inbox_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inbox_events_received_at"))
        batch_op.alter_column("body", existing_type=sa.LargeBinary(), nullable=False)
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_index(f"ix_{table}_due")
            batch_op.drop_constraint(op.f(f"ck_{table}_workstate"), type_="check")
            batch_op.add_column(sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
        op.execute(f"UPDATE {table} SET lease_until = run_at WHERE state = 'processing'")  # noqa: S608
        op.execute(f"UPDATE {table} SET state = 'ready' WHERE {OPEN}")  # noqa: S608
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column(
                "state", existing_type=_plain(), type_=_states(*OLD), existing_nullable=False
            )
            batch_op.create_index(f"ix_{table}_due", ["state", "run_at"], unique=False)
