"""A booking may need a look for several reasons, one a line."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _begin(sa.Text())
    op.execute("UPDATE bookings SET attention = former")
    op.drop_column("bookings", "former")


def downgrade() -> None:
    _begin(sa.String(length=200))
    op.execute("UPDATE bookings SET attention = substr(former, 1, 200)")
    op.drop_column("bookings", "former")


def _begin(kind: sa.types.TypeEngine[str]) -> None:
    """Not by a batch, which on SQLite would drop the table for a moment: other tables refer to its rows."""
    op.execute("ALTER TABLE bookings RENAME COLUMN attention TO former")
    op.add_column("bookings", sa.Column("attention", kind, nullable=True))
