"""The migration to the directory's tables carries skills both ways and makes the entries that the application makes."""

from __future__ import annotations

from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bookingapp.builders.entries import reindex
from bookingapp.builders.models import DirectoryEntry
from bookingapp.core.db import db, transaction
from tests.factories import NOW

BEFORE, WITH_DIRECTORY = "0023", "0024"
SKILLS = {
    1: ["Prompt design", "C++", "AI"],
    2: [],
    3: ["Node.js", "node js", "★", "Łódź"],
    4: ["Hidden"],
    5: ["Suspended"],
}
KEPT = {**SKILLS, 3: ["Node.js", "★", "Łódź"]}


def insert(table: str, rows: list[dict[str, Any]]) -> None:
    """Rows as an earlier release wrote them."""
    with db.engine.begin() as connection:
        connection.execute(sa.insert(sa.Table(table, sa.MetaData(), autoload_with=connection)), rows)


def skills() -> dict[int, list[str]]:
    """The old column, by builder."""
    with db.engine.connect() as connection:
        table = sa.Table("builders", sa.MetaData(), autoload_with=connection)
        return {row.id: row.skills for row in connection.execute(sa.select(table.c.id, table.c.skills))}


def entries() -> list[tuple[Any, ...]]:
    """All entries, in order."""
    columns = [column for column in sa.inspect(DirectoryEntry).columns if column.key != "words"]
    query = sa.select(*columns, DirectoryEntry.words).order_by(DirectoryEntry.place)
    return [tuple(row) for row in db.session().execute(query)]


def test_skills_and_entries(empty_app: Flask) -> None:
    flask_migrate.upgrade(revision=BEFORE)
    account = {"password_hash": "x", "is_operator": False, "created_at": NOW}
    insert("accounts", [{**account, "id": n, "name": "x", "email": f"{n}@example.com"} for n in SKILLS])
    builder = {
        "timezone": "UTC",
        "default_currency": "GBP",
        "is_demo": False,
        "catalog_version": 0,
        "links": {},
    }
    insert(
        "builders",
        [
            {
                **builder,
                "id": n,
                "account_id": n,
                "slug": f"b{n}",
                "display_name": f"Zoë O'Brien {n}",
                "headline": "ﬁrst, ßecond",
                "bio": "Ёлкин 東京\n\nNEAR",
                "skills": names,
                "tier": ("entry", "established", "expert")[n % 3],
                "availability": "limited",
                "listed": n != 4,
                "suspended_at": NOW if n == 5 else None,
                "featured_at": NOW if n == 2 else None,
                "calendly_user_uri": f"u{n}",
                "created_at": NOW,
            }
            for n, names in SKILLS.items()
        ],
    )
    flask_migrate.upgrade(revision=WITH_DIRECTORY)
    with db.engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT builder_id, name FROM builder_skills ORDER BY builder_id, position")
        )
        named: dict[int, list[str]] = {n: [] for n in SKILLS}
        for builder_id, name in rows:
            named[builder_id].append(name)
    assert named == KEPT

    flask_migrate.downgrade(revision=BEFORE)
    assert skills() == KEPT
    flask_migrate.upgrade()
    migrated = entries()
    assert [entry[0] for entry in migrated] == [2, 1, 3]
    db.session.rollback()
    with transaction(db.session()) as session:
        reindex(session)
    assert entries() == migrated
