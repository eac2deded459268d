"""An index for the money of two months, which each opening of a dashboard adds up."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_INDEX = "ix_ledger_entries_at"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # One that was interrupted leaves a part of the index.
        op.drop_index(_INDEX, table_name="ledger_entries", if_exists=True)
        op.create_index(_INDEX, "ledger_entries", ["at"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index(_INDEX, table_name="ledger_entries")
