"""Stripe's own receipt of a payment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("receipt_url", sa.String(length=2000), nullable=True))


def downgrade() -> None:
    op.drop_column("payments", "receipt_url")
