"""Indexes for the directory: of what is on sale, by builder and by price, and on SQLite of longer beginnings of words.

The constraint's index finds the types of a builder. A search for the beginning of a word that FTS5 has no index for
reads every word that begins so before it finds the first builder.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_PRICE = ["price_minor", "currency"]
_INDEXES = {
    "ix_session_types_on_sale": ["builder_id", *_PRICE],
    "ix_session_types_on_sale_price": [*_PRICE, "builder_id"],
}


def upgrade() -> None:
    for name, columns in _INDEXES.items():
        op.create_index(
            name,
            "session_types",
            columns,
            sqlite_where=sa.text("published = 1 AND refusal IS NULL"),
            postgresql_where=sa.text("published AND refusal IS NULL"),
        )
    op.drop_index("ix_session_types_builder_id", table_name="session_types")
    _index_beginnings("2 3 4 5 6 7 8")


def downgrade() -> None:
    _index_beginnings("2 3 4")
    op.create_index("ix_session_types_builder_id", "session_types", ["builder_id"])
    for name in _INDEXES:
        op.drop_index(name, table_name="session_types")


def _index_beginnings(lengths: str) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("DROP TABLE directory_search")
    op.execute(
        "CREATE VIRTUAL TABLE directory_search USING fts5 (words, content='directory_entries',"
        f" content_rowid='builder_id', tokenize='ascii', prefix='{lengths}', detail='none', columnsize=0)"
    )
    op.execute("INSERT INTO directory_search (directory_search) VALUES ('rebuild')")
