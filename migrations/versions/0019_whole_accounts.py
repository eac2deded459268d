"""Accounts: links that work once, second steps, security events, and log-ins that stay as a record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def _account_key(table: str, *, nullable: bool = False) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    """The column of the account, and its key."""
    return (
        sa.Column("account_id", sa.Integer(), nullable=nullable),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f(f"fk_{table}_account_id_accounts"), ondelete="CASCADE"
        ),
    )


def upgrade() -> None:
    # Not by a batch, which on SQLite would drop the tables for a moment: others refer to their rows.
    op.add_column("accounts", sa.Column("two_step_since", sa.DateTime(timezone=True), nullable=True))
    for column in (
        sa.Column("second_step", sa.String(length=32), nullable=False, server_default="not_needed"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_how", sa.String(length=32), nullable=True),
        sa.Column("browser_hash", sa.String(length=64), nullable=True),
        sa.Column("network", sa.String(length=45), nullable=False, server_default=""),
        sa.Column("user_agent", sa.String(length=300), nullable=False, server_default=""),
    ):
        op.add_column("log_ins", column)
    op.create_index("ix_log_ins_account_id_browser_hash", "log_ins", ["account_id", "browser_hash"])
    op.create_table(
        "account_links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        *_account_key("account_links", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_account_links_token_hash")),
    )
    op.create_index("ix_account_links_account_id", "account_links", ["account_id"])
    op.create_index("ix_account_links_email_purpose", "account_links", ["email", "purpose"])
    op.create_table(
        "two_steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("new_secret", sa.Text(), nullable=True),
        sa.Column("last_period", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_account_key("two_steps"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_two_steps")),
        sa.UniqueConstraint("account_id", name=op.f("uq_two_steps_account_id")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        *_account_key("recovery_codes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    op.create_index("ix_recovery_codes_account_id", "recovery_codes", ["account_id"])
    op.create_table(
        "security_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("network", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        *_account_key("security_events", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_events")),
    )
    op.create_index("ix_security_events_at", "security_events", ["at"])
    op.create_index("ix_security_events_account_id_id", "security_events", ["account_id", "id"])


def downgrade() -> None:
    # Log-ins that were ended must not open anything again.
    op.execute("DELETE FROM log_ins WHERE ended_at IS NOT NULL OR second_step = 'due'")
    for table in ("security_events", "recovery_codes", "two_steps", "account_links"):
        op.drop_table(table)
    op.drop_index("ix_log_ins_account_id_browser_hash", table_name="log_ins")
    for name in ("user_agent", "network", "browser_hash", "ended_how", "ended_at", "second_step"):
        op.drop_column("log_ins", name)
    op.drop_column("accounts", "two_step_since")
