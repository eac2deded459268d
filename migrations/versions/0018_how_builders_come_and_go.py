"""Builders without a Calendly user yet, suspended ones, and featured ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

COLUMN = "calendly_user_uri VARCHAR(255)"


def upgrade() -> None:
    op.add_column("builders", sa.Column("featured_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("builders", sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("builders", sa.Column("suspension_reason", sa.String(length=300), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        _edit_sqlite(f"{COLUMN} NOT NULL", COLUMN)
    else:
        op.alter_column("builders", "calendly_user_uri", nullable=True)


def downgrade() -> None:
    # Each gets a value that no user of Calendly's has, and is in no directory.
    op.execute(
        "UPDATE builders SET calendly_user_uri = 'none:' || id, listed = false WHERE calendly_user_uri IS NULL"
    )
    if op.get_bind().dialect.name == "sqlite":
        _edit_sqlite(COLUMN, f"{COLUMN} NOT NULL")
    else:
        op.alter_column("builders", "calendly_user_uri", nullable=False)
    for name in ("suspension_reason", "suspended_at", "featured_at"):
        op.drop_column("builders", name)


def _edit_sqlite(before: str, after: str) -> None:
    """Change the column's declaration, as SQLite's documentation of ALTER TABLE describes for NOT NULL. A new table in
    the old one's place would drop that for a moment, and other tables refer to its rows.
    """
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = on")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'builders'",
        (before, after),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = off")
