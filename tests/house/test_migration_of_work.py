"""Rows of work keep what they are when the schema moves up and down."""

from __future__ import annotations

from datetime import UTC, datetime

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bookingapp.core.db import db

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
LEASE = datetime(2026, 11, 24, 11, tzinfo=UTC)


def states(table: str) -> dict[str, str]:
    """The state of each row, by its name."""
    key = "event_key" if table == "inbox_events" else "key"
    with db.engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT {key} AS name, state FROM {table}"))
        return {row.name: row.state for row in found}


def insert(table: str, rows: list[dict[str, object]]) -> None:
    """Rows by the database's own means, for a schema that the models do not know."""
    with db.engine.begin() as connection:
        reflected = sa.Table(table, sa.MetaData(), autoload_with=connection)
        connection.execute(reflected.insert(), rows)


def test_states_are_translated_both_ways(empty_app: Flask) -> None:
    """Who was at work keeps the row until its lease ends; nothing that is open is lost."""
    flask_migrate.upgrade(revision="0004")
    common = {"name": "test", "args": "{}", "run_at": AT, "created_at": AT, "attempts": 0, "waits": 0}
    insert(
        "jobs",
        [
            {**common, "key": "waiting", "state": "ready", "lease_until": None},
            {**common, "key": "held", "state": "ready", "lease_until": LEASE},
            {**common, "key": "over", "state": "done", "lease_until": None},
            {**common, "key": "given-up", "state": "dead", "lease_until": None},
        ],
    )
    flask_migrate.upgrade(revision="0005")
    assert states("jobs") == {"waiting": "received", "held": "processing", "over": "done", "given-up": "dead"}
    with db.engine.connect() as connection:
        due = connection.execute(sa.text("SELECT run_at FROM jobs WHERE key = 'held'")).scalar_one()
    assert str(due).startswith("2026-11-24 11:00")
    with db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE jobs SET state = 'failed' WHERE key = 'waiting'"))
    flask_migrate.downgrade(revision="0004")
    assert states("jobs") == {"waiting": "ready", "held": "ready", "over": "done", "given-up": "dead"}


def test_a_body_that_is_gone_does_not_stop_a_downgrade(empty_app: Flask) -> None:
    """The older schema knows none without; there it is empty."""
    flask_migrate.upgrade(revision="0005")
    insert(
        "inbox_events",
        [
            {
                "provider": "stripe",
                "event_key": "evt_1",
                "type": "x",
                "body": None,
                "headers": "{}",
                "signed_at": AT,
                "key_index": 0,
                "received_at": AT,
                "run_at": AT,
                "state": "done",
                "attempts": 1,
                "waits": 0,
            }
        ],
    )
    flask_migrate.downgrade(revision="0004")
    assert states("inbox_events") == {"evt_1": "done"}
