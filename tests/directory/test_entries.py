"""A builder's entry in the directory is written with the builder, by every way in which builders are written."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from bookingapp.builders.entries import SOURCES, StaleEntries
from bookingapp.builders.models import Availability, Builder, BuilderSkill, DirectoryEntry, Tier
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from tests.directory.people import add_builders, search
from tests.pages import PageClient

CHANGES = {
    "slug": "other",
    "display_name": "Zebra",
    "headline": "Zebra",
    "bio": "Zebra",
    "skills": ["Zebra"],
    "tier": Tier.EXPERT,
    "availability": Availability.LIMITED,
    "featured_at": utcnow(),
    "listed": False,
    "suspended_at": utcnow(),
    "calendly_user_uri": None,
}


def read_entry(app: Flask) -> tuple[object, ...] | None:
    with app.app_context():
        return (
            db.session()
            .execute(
                sa.select(
                    DirectoryEntry.place,
                    DirectoryEntry.tier,
                    DirectoryEntry.availability,
                    DirectoryEntry.words,
                )
            )
            .one_or_none()
        )


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_in_the_entry(app: Flask, client: PageClient, name: str) -> None:
    with app.app_context():
        add_builders(db.session(), {"display_name": "Ada", "skills": ["Python"]})
    before = read_entry(app)
    with app.app_context(), transaction(db.session()) as session:
        setattr(session.scalars(sa.select(Builder)).one(), name, CHANGES[name])
    after = read_entry(app)
    assert before != after
    is_hidden = name in ("listed", "suspended_at", "calendly_user_uri")
    assert (after is None) == is_hidden
    assert search(client, q="ada" if name == "display_name" else "zebra") == (
        [] if name not in ("headline", "bio", "skills") else ["ada"]
    )


def test_every_source_is_tried() -> None:
    assert {"skill_rows" if name == "skills" else name for name in CHANGES} == SOURCES


def test_a_builder_comes_back(app: Flask, client: PageClient) -> None:
    with app.app_context():
        add_builders(db.session(), {"display_name": "Ada", "listed": False})
    assert search(client) == []
    with app.app_context(), transaction(db.session()) as session:
        session.scalars(sa.select(Builder)).one().listed = True
    assert search(client, q="ada") == ["ada"]


def test_an_update_that_passes_the_entries_by_is_refused(app: Flask) -> None:
    with app.app_context():
        add_builders(db.session(), {"display_name": "Ada"})
        with pytest.raises(StaleEntries, match="tier"), transaction(db.session()) as session:
            session.execute(sa.update(Builder).values(tier=Tier.EXPERT))
        with pytest.raises(StaleEntries, match="listed"), transaction(db.session()) as session:
            session.execute(sa.update(Builder), {"listed": False})
        with transaction(db.session()) as session:
            session.execute(sa.update(Builder).values(catalog_version=1))


@pytest.mark.any_database
def test_reindexing_repairs(app: Flask, client: PageClient, runner: FlaskCliRunner) -> None:
    """After a change from outside of the application."""
    with app.app_context():
        add_builders(db.session(), {"display_name": "Ada"}, {"display_name": "Bea"})
        with db.engine.begin() as connection:
            connection.execute(sa.text("UPDATE builders SET display_name = 'Zebra' WHERE slug = 'ada'"))
    assert search(client, q="zebra") == []
    assert "2" in runner.invoke(args=["builders", "reindex"]).output
    assert search(client, q="zebra") == ["ada"]


@pytest.mark.any_database
def test_skills_keep_their_spelling_and_order(app: Flask) -> None:
    """And compare alike: the second spelling of one is dropped, as is an empty one."""
    with app.app_context():
        (made,) = add_builders(
            db.session(), {"display_name": "Ada", "skills": ["Node.js", "C++", " ", "node JS", "C#", "★"]}
        )
        builder_id = made.id
    for names, kept in (
        (None, ["Node.js", "C++", "C#", "★"]),
        (["c#", "Rust", "NODE JS"], ["c#", "Rust", "NODE JS"]),
        ([], []),
    ):
        with app.app_context(), transaction(db.session()) as session:
            if names is not None:
                session.get_one(Builder, builder_id).skills = names
        with app.app_context():
            assert db.session().get_one(Builder, builder_id).skills == kept
            keys = db.session().scalars(sa.select(BuilderSkill.key)).all()
            assert len(keys) == len(kept)
