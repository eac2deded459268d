"""Invitees that belong to no booking, and what Calendly knows better about a booking."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

COLUMNS = {"invitee_email": 254, "email_proof": 32, "host_name": 160, "place_kind": 40, "place": 500}


def upgrade() -> None:
    op.create_table(
        "unattached_invitees",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("builder_id", sa.Integer(), nullable=False),
        sa.Column("session_type_id", sa.Integer(), nullable=False),
        sa.Column("event_uri", sa.String(length=255), nullable=False),
        sa.Column("invitee_uri", sa.String(length=255), nullable=False),
        sa.Column("title", sa.String(length=160), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancel_url", sa.String(length=500), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["builder_id"], ["builders.id"], name=op.f("fk_unattached_invitees_builder_id_builders")
        ),
        sa.ForeignKeyConstraint(
            ["session_type_id"],
            ["session_types.id"],
            name=op.f("fk_unattached_invitees_session_type_id_session_types"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unattached_invitees")),
        sa.UniqueConstraint("invitee_uri", name=op.f("uq_unattached_invitees_invitee_uri")),
    )
    op.create_index(
        "ix_unattached_invitees_builder_resolved", "unattached_invitees", ["builder_id", "resolved_at"]
    )
    for name, length in COLUMNS.items():
        op.add_column("bookings", sa.Column(name, sa.String(length=length), nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("bookings", name)
    op.drop_index("ix_unattached_invitees_builder_resolved", table_name="unattached_invitees")
    op.drop_table("unattached_invitees")
