"""Indexes of the dead rows alone, and of open times without a booking: for the operators' console."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = ("inbox_events", "jobs")


def upgrade() -> None:
    is_dead = sa.text("state = 'dead'")
    for table in TABLES:
        op.create_index(f"ix_{table}_dead", table, ["id"], sqlite_where=is_dead, postgresql_where=is_dead)


def downgrade() -> None:
    for table in TABLES:
        op.drop_index(f"ix_{table}_dead", table_name=table)
