"""The pathway that a client chooses for a session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bookings", sa.Column("pathway", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("bookings", "pathway")
