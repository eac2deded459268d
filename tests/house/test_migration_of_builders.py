"""Migration 0018: a builder may have no Calendly user, while other tables refer to the row."""

from __future__ import annotations

from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.core.db import db
from tests.house.test_migration_of_audit import AT, add_builders, columns
from tests.house.test_migration_of_work import insert


def test_a_builder_may_be_without_a_calendly_user(empty_app: Flask) -> None:
    """Nothing that refers to builders is lost; on the way back each has a value of its own, and is unlisted."""
    flask_migrate.upgrade(revision="0017")
    add_builders(3)
    price: dict[str, Any] = {"price_minor": 1, "currency": "GBP", "category": "other", "updated_at": AT}
    price |= {"published": True, "display_order": 0}
    insert("session_types", [{**price, "id": 1, "builder_id": 1, "event_type_uri": "e"}])
    with pytest.raises(sa.exc.IntegrityError):
        execute("UPDATE builders SET calendly_user_uri = NULL WHERE id > 1")

    flask_migrate.upgrade(revision="0018")
    execute("UPDATE builders SET calendly_user_uri = NULL WHERE id > 1")
    assert columns("builders", "calendly_user_uri", "suspended_at") == [
        ("u1", None),
        (None, None),
        (None, None),
    ]
    assert columns("session_types", "builder_id") == [(1,)]

    flask_migrate.downgrade(revision="0017")
    assert columns("builders", "calendly_user_uri", "listed") == [
        ("u1", True),
        ("none:2", False),
        ("none:3", False),
    ]
    with pytest.raises(sa.exc.IntegrityError):
        execute("UPDATE builders SET calendly_user_uri = NULL WHERE id = 1")
    if db.engine.dialect.name == "sqlite":
        assert query("PRAGMA integrity_check") == "ok"
        assert query("PRAGMA foreign_key_check") is None


def execute(statement: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(sa.text(statement))


def query(statement: str) -> object:
    with db.engine.connect() as connection:
        return connection.execute(sa.text(statement)).scalar()
