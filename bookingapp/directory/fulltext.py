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


def matching(dialect: str, field: str) -> sa.Select[Any]:
    """The ids of the builders whose entry has every word in that field; the last one may be the beginning of a word.
    :func:`values` has the words.
    """
    if dialect == "postgresql":
        return sa.select(DirectoryEntry.builder_id).where(matches(field))
    query = sa.bindparam(f"query_{field}", type_=sa.Text())
    return sa.select(_SEARCH.c.rowid).where(_SEARCH.c.directory_search.op("MATCH")(query))


def contains(dialect: str, field: str, words: int) -> sa.ColumnElement[bool]:
    """The same, asked of one entry by its own text, without the index: cheaper where very many have the words."""
    if dialect == "postgresql":
        return matches(field).is_(sa.true())
    text = sa.literal_column("(' ' || directory_entries.words || ' ')", sa.Text())
    parts = (sa.bindparam(f"part_{field}{number}", type_=sa.Text()) for number in range(words))
    return sa.and_(*(sa.func.instr(text, part) > 0 for part in parts))


def values(dialect: str, words: Sequence[str], field: str) -> dict[str, str]:
    """The parameters of both, for these words."""
    *whole, last = (f"{field}{word}" for word in words)
    if dialect == "postgresql":
        return {f"query_{field}": " & ".join([*whole, f"{last}:*"])}
    parts = [*(f" {word} " for word in whole), f" {last}"]
    return {
        f"query_{field}": " ".join([*(f'"{word}"' for word in whole), f'"{last}" *']),
        **{f"part_{field}{number}": part for number, part in enumerate(parts)},
    }


def matches(field: str) -> sa.ColumnElement[bool]:
    """The same on PostgreSQL, by the index where that is cheaper."""
    query = sa.cast(sa.bindparam(f"query_{field}", type_=sa.Text()), TSQUERY)
    return sa.literal_column("directory_entries.document").op("@@", return_type=sa.Boolean())(query)
