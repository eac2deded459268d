"""Rows that are work: claimed by lease, counted before they are tried, finished together with their effects.

Two tables use it: the inbox (what the providers told us, :mod:`bookingapp.webhooks`) and :class:`Job`, the
outbox (what we still owe: a call to a provider, a timer). A row survives any crash of the worker: its lease
runs out and another takes it. The number of attempts is the fencing token: whoever comes back late, after
its lease ran out and another worker took the row, cannot commit.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Mapped, Session, mapped_column

from bookingapp.core.db import Model, changed_rows, insert_if_new, release, transaction

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
BACKOFF = tuple(timedelta(seconds=s) for s in (2, 10, 60, 300, 900, 1800, 3600))
JITTER = 0.2
# How often a row looks whether what it waits for is there; the look itself calls nobody.
PARKED = timedelta(seconds=30)


class LeaseLost(RuntimeError):
    """Another worker has taken the row in the meantime; nothing of this try may be kept."""


class WorkState(enum.StrEnum):
    """How far a row of work is. ``dead`` keeps the row, with its reason, for a person to look at."""

    READY = "ready"
    DONE = "done"
    IGNORED = "ignored"
    DEAD = "dead"


class Work:
    """The columns that make a table a queue."""

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[WorkState] = mapped_column(default=WorkState.READY)
    run_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    # How many of the attempts ended in waiting for somebody (see :func:`park`): they are no failures.
    waits: Mapped[int] = mapped_column(default=0, server_default="0")
    note: Mapped[str | None] = mapped_column(sa.String(500))
    finished_at: Mapped[datetime | None]

    @classmethod
    def due_index(cls, table: str) -> sa.Index:
        """The index that makes looking for work cheap however long the table grows."""
        return sa.Index(f"ix_{table}_due", "state", "run_at")


class Job(Work, Model):
    """Something we owe and have not done yet. ``key`` makes asking twice the same as asking once."""

    __tablename__ = "jobs"
    __table_args__ = (Work.due_index("jobs"),)

    name: Mapped[str] = mapped_column(sa.String(64))
    key: Mapped[str] = mapped_column(sa.String(200), unique=True)
    args: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


W = TypeVar("W", bound=Work)


@dataclass(frozen=True)
class Claim:
    """The right to work on one row until the lease ends."""

    id: int
    attempt: int
    lease_until: datetime
    waits: int = 0


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
        "state": WorkState.READY,
        "attempts": 0,
    }
    return insert_if_new(session, Job, values, ["key"]) is not None


def claim(session: Session, model: type[W], *, now: datetime, lease: timedelta = LEASE) -> Claim | None:
    """Take the row that is longest due, if any. Commits, so that the count of attempts outlives a crash."""
    table = cast("sa.Table", sa.inspect(model).local_table)
    free = sa.or_(table.c.lease_until.is_(None), table.c.lease_until < now)
    due = (
        sa.select(table.c.id)
        .where(table.c.state == WorkState.READY, table.c.run_at <= now, free)
        .order_by(table.c.run_at, table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    until = now + lease
    statement = (
        sa.update(table)
        .where(table.c.id.in_(due.scalar_subquery()))
        .values(lease_until=until, attempts=table.c.attempts + 1)
        .returning(table.c.id, table.c.attempts, table.c.waits)
    )
    row = session.execute(statement).first()
    session.commit()
    return None if row is None else Claim(row.id, row.attempts, until, row.waits)


def has_due(session: Session, model: type[W], *, now: datetime) -> bool:
    """Whether a claim could succeed. A read, so that an idle worker never takes the write lock."""
    table = sa.inspect(model).local_table
    free = sa.or_(table.c.lease_until.is_(None), table.c.lease_until < now)
    query = (
        sa.select(table.c.id).where(table.c.state == WorkState.READY, table.c.run_at <= now, free).limit(1)
    )
    found = session.execute(query).first() is not None
    session.rollback()
    return found


def finish(
    session: Session,
    model: type[W],
    claimed: Claim,
    *,
    state: WorkState,
    now: datetime,
    note: str | None = None,
) -> None:
    """End the row in the caller's transaction, so that its effects and its end are one commit.

    Raises :class:`LeaseLost` when another worker holds the row by now.
    """
    _write(
        session,
        model,
        claimed,
        state=state,
        finished_at=now,
        lease_until=None,
        note=(note or "")[:500] or None,
    )


def put_back(
    session: Session, model: type[W], claimed: Claim, *, run_at: datetime, note: str | None = None
) -> None:
    """Make the row due again at ``run_at``, in the caller's transaction. Raises :class:`LeaseLost`."""
    _write(session, model, claimed, run_at=run_at, lease_until=None, note=(note or "")[:500] or None)


