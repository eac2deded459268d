"""Full text by each database's own means: FTS5 on SQLite, ``tsvector`` on PostgreSQL.

What is searched are words of an entry as :mod:`bookingapp.builders.entries` writes them: lower-case letters and digits
of ASCII. So nothing that a visitor types is ever part of a query's syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from bookingapp.builders.models import DirectoryEntry

_SEARCH = sa.table("directory_search", sa.column("rowid", sa.Integer), sa.column("directory_search"))


def matching(dialect: str, words: Sequence[str], field: str) -> sa.Select[Any]:
    """The ids of the builders whose entry has every word in that field; the last one may be the beginning of a word."""
    *whole, last = (f"{field}{word}" for word in words)
    if dialect == "postgresql":
        query = " & ".join([*whole, f"{last}:*"])
        return sa.select(DirectoryEntry.builder_id).where(
            sa.literal_column("directory_entries.document").op("@@")(sa.cast(query, TSQUERY))
        )
    query = " ".join([*(f'"{word}"' for word in whole), f'"{last}" *'])
    return sa.select(_SEARCH.c.rowid).where(_SEARCH.c.directory_search.op("MATCH")(query))
