"""Rows that are work: what they look like, how one comes to be owed, and when the next is due.

Two tables use it: the inbox (what the providers told us, :mod:`bookingapp.webhooks`) and :class:`Job`, the
outbox (what we still owe: a call to a provider, a mail, a timer). Who works on a row holds a claim on it
(:mod:`bookingapp.core.claims`), and ends it together with its effects:

    received ──► processing ──► done | ignored
                   │    ▲
                   ▼    │
                 failed ┘  ──► dead, after the last try
"""

from __future__ import annotations

import enum
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from bookingapp.core import wake
from bookingapp.core.db import Model, changed_rows, insert_if_new, reading

NOTE_LENGTH = 500


class WorkState(enum.StrEnum):
    """How far a row of work is."""

    RECEIVED = "received"  # Taken in, or waiting for somebody; due at ``run_at``.
    PROCESSING = "processing"  # A worker holds it; if that dies, it is due again at ``run_at``.
    FAILED = "failed"  # The last try came to nothing; the next is due at ``run_at``.
    DONE = "done"
    IGNORED = "ignored"  # Kept, and nothing was to be done.
    DEAD = "dead"  # Given up after the last try, with the reason in ``note``: a person has to look.

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do."""
        return self in (WorkState.RECEIVED, WorkState.PROCESSING, WorkState.FAILED)


# In these words in the index and in every query that is to use it: SQLite compares the texts.
OPEN = "state IN ('received', 'processing', 'failed')"
ENDED = "state IN ('done', 'ignored', 'dead')"


class Work:
    """The columns that make a table a queue."""

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[WorkState] = mapped_column(default=WorkState.RECEIVED)
    run_at: Mapped[datetime]  # When it is due: for the first time, again, or because its lease is over.
    attempts: Mapped[int] = mapped_column(default=0)
    # How many of the attempts count for nothing: they ended in waiting (``claims.park``), or in a replay.
    waits: Mapped[int] = mapped_column(default=0, server_default="0")
    note: Mapped[str | None] = mapped_column(sa.String(NOTE_LENGTH))
    finished_at: Mapped[datetime | None]

    @classmethod
    def due_index(cls, table: str) -> sa.Index:
        """The index that makes looking for work cheap however long the table grows: it holds the open rows alone."""
        return sa.Index(
            f"ix_{table}_due", "run_at", "id", sqlite_where=sa.text(OPEN), postgresql_where=sa.text(OPEN)
        )


class Job(Work, Model):
    """Something we owe and have not done yet. ``key`` makes asking twice the same as asking once."""

    __tablename__ = "jobs"
    __table_args__ = (Work.due_index("jobs"),)

    name: Mapped[str] = mapped_column(sa.String(64))
    key: Mapped[str] = mapped_column(sa.String(200), unique=True)
    args: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)  # Tells what was decided in one transaction.


W = TypeVar("W", bound=Work)


def enqueue(
    session: Session, name: str, *, key: str, args: dict[str, Any], run_at: datetime, now: datetime
) -> bool:
    """Owe a call of the registered function ``name`` with ``args`` (ids, no objects), not before ``run_at``.

    Part of the caller's transaction. Returns False where that ``key`` is owed already or was done before.
    """
    values = {
        "name": name,
        "key": key,
        "args": args,
        "run_at": run_at,
        "created_at": now,
        "state": WorkState.RECEIVED,
        "attempts": 0,
    }
    is_new = insert_if_new(session, Job, values, ["key"]) is not None
    if is_new and run_at <= now:
        wake.notify_workers(session.connection())
    return is_new


def next_due(session: Session, model: type[Work]) -> datetime | None:
    """When the next open row is due, which may be in the past. A read: an idle worker never takes the write lock."""
    with reading(session):
        return session.scalar(_next_due(table_of(model)))


def wake_parked(session: Session, model: type[Work], *, awaited: str, now: datetime) -> int:
    """Make every row due that waits for ``awaited``, in the caller's transaction. Returns how many that were."""
    table = table_of(model)
    waits = (table.c.state == WorkState.RECEIVED, table.c.note == waiting(awaited))
    statement = sa.update(table).where(*waits, table.c.run_at > now).values(run_at=now)
    woken = changed_rows(session, statement)
    if woken:
        wake.notify_workers(session.connection())
    return woken


def restart(session: Session, model: type[Work], row_id: int, *, now: datetime, note: str) -> bool:
    """Make an ended row due again with all its tries before it, in the caller's transaction. Returns False where it
    has not ended, or is not there.
    """
    table = table_of(model)
    statement = (
        sa.update(table)
        .where(table.c.id == row_id, sa.text(ENDED))
        .values(
            state=WorkState.RECEIVED,
            run_at=now,
            # The attempts stay: they are the fencing token.
            waits=table.c.attempts,
            finished_at=None,
            note=short(note),
        )
    )
    restarted = changed_rows(session, statement) == 1
    if restarted:
        wake.notify_workers(session.connection())
    return restarted


def table_of(model: type[Work]) -> sa.Table:
    """The table that a kind of work is kept in."""
    return cast("sa.Table", sa.inspect(model).local_table)


def waiting(awaited: str) -> str:
    """The note of a row that waits for something that a person has to do first."""
    return f"waits for {awaited}"


def short(note: str | None) -> str | None:
    """A note as the column takes it."""
    return (note or "")[:NOTE_LENGTH] or None


# Built once: to build a statement anew for each row costs more than to execute it.
@cache
def _next_due(table: sa.Table) -> sa.Select[datetime]:
    due_at = cast("sa.Column[datetime]", table.c.run_at)
    return sa.select(due_at).where(sa.text(OPEN)).order_by(due_at, table.c.id).limit(1)
