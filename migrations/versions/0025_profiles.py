"""What builders say of themselves: bios in Markdown, pictures, cancellation policies of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("builders", sa.Column("bio_html", sa.Text(), nullable=True))
    op.add_column("builders", sa.Column("picture", sa.String(length=32), nullable=True))
    op.add_column(
        "builders", sa.Column("picture_alt", sa.String(length=160), nullable=False, server_default="")
    )
    op.add_column("builders", sa.Column("refund_steps", sa.JSON(), nullable=True))
    op.create_table(
        "builder_pictures",
        sa.Column("builder_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["builder_id"], ["builders.id"], name=op.f("fk_builder_pictures_builder_id_builders")
        ),
        sa.PrimaryKeyConstraint("builder_id", "size", name=op.f("pk_builder_pictures")),
    )
    op.create_index("ix_builder_pictures_digest", "builder_pictures", ["digest", "size"])


def downgrade() -> None:
    # A bio in Markdown is shown as plain text again. What bookings keep of a policy is their own.
    op.drop_index("ix_builder_pictures_digest", table_name="builder_pictures")
    op.drop_table("builder_pictures")
    for name in ("refund_steps", "picture_alt", "picture", "bio_html"):
        op.drop_column("builders", name)
