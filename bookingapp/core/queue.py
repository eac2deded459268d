"""The columns and states of rows that are work: how one is enqueued, woken and restarted, and which is due next.

Two tables have them: the inbox (deliveries, :mod:`bookingapp.webhooks`) and :class:`Job`, the outbox (calls to
providers, mails, timers). How a worker claims a row and ends it is in :mod:`bookingapp.core.claims`.

    received ──► processing ──► done | ignored
                   │    ▲
                   ▼    │
                 failed ┘  ──► dead, after the last try
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from bookingapp.core import wake
from bookingapp.core.db import Model, changed_rows, insert_if_new, reading, table_of
from bookingapp.outcomes import Awaited


class WorkState(enum.StrEnum):
    """How far a row of work is."""

    RECEIVED = "received"  # New, restarted or waiting; due at ``run_at``.
    PROCESSING = "processing"  # Claimed by a worker; if that dies, due again at ``run_at``.
    FAILED = "failed"  # The last try failed; the next is due at ``run_at``.
    DONE = "done"
    IGNORED = "ignored"  # Kept without effects.
    DEAD = "dead"  # The last try failed as well; ``outcome`` says why, and a person has to act.

    @property
    def is_open(self) -> bool:
        """Whether there is still something to do."""
        return self in (WorkState.RECEIVED, WorkState.PROCESSING, WorkState.FAILED)


class Restart(enum.StrEnum):
    """The outcome of an ended row that was made due again: who did it."""

    REPLAYED = "replayed"  # A person, for a delivery.
    RETRIED = "retried"  # A person, for a job.
    RETRIED_HOURLY = "retried_hourly"  # The hourly reconciliation, for a job that a booking depends on.


# In these words in the index and in every query that is to use it: SQLite compares the texts.
OPEN = "state IN ('received', 'processing', 'failed')"
ENDED = "state IN ('done', 'ignored', 'dead')"
DEAD = "state = 'dead'"


class Work:
    """The columns that make a table a queue."""

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[WorkState] = mapped_column(default=WorkState.RECEIVED)
    run_at: Mapped[datetime]  # When it is due: for the first time, again, or because its lease is over.
    attempts: Mapped[int] = mapped_column(default=0)
    # How many of the attempts do not count as tries: they ended in waiting (``claims.park``), or before a restart.
    waits: Mapped[int] = mapped_column(default=0, server_default="0")
    # A code for how it is: ``Failure``, ``Awaited``, ``Restart``, or what a delivery did.
    outcome: Mapped[str | None] = mapped_column(sa.String(64))
    outcome_facts: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    finished_at: Mapped[datetime | None]

    @property
    def log_context(self) -> dict[str, str | int]:
        """What each log line carries while the row is worked on: ids and codes alone."""
        return {}

    @classmethod
    def indexes(cls, table: str) -> tuple[sa.Index, sa.Index]:
        """The indexes of the open rows and of the dead ones alone: finding the next is equally fast however long the
        table grows.
        """
        is_open, is_dead = sa.text(OPEN), sa.text(DEAD)
        return (
            sa.Index(f"ix_{table}_due", "run_at", "id", sqlite_where=is_open, postgresql_where=is_open),
            sa.Index(f"ix_{table}_dead", "id", sqlite_where=is_dead, postgresql_where=is_dead),
        )


class Job(Work, Model):
    """A call of a registered function (:mod:`bookingapp.core.jobs`). ``key`` makes enqueueing twice one job."""

    __tablename__ = "jobs"
    __table_args__ = (*Work.indexes("jobs"),)

    name: Mapped[str] = mapped_column(sa.String(64))
    key: Mapped[str] = mapped_column(sa.String(200), unique=True)
    args: Mapped[dict[str, Any]]
    # The booking that it is about, for its page; None for work about no single booking.
    booking_id: Mapped[int | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(
        index=True
    )  # The moment of the transaction that enqueued it.

    @property
    def log_context(self) -> dict[str, str | int]:
        """The kind of work, and the booking's number where it is known."""
        about: dict[str, str | int] = {} if self.booking_id is None else {"booking": self.booking_id}
        return {"job": self.name, **about}


W = TypeVar("W", bound=Work)


def enqueue(
    session: Session,
    name: str,
    *,
    key: str,
    args: Mapping[str, Any],
    run_at: datetime,
    now: datetime,
    booking_id: int | None = None,
) -> bool:
    """Enqueue a call of the registered function ``name`` with ``args`` (ids, no objects), not before ``run_at``.
    ``booking_id`` is the booking that it is about, where ``args`` do not name it.

    Part of the caller's transaction. Returns False where a job of that ``key`` exists, open or ended.
    """
    values = {
        "name": name,
        "key": key,
        "args": args,
        "booking_id": args.get("booking_id", booking_id),
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
    """When the next open row is due, which may be in the past. An idle worker that asks never locks the database."""
    with reading(session):
        return session.scalar(_next_due_query(table_of(model)))


def wake_parked(session: Session, model: type[Work], *, awaited: Awaited, now: datetime) -> int:
    """Make every row that waits for ``awaited`` due, in the caller's transaction. Returns how many rows."""
    table = table_of(model)
    waits = (table.c.state == WorkState.RECEIVED, table.c.outcome == awaited)
    statement = sa.update(table).where(*waits, table.c.run_at > now).values(run_at=now)
    woken = changed_rows(session, statement)
    if woken:
        wake.notify_workers(session.connection())
    return woken


def restart(session: Session, model: type[Work], row_id: int, *, now: datetime, outcome: Restart) -> bool:
    """Make an ended row due again with all its tries, in the caller's transaction. Returns False where it has not
    ended, or does not exist.
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
            outcome=outcome,
            outcome_facts={},
        )
    )
    restarted = changed_rows(session, statement) == 1
    if restarted:
        wake.notify_workers(session.connection())
    return restarted


# Built once: building a statement for each row costs more than executing it.
@cache
def _next_due_query(table: sa.Table) -> sa.Select[datetime]:
    due_at = cast("sa.Column[datetime]", table.c.run_at)
    return sa.select(due_at).where(sa.text(OPEN)).order_by(due_at, table.c.id).limit(1)
