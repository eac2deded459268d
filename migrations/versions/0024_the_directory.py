"""Skills in a table, and what the directory searches and sorts by; when a session type's next time is free."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BATCH = 500
FIELDS = "abcd"
TIERS = {"expert": 0, "established": 1, "entry": 2}

TRIGGERS = {
    "inserted": "AFTER INSERT ON directory_entries",
    "deleted": "AFTER DELETE ON directory_entries",
    "updated": "AFTER UPDATE OF words ON directory_entries",
}
FORGET = "INSERT INTO directory_search (directory_search, rowid, words) VALUES ('delete', old.builder_id, old.words);"
REMEMBER = "INSERT INTO directory_search (rowid, words) VALUES (new.builder_id, new.words);"
ACTS = {"inserted": REMEMBER, "deleted": FORGET, "updated": f"{FORGET} {REMEMBER}"}

builders = sa.table(
    "builders",
    *map(
        sa.column,
        ("id", "slug", "display_name", "headline", "bio", "tier", "availability", "calendly_user_uri"),
    ),
    sa.column("featured_at", sa.DateTime(timezone=True)),
    sa.column("suspended_at", sa.DateTime(timezone=True)),
    sa.column("listed", sa.Boolean()),
    sa.column("skills", sa.JSON()),
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    skills = op.create_table(
        "builder_skills",
        sa.Column("builder_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["builder_id"],
            ["builders.id"],
            name=op.f("fk_builder_skills_builder_id_builders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("builder_id", "key", name=op.f("pk_builder_skills")),
    )
    op.create_index("ix_builder_skills_key_builder_id", "builder_skills", ["key", "builder_id"])
    entries = op.create_table(
        "directory_entries",
        sa.Column("builder_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Text(collation="C" if is_postgresql else None), nullable=False),
        sa.Column("tier", sa.String(length=32), nullable=False),
        sa.Column("availability", sa.String(length=32), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["builder_id"],
            ["builders.id"],
            name=op.f("fk_directory_entries_builder_id_builders"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("builder_id", name=op.f("pk_directory_entries")),
    )
    op.create_index(
        "ix_directory_entries_place", "directory_entries", ["place", "tier", "availability"], unique=True
    )
    _add_full_text(is_postgresql=is_postgresql)
    for found in _batches():
        skill_rows, entry_rows = [], []
        for row in found:
            named = {_skill_key(name): name for name in reversed(row["skills"] or []) if name.strip()}
            ordered = sorted(named, key=lambda key, row=row, named=named: row["skills"].index(named[key]))
            skill_rows += [
                {"builder_id": row["id"], "key": key, "name": named[key], "position": position}
                for position, key in enumerate(ordered)
            ]
            if row["listed"] and not row["suspended_at"] and row["calendly_user_uri"]:
                entry_rows.append(_entry(row, [named[key] for key in ordered]))
        for table, rows in ((skills, skill_rows), (entries, entry_rows)):
            if rows:
                op.bulk_insert(table, rows)
    op.drop_column("builders", "skills")
    op.create_table(
        "free_times",
        sa.Column("session_type_id", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_type_id"],
            ["session_types.id"],
            name=op.f("fk_free_times_session_type_id_session_types"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_type_id", name=op.f("pk_free_times")),
    )
    op.create_index(op.f("ix_free_times_next_at"), "free_times", ["next_at"])


def downgrade() -> None:
    op.drop_table("free_times")
    op.add_column("builders", sa.Column("skills", sa.JSON(), nullable=False, server_default="[]"))
    skills = sa.table("builder_skills", *map(sa.column, ("builder_id", "name", "position")))
    named: dict[int, list[str]] = {}
    for row in op.get_bind().execute(sa.select(skills).order_by(skills.c.builder_id, skills.c.position)):
        named.setdefault(row.builder_id, []).append(row.name)
    for builder_id, names in named.items():
        op.execute(builders.update().where(builders.c.id == builder_id).values(skills=names))
    if op.get_bind().dialect.name == "postgresql":
        # As the column was before; SQLite cannot take a default away.
        op.alter_column("builders", "skills", server_default=None)
    else:
        for name in TRIGGERS:
            op.execute(f"DROP TRIGGER directory_entry_{name}")
        op.execute("DROP TABLE directory_search")
    op.drop_table("directory_entries")
    op.drop_table("builder_skills")


def _add_full_text(*, is_postgresql: bool) -> None:
    if is_postgresql:
        op.execute(
            "ALTER TABLE directory_entries ADD COLUMN document tsvector"
            " GENERATED ALWAYS AS (to_tsvector('simple', words)) STORED"
        )
        # Without a list of pending entries, which every search would have to read.
        op.execute(
            "CREATE INDEX ix_directory_entries_document ON directory_entries"
            " USING gin (document) WITH (fastupdate = off)"
        )
        return
    # The words are only in the entries. One word is searched at a time, so no positions are kept.
    op.execute(
        "CREATE VIRTUAL TABLE directory_search USING fts5 (words, content='directory_entries',"
        " content_rowid='builder_id', tokenize='ascii', prefix='2 3 4', detail='none', columnsize=0)"
    )
    for name, moment in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER directory_entry_{name} {moment} BEGIN {ACTS[name]} END")


def _batches() -> Iterator[list[Any]]:
    last = 0
    while True:
        query = sa.select(builders).where(builders.c.id > last).order_by(builders.c.id).limit(BATCH)
        found = list(op.get_bind().execute(query).mappings())
        if not found:
            return
        yield found
        last = found[-1]["id"]


# What follows is how ``bookingapp.text`` and ``bookingapp.builders.entries`` made words and places at the time of this
# migration.

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_APOSTROPHES = str.maketrans("", "", "'\u2019\u02bc\u0060\u00b4")
_SIGNS = str.maketrans({"+": "plus", "#": "sharp"})
_SIGNS_AFTER_A_WORD = re.compile(r"(?<=\w)[+#]+(?!\w)")
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")


def _words(text: str) -> list[str]:
    spelled = _SIGNS_AFTER_A_WORD.sub(lambda found: found[0].translate(_SIGNS), text.translate(_APOSTROPHES))
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", spelled).casefold())
    plain = "".join(part for part in decomposed if unicodedata.category(part) != "Mn").translate(_LETTERS)
    return [word[:40] for word in _WORD.findall(plain)]


def _skill_key(name: str) -> str:
    return " ".join(_words(name)) or name.casefold().strip()


def _field_words(text: str) -> list[str]:
    return [
        "".join(part if part.isascii() else f"x{ord(part):05x}" for part in word) for word in _words(text)
    ]


def _entry(row: Any, skills: list[str]) -> dict[str, Any]:
    fields = accumulate(
        map(_field_words, (row["display_name"], row["headline"], " ".join(skills), row["bio"]))
    )
    found = zip(FIELDS, fields, strict=True)
    name = ".".join(_words(row["display_name"]))[:60]
    return {
        "builder_id": row["id"],
        "place": f"{0 if row['featured_at'] else 1}{TIERS[row['tier']]}-{name}-{row['slug']}",
        "tier": row["tier"],
        "availability": row["availability"],
        "words": " ".join(f"{letter}{word}" for letter, some in found for word in dict.fromkeys(some)),
    }
