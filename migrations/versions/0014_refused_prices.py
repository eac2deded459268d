"""A type that Stripe refuses to sell is marked, amounts may have twelve digits, vouchers have an address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

AMOUNTS = (
    ("session_types", "price_minor"),
    ("bookings", "price_minor"),
    ("payments", "amount_minor"),
    ("refunds", "amount_minor"),
    ("disputes", "amount_minor"),
    ("ledger_entries", "amount_minor"),
)


def upgrade() -> None:
    op.add_column("session_types", sa.Column("refusal", sa.String(length=32), nullable=True))
    op.add_column("payments", sa.Column("voucher_url", sa.String(length=2000), nullable=True))
    _alter_amounts(sa.Integer(), sa.BigInteger())


def downgrade() -> None:
    _alter_amounts(sa.BigInteger(), sa.Integer())
    op.drop_column("payments", "voucher_url")
    op.drop_column("session_types", "refusal")


def _alter_amounts(before: sa.types.TypeEngine[int], after: sa.types.TypeEngine[int]) -> None:
    """SQLite's integers have 64 bits already."""
    if op.get_bind().dialect.name == "sqlite":
        return
    for table, column in AMOUNTS:
        op.alter_column(table, column, existing_type=before, type_=after, existing_nullable=False)