def park(session: Session, model: type[W], claimed: Claim, *, awaited: str, now: datetime) -> None:
    """Let the row wait for something that a person has to do first, in the caller's transaction.

    Such a try does not bring the row nearer to its last one, however often that is. Raises :class:`LeaseLost`.
    """
    _write(
        session,
        model,
        claimed,
        run_at=now + PARKED,
        lease_until=None,
        waits=claimed.waits + 1,
        note=_waiting(awaited),
    )


def wake(session: Session, model: type[W], *, awaited: str, now: datetime) -> int:
    """Make every row due that waits for ``awaited``, in the caller's transaction. Returns how many that were."""
    table = cast("sa.Table", sa.inspect(model).local_table)
    waiting = (table.c.state == WorkState.READY, table.c.note == _waiting(awaited))
    statement = sa.update(table).where(*waiting, table.c.run_at > now).values(run_at=now)
    return changed_rows(session, statement)


def _waiting(awaited: str) -> str:
    return f"waits for {awaited}"


def work_next(
    session: Session, model: type[W], do: Callable[[W, Claim], None], *, clock: Callable[[], datetime]
) -> bool:
    """Claim the row that is longest due and let ``do`` work on it. Returns whether there was one.

    ``do`` gets the row detached, with no transaction open, and ends it with :func:`finish` or :func:`put_back`
    in the transaction of its effects. Where it raises, the row is tried again later; after the last try, or at
    once for an error that says ``retryable = False``, it is kept as dead with the reason. An error that says in
    ``awaits`` what has to be done first parks the row until then, however often that takes.
    """
    if not has_due(session, model, now=clock()):
        return False
    held = claim(session, model, now=clock())
    if held is None:
        return False
    row = session.get_one(model, held.id)
    release(session)
    try:
        do(row, held)
    except LeaseLost:
        session.rollback()
        log.warning("lease_lost", table=model.__name__, row=held.id)
    except Exception as error:
        session.rollback()
        _failed(session, model, held, error, clock())
    return True


def _failed(session: Session, model: type[W], held: Claim, error: Exception, now: datetime) -> None:
    awaited: str | None = getattr(error, "awaits", None)
    foreseen = hasattr(error, "retryable") or awaited is not None
    delay = retry_delay(held.attempt - held.waits) if getattr(error, "retryable", True) else None
    # The class and not the text: a message may quote what a person typed.
    note = f"{type(error).__name__} at attempt {held.attempt}"
    if awaited is None:
        log.warning("work_failed", table=model.__name__, row=held.id, note=note, dead=delay is None)
    else:
        log.info("work_parked", table=model.__name__, row=held.id, awaits=awaited)
    if not foreseen:
        log.error("work_failed_unexpectedly", table=model.__name__, row=held.id, exc_info=error)
    try:
        with transaction(session):
            if awaited is not None:
                park(session, model, held, awaited=awaited, now=now)
            elif delay is None:
                finish(session, model, held, state=WorkState.DEAD, now=now, note=note)
            else:
                wait = timedelta(seconds=getattr(error, "retry_after", None) or 0)
                put_back(session, model, held, run_at=now + max(delay, wait), note=note)
    except LeaseLost:
        log.warning("lease_lost", table=model.__name__, row=held.id)


def _write(session: Session, model: type[W], claimed: Claim, **values: Any) -> None:
    table = cast("sa.Table", sa.inspect(model).local_table)
    statement = (
        sa.update(table)
        .where(
            table.c.id == claimed.id, table.c.attempts == claimed.attempt, table.c.state == WorkState.READY
        )
        .values(**values)
    )
    if changed_rows(session, statement) != 1:
        raise LeaseLost(f"row {claimed.id} of {table.name}")


def retry_delay(
    attempt: int, *, schedule: tuple[timedelta, ...] = BACKOFF, rng: random.Random | None = None
) -> timedelta | None:
    """How long to wait after the ``attempt``-th try (from 1), with ±20 % jitter; None after the last."""
    if attempt > len(schedule):
        return None
    spread = (rng or random).uniform(1 - JITTER, 1 + JITTER)
    return schedule[attempt - 1] * spread
