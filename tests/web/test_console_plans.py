"""The console's lists stay on their indexes, however many bookings, deliveries and jobs there are."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.core.db import db
from tests.pages import PageClient

# The newest are read by their ids until the page is full, or the first has been applied.
NEWEST = {("/operator/bookings", "bookings"), ("/operator/state", "inbox_events")}
# Their rows grow with every booking, and stay.
LARGE = {
    "bookings",
    "attention_flags",
    "booking_words",
    "inbox_events",
    "jobs",
    "payments",
    "booking_history",
}


@pytest.mark.parametrize(
    "path",
    [
        "/operator",
        "/operator?topic=money",
        "/operator/bookings",
        "/operator/bookings?q=grace+hall",
        "/operator/bookings?q=evt_1&before=100",
        "/operator/deliveries",
        "/operator/deliveries?state=open",
        "/operator/jobs",
        "/operator/jobs?state=open",
        "/operator/state",
        "/operator/acts?act=job.retried",
    ],
)
def test_no_list_reads_a_whole_table(app: Flask, operator: PageClient, path: str) -> None:
    """SQLite says which tables it would read from one end to the other."""
    executed: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            executed.append((statement, parameters))

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    operator.page(path)
    sa.event.remove(engine, "before_cursor_execute", note)
    scanned = []
    with engine.connect() as connection:
        for statement, parameters in executed:
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            for *_, detail in cursor.fetchall():
                # By an index is in its order, until the page is full.
                found = re.match(r"SCAN (\w+)$", detail)
                if found and found[1] in LARGE and (path, found[1]) not in NEWEST:
                    scanned.append((detail, statement))
            cursor.close()
    assert scanned == []
