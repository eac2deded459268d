"""The language of a booking, an account, a sign-in link and an application."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

OF_CLIENTS = ("bookings", "client_sign_ins", "builder_applications")


def upgrade() -> None:
    for table in OF_CLIENTS:
        op.add_column(table, sa.Column("language", sa.String(12), nullable=False, server_default="en"))
    op.add_column("accounts", sa.Column("language", sa.String(12), nullable=True))


def downgrade() -> None:
    for table in ("accounts", *OF_CLIENTS):
        op.drop_column(table, "language")
