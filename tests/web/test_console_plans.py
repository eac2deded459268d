"""The console and the dashboard stay on their indexes, however many bookings, deliveries and jobs there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.core.db import db
from tests.pages import PageClient
from tests.web.conftest import Offer

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
    "ledger_entries",
}


@pytest.mark.any_database
@pytest.mark.parametrize(
    "path",
    [
        "/dashboard",
        "/dashboard/connection",
        "/dashboard/webhooks",
        "/operator",
        "/operator?topic=money",
        "/operator/bookings",
        "/operator/bookings?q=grace+hall",
        "/operator/bookings?q=evt_1&before=100",
        "/operator/builders/SLUG",
        "/operator/deliveries",
        "/operator/deliveries?state=open",
        "/operator/jobs",
        "/operator/jobs?state=open",
        "/operator/state",
        "/operator/acts?act=job.retried",
    ],
)
def test_no_page_reads_a_whole_table(app: Flask, ada: Offer, operator: PageClient, path: str) -> None:
    """SQLite says which tables it would read from one end to the other. PostgreSQL, which reads small ones so, is
    forbidden to: what it still reads so has no index.
    """
    executed: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            executed.append((statement, parameters))

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    operator.page(path.replace("SLUG", ada.builder.slug))
    sa.event.remove(engine, "before_cursor_execute", note)
    tables = postgresql_tables if engine.dialect.name == "postgresql" else sqlite_tables
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        if engine.dialect.name == "postgresql":
            cursor.execute("SET enable_seqscan = off")
        scanned = [
            (table, statement)
            for statement, parameters in executed
            for table in tables(cursor, statement, parameters)
            if table in LARGE and (path, table) not in NEWEST
        ]
        connection.invalidate()
    assert executed
    assert scanned == []


def sqlite_tables(cursor: Any, statement: str, parameters: Any) -> Iterator[str]:
    """By an index is in its order, until the page is full."""
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    for *_, detail in cursor.fetchall():
        if found := re.match(r"SCAN (\w+)$", detail):
            yield found[1]


def postgresql_tables(cursor: Any, statement: str, parameters: Any) -> Iterator[str]:
    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    nodes = [cursor.fetchone()[0][0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if node["Node Type"] == "Seq Scan":
            yield node["Relation Name"]
