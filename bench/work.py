"""The worker: how fast it drains a backlog, how soon it is awake, what it costs while nothing happens."""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from bench.bare import bare_engine
from bench.load import Wave, check, run
from bench.stack import Stack, database_name
from bench.table import Row
from bench.webhooks import ask
from bookingapp.core.queue import OPEN, WorkState
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.worker import THREADS

BACKLOG = 10_000
BARE_ROWS = 3_000
WAKES = 40
IDLE_SECONDS = 20.0
PATIENCE_SECONDS = 1200.0
INBOX = sa.inspect(InboxEvent).local_table


def measure(stack: Stack) -> Iterator[Row]:
    """Rows for one database. Leaves an inbox without open rows."""
    engine = bare_engine(stack.database_url)
    try:
        name = database_name(stack.database_url)
        yield _drain(stack, engine, name)
        with stack.workers() as (pid,):
            yield _lag(stack, engine, name)
            yield _idle(pid, name)
    finally:
        engine.dispose()


def _drain(stack: Stack, engine: sa.Engine, name: str) -> Row:
    bare = [_bare_rate(engine)]
    _fill(engine)
    with stack.workers():
        _wait(engine, lambda connection: _open_rows(connection) == 0)
    bare.append(_bare_rate(engine))
    backlog = INBOX.c.event_key.startswith("bench-")
    query = sa.select(sa.func.min(INBOX.c.finished_at), sa.func.max(INBOX.c.finished_at), sa.func.count())
    with engine.begin() as connection:
        first, last, count = connection.execute(
            query.where(backlog, INBOX.c.state == WorkState.IGNORED)
        ).one()
        connection.execute(sa.delete(INBOX).where(backlog))
    if count != BACKLOG:
        raise RuntimeError(f"{count} of {BACKLOG} deliveries were applied")
    rate = (count - 1) / (last - first).total_seconds()
    what = f"{name}: backlog of {BACKLOG} drained, vs. bare claim and finish"
    return Row(what, rate, "rows/s", sum(bare) / len(bare), limit=0.5, at_least=True)


def _fill(engine: sa.Engine) -> None:
    """Genuine deliveries of times that were booked elsewhere: read, looked up in three ways, and nobody's here."""
    now = datetime.now(UTC)
    rows = []
    for number in range(BACKLOG):
        mark = f"BENCH{number:08}"
        event = f"https://api.calendly.com/scheduled_events/{mark}"
        body = {
            "event": "invitee.created",
            "created_at": "2026-11-20T09:00:00.000000Z",
            "created_by": "https://api.calendly.com/users/BENCH",
            "payload": {
                "uri": f"{event}/invitees/{mark}",
                "event": event,
                "email": "somebody@example.org",
                "name": "Somebody Else",
                "first_name": None,
                "last_name": None,
                "status": "active",
                "timezone": "Europe/London",
                "created_at": "2026-11-20T09:00:00.000000Z",
                "updated_at": "2026-11-20T09:00:00.000000Z",
                "rescheduled": False,
                "old_invitee": None,
                "new_invitee": None,
                "cancel_url": f"https://calendly.com/cancellations/{mark}",
                "reschedule_url": f"https://calendly.com/reschedulings/{mark}",
                "questions_and_answers": [],
                "tracking": {"utm_content": None, "utm_source": None},
                "scheduled_event": {
                    "uri": event,
                    "name": "Consultation",
                    "status": "active",
                    "start_time": "2026-12-20T09:00:00.000000Z",
                    "end_time": "2026-12-20T10:00:00.000000Z",
                    "event_type": "https://api.calendly.com/event_types/BENCH",
                    "location": {"type": "zoom", "status": "pushed", "join_url": "https://example.org/call"},
                    "invitees_counter": {"total": 1, "active": 1, "limit": 1},
                    "created_at": "2026-11-20T09:00:00.000000Z",
                    "updated_at": "2026-11-20T09:00:00.000000Z",
                },
            },
        }
        rows.append(
            {
                "provider": Provider.CALENDLY,
                "event_key": f"bench-{mark}",
                "type": "invitee.created",
                "body": json.dumps(body).encode(),
                "headers": {},
                "signed_at": now,
                "key_index": 0,
                "received_at": now,
                "run_at": now,
                "state": WorkState.RECEIVED,
                "attempts": 0,
                "waits": 0,
            }
        )
    with engine.begin() as connection:
        connection.execute(INBOX.insert(), rows)


