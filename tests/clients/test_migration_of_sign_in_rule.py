"""The sign-in rule comes to a database that is in use already."""

from __future__ import annotations

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bookingapp.core.db import db
from bookingapp.session_types.models import Category
from tests.factories import make_booking, make_builder, make_session_type


def test_rows_that_are_there_get_the_rule_of_their_category(empty_app: Flask) -> None:
    """Pathway sessions ask; bookings that refer to the rows do not stop it, up or down."""
    flask_migrate.upgrade()
    builder = make_builder(db.session())
    for category in Category:
        kind = make_session_type(db.session(), builder, category=category, requires_sign_in=False)
        make_booking(db.session(), builder=builder, session_type=kind)
    db.session.remove()
    flask_migrate.downgrade(revision="0002")
    columns = {column["name"] for column in sa.inspect(db.engine).get_columns("session_types")}
    assert "requires_sign_in" not in columns
    assert "client_sign_ins" not in sa.inspect(db.engine).get_table_names()
    flask_migrate.upgrade()
    with db.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT category, requires_sign_in FROM session_types")).all()
        bookings = connection.execute(sa.text("SELECT count(*) FROM bookings")).scalar_one()
    assert {category: bool(asks) for category, asks in rows} == {
        "free": False,
        "pathway": True,
        "specialized": False,
        "other": False,
    }
    assert bookings == len(Category)
