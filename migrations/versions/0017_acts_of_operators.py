"""What operators did, with their reasons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_operator_acts_operator": ["operator_id", "id"],
    "ix_operator_acts_builder": ["builder_id", "id"],
    "ix_operator_acts_act": ["act", "id"],
    "ix_operator_acts_subject": ["subject_kind", "subject_id"],
}


def upgrade() -> None:
    op.create_table(
        "operator_acts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("builder_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False, server_default="{}"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["accounts.id"], name=op.f("fk_operator_acts_operator_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["builder_id"], ["builders.id"], name=op.f("fk_operator_acts_builder_id_builders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_acts")),
    )
    for name, columns in INDEXES.items():
        op.create_index(name, "operator_acts", columns)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, table_name="operator_acts")
    op.drop_table("operator_acts")