def _bare_rate(engine: sa.Engine) -> float:
    """Rows a second by the least that claims a row and ends it: two statements, two commits, in as many
    threads as are of use.
    """
    table = sa.Table(
        "bench_queue",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("run_at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Index(
            "ix_bench_queue_due", "run_at", "id", sqlite_where=sa.text(OPEN), postgresql_where=sa.text(OPEN)
        ),
    )
    table.metadata.create_all(engine)
    locking = " FOR UPDATE SKIP LOCKED" if engine.dialect.name == "postgresql" else ""
    claim = sa.text(
        "UPDATE bench_queue SET state = 'processing', run_at = :until WHERE id = (SELECT id FROM bench_queue"
        f" WHERE {OPEN} AND run_at <= :now ORDER BY run_at, id LIMIT 1{locking}) RETURNING id, body"
    )
    finish = sa.text("UPDATE bench_queue SET state = 'done' WHERE id = :id")
    body = secrets.token_bytes(1200)
    with engine.begin() as connection:
        rows = [{"state": "received", "run_at": 1.0, "body": body} for _ in range(BARE_ROWS)]
        connection.execute(table.insert(), rows)

    def drain() -> None:
        while True:
            with engine.begin() as connection:
                row = connection.execute(claim, {"now": 2.0, "until": 1e12}).first()
            if row is None:
                return
            with engine.begin() as connection:
                connection.execute(finish, {"id": row.id})

    # SQLite has one writer: two of them only wait for each other.
    count = THREADS if engine.dialect.name == "postgresql" else 1
    threads = [threading.Thread(target=drain) for _ in range(count)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - began
    table.metadata.drop_all(engine)
    return BARE_ROWS / spent


def _lag(stack: Stack, engine: sa.Engine, name: str) -> Row:
    """From the receipt to the end of the row, one delivery at a time, while the worker has nothing else to do."""
    _wait(engine, lambda connection: _open_rows(connection) == 0)
    with engine.connect() as connection:
        last = connection.scalar(sa.select(sa.func.max(INBOX.c.id))) or 0
    one_each = 0.25
    check(run(stack.url, [Wave(1, lambda _: ask("/webhooks/stripe"), every=one_each)], WAKES * one_each), 200)
    _wait(engine, lambda connection: _open_rows(connection) == 0)
    query = sa.select(INBOX.c.received_at, INBOX.c.finished_at).where(INBOX.c.id > last)
    with engine.connect() as connection:
        lags = [(finished - received).total_seconds() for received, finished in connection.execute(query)]
    return Row(f"{name}: idle worker, from receipt to applied, median", median(lags) * 1000, "ms", limit=200)


def _idle(pid: int, name: str) -> Row:
    before = _cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    share = (_cpu_seconds(pid) - before) / IDLE_SECONDS
    return Row(f"{name}: idle worker, share of a core", share * 100, "%", limit=1)


def _cpu_seconds(pid: int) -> float:
    # Behind the command, which may have spaces: the fields 14 and 15 of proc(5), user and system time.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_applied(stack: Stack) -> None:
    """Until the inbox has no open rows."""
    engine = bare_engine(stack.database_url)
    try:
        _wait(engine, lambda connection: _open_rows(connection) == 0)
    finally:
        engine.dispose()


def _open_rows(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(INBOX).where(sa.text(OPEN))) or 0


def _wait(engine: sa.Engine, good: Callable[[sa.Connection], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if good(connection):
                return
        time.sleep(0.2)
    raise RuntimeError("the worker did not get through")
