"""Builders' own Calendly accounts, what is owed for them, and an audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

QUEUES = ("jobs", "inbox_events")


def upgrade() -> None:
    # Plain ALTER TABLE on both databases: a batch would make the tables anew, and others point to them.
    for queue in QUEUES:
        op.add_column(queue, sa.Column("waits", sa.Integer(), server_default="0", nullable=False))
    op.add_column("builders", sa.Column("disconnected_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "calendly_connections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("builder_id", sa.Integer(), nullable=False),
        sa.Column("user_uri", sa.String(length=255), nullable=False),
        sa.Column("organization_uri", sa.String(length=255), nullable=True),
        sa.Column("access_token", sa.Text(), nullable=True),
        sa.Column("refresh_token", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "connected",
                "dead",
                "disconnected",
                name="connectionstate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(length=300), nullable=True),
        sa.Column("platform_may_serve", sa.Boolean(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["builder_id"], ["builders.id"], name=op.f("fk_calendly_connections_builder_id_builders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendly_connections")),
        sa.UniqueConstraint("builder_id", name=op.f("uq_calendly_connections_builder_id")),
        sa.UniqueConstraint("user_uri", name=op.f("uq_calendly_connections_user_uri")),
    )
    op.create_table(
        "oauth_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("browser_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_oauth_attempts_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_attempts")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_oauth_attempts_state_hash")),
    )
    op.create_index(op.f("ix_oauth_attempts_account_id"), "oauth_attempts", ["account_id"], unique=False)
    op.create_table(
        "owed_revocations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owed_revocations")),
    )
    op.create_table(
        "token_refusals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_refusals")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_token_refusals_fingerprint")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_account_id", sa.Integer(), nullable=True),
        sa.Column("builder_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["actor_account_id"], ["accounts.id"], name=op.f("fk_audit_entries_actor_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["builder_id"], ["builders.id"], name=op.f("fk_audit_entries_builder_id_builders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    for column in ("at", "actor_account_id", "builder_id"):
        op.create_index(op.f(f"ix_audit_entries_{column}"), "audit_entries", [column], unique=False)


def downgrade() -> None:
    for table in (
        "audit_entries",
        "token_refusals",
        "owed_revocations",
        "oauth_attempts",
        "calendly_connections",
    ):
        op.drop_table(table)
    op.drop_column("builders", "disconnected_at")
    for queue in QUEUES:
        op.drop_column(queue, "waits")
